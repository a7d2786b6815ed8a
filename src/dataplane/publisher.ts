/**
 * Switches the live tables: fill the area that no worker reads, then store the new epoch.
 *
 *     epoch 6 (A live)          7 stored (B live)             8: A may be filled again when
 *     control  ── fill B ──────►│                              no worker's burst is under 6
 *     worker      bursts under 6│ next burst is under 7
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { FLOWS_EPOCH } from '../../asm/layout/flows.ts';
import {
  CONTROL_AREA_A,
  CONTROL_AREA_B,
  CONTROL_AREA_SIZE,
  CONTROL_EPOCH,
  CONTROL_FLOWS,
  WORKER_EPOCH,
} from '../../asm/layout/memory.ts';
import { type Memory, workerBase } from './memory.ts';

/** A burst ends within milliseconds; a worker that does not is stuck. */
const PATIENCE_MS = 5_000;

export class Publisher {
  readonly #memory: Memory;
  readonly #workers: number;
  readonly #wake: () => void;

  /** @param wake lets sleeping workers see the new epoch at once */
  constructor(memory: Memory, workers: number, wake: () => void) {
    this.#memory = memory;
    this.#workers = workers;
    this.#wake = wake;
  }

  /** Epoch of the live tables; before the first publication, the one that the flow file ended with. */
  get epoch(): number {
    return Atomics.load(this.#memory.words, CONTROL_EPOCH / 4);
  }

  /**
   * Publishes what `fill` writes. When it throws, the live tables stay.
   * @returns what `fill` returned
   */
  async publish<T>(fill: (area: number, size: number, epoch: number) => T): Promise<T> {
    // 0 means "no tables yet".
    const epoch = (this.epoch + 1) >>> 0 || 2;
    await this.#quiescent();
    const area = this.#memory.view.getUint32(epoch & 1 ? CONTROL_AREA_B : CONTROL_AREA_A, true);
    const result = fill(area, this.#memory.view.getUint32(CONTROL_AREA_SIZE, true), epoch);
    // A restarted daemon goes on behind it: its flows were decided under some epoch up to this one.
    this.#memory.view.setUint32(this.#memory.view.getUint32(CONTROL_FLOWS, true) + FLOWS_EPOCH, epoch, true);
    Atomics.store(this.#memory.words, CONTROL_EPOCH / 4, epoch);
    this.#wake();
    return result;
  }

  /** Returns when no worker can still read the area that is not live. */
  async #quiescent(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    for (let index = 0; index < this.#workers; index++) {
      const at = (workerBase(index) + WORKER_EPOCH) / 4;
      for (;;) {
        const seen = Atomics.load(this.#memory.words, at);
        if (seen === 0 || seen === this.epoch) break;
        if (performance.now() > deadline)
          throw new Error(`worker ${index} has not ended its burst for ${PATIENCE_MS} ms`);
        await sleep(1);
      }
    }
  }
}
