// Counter rows of the data path, summed over the workers.
import {
  MAX_DECISIONS,
  MAX_PORTS,
  MAX_TUNNELS,
  WORKER_DECISION_COUNTERS,
  WORKER_PORT_COUNTERS,
  WORKER_TUNNEL_COUNTERS,
} from '../../asm/layout/memory.ts';
import { PORT_COUNTER_SIZE, TUNNEL_COUNTER_SIZE } from '../../asm/layout/tables.ts';
import { type Memory, workerBase } from './memory.ts';

/** One kind of rows: a port's, a tunnel's, a decision's. */
export class CounterRows {
  readonly #views: readonly BigUint64Array[];
  readonly #rowWords: number;
  /** What a row stood at when its number was given out: numbers are used again. */
  readonly #base = new Map<number, bigint[]>();

  private constructor({ wasm }: Memory, workers: number, at: number, rows: number, rowBytes: number) {
    this.#rowWords = rowBytes / 8;
    this.#views = Array.from(
      { length: workers },
      (_, index) => new BigUint64Array(wasm.buffer, workerBase(index) + at, rows * this.#rowWords),
    );
  }

  static ports = (memory: Memory, workers: number) =>
    new CounterRows(memory, workers, WORKER_PORT_COUNTERS, MAX_PORTS, PORT_COUNTER_SIZE);
  static tunnels = (memory: Memory, workers: number) =>
    new CounterRows(memory, workers, WORKER_TUNNEL_COUNTERS, MAX_TUNNELS, TUNNEL_COUNTER_SIZE);
  static decisions = (memory: Memory, workers: number) =>
    new CounterRows(memory, workers, WORKER_DECISION_COUNTERS, MAX_DECISIONS, 8);

  /** A counter since its number was given out. @param field byte offset in the row, 0 for rows of one word */
  read(number: number, field: number): bigint {
    const word = field / 8;
    return this.#sum(number, word) - (this.#base.get(number)?.[word] ?? 0n);
  }

  /** The number stands for something new: counts start at zero. */
  restart(number: number): void {
    this.#base.set(
      number,
      Array.from({ length: this.#rowWords }, (_, word) => this.#sum(number, word)),
    );
  }

  #sum(number: number, word: number): bigint {
    return this.#views.reduce((sum, view) => sum + (view[number * this.#rowWords + word] ?? 0n), 0n);
  }
}
