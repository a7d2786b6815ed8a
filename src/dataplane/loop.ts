// The hot loop: receive a burst, let the data path decide, transmit what it decided.
import {
  CONTROL_CLOCK,
  CONTROL_EVENTS,
  CONTROL_STOP,
  DATAGRAM_HEADROOM,
  DATAGRAM_STRIDE,
  FRAME_HEADROOM,
  MAX_DATAGRAM,
  MAX_FRAME,
  MAX_RX_DATAGRAMS,
  MAX_RX_FRAMES,
  WORKER_DATAGRAM_ARENA,
  WORKER_EPOCH,
  WORKER_FRAME_ARENA,
  WORKER_FRAME_ARENA_END,
  WORKER_IOV_COUNT,
  WORKER_RX_DATAGRAMS,
  WORKER_RX_FRAMES,
  WORKER_TX_IOVS,
  WORKER_TX_MESSAGES,
} from '../../asm/layout/memory.ts';
import { type Addon, SLOT_FAILED, SOCKET_READY, TAP_READY, WOKEN } from '../phy/addon.ts';
import { clock } from './clock.ts';
import { type Memory, workerBase } from './memory.ts';
import type { WorkerExports } from './module.ts';

/** Longest sleep: how late a stop flag or a message without a wake-up is seen. */
const SLEEP_MS = 100;

/** What happens beside packets. */
export interface Duties {
  /** Something was sent to this worker. */
  messages(): void;
  /** Slots can no longer be read. */
  failures(): void;
}

/** Runs until CONTROL_STOP. */
export function runLoop(
  addon: Addon,
  dataPath: WorkerExports,
  { words }: Memory,
  index: number,
  duties: Duties,
): void {
  const base = workerBase(index);
  const transmit = (count: number) => {
    if (count === 0) return;
    const iovs = words[(base + WORKER_IOV_COUNT) / 4] as number;
    const refused = addon.transmit(base + WORKER_TX_MESSAGES, count, base + WORKER_TX_IOVS, iovs);
    if (refused > 0) dataPath.settle(count);
  };

  while (Atomics.load(words, CONTROL_STOP / 4) === 0) {
    // Asleep, this worker reads no tables.
    Atomics.store(words, (base + WORKER_EPOCH) / 4, 0);
    const ready = addon.wait(SLEEP_MS);
    words[CONTROL_CLOCK / 4] = clock();
    if (index === 0 && words[CONTROL_EVENTS / 4] !== 0) dataPath.sweep();

    if (ready & TAP_READY) {
      const frames = addon.receiveFrames(
        base + WORKER_RX_FRAMES,
        MAX_RX_FRAMES,
        base + WORKER_FRAME_ARENA,
        base + WORKER_FRAME_ARENA_END,
        FRAME_HEADROOM,
        MAX_FRAME,
      );
      if (frames > 0) transmit(dataPath.egress(frames));
    }
    if (ready & SOCKET_READY) {
      const datagrams = addon.receiveDatagrams(
        base + WORKER_RX_DATAGRAMS,
        MAX_RX_DATAGRAMS,
        base + WORKER_DATAGRAM_ARENA,
        DATAGRAM_STRIDE,
        DATAGRAM_HEADROOM,
        MAX_DATAGRAM,
      );
      if (datagrams > 0) transmit(dataPath.ingress(datagrams));
    }
    if (ready & WOKEN) duties.messages();
    if (ready & SLOT_FAILED) duties.failures();
  }
  Atomics.store(words, (base + WORKER_EPOCH) / 4, 0);
}
