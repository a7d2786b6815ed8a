// The hot loop: receive a burst, let the data path decide, transmit what it decided.
import {
  BURST_BYTES,
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
  WORKER_IOV_COUNT,
  WORKER_RX_DATAGRAMS,
  WORKER_RX_FRAMES,
  WORKER_SHAPER,
  WORKER_SHAPING,
  WORKER_SWITCH_COUNT,
  WORKER_TIME,
  WORKER_TX_IOVS,
  WORKER_TX_MESSAGES,
} from '../../asm/layout/memory.ts';
import { SHAPER_SWITCHES } from '../../asm/layout/shaper.ts';
import { type Addon, SLOT_FAILED, SOCKET_READY, TAP_READY, WOKEN } from '../phy/addon.ts';
import { clock, monotonic } from './clock.ts';
import { type Memory, workerBase } from './memory.ts';
import type { WorkerExports } from './module.ts';

/** Longest sleep: how late a stop flag or a message without a wake-up is seen. */
const SLEEP_MS = 100;

/** Longest sleep while frames wait for a port's rate. */
const SHAPING_MS = 1;

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

  const switchTaps = () => {
    const count = words[(base + WORKER_SWITCH_COUNT) / 4] as number;
    if (count > 0) addon.switchTaps(base + WORKER_SHAPER + SHAPER_SWITCHES, count);
  };

  while (Atomics.load(words, CONTROL_STOP / 4) === 0) {
    // Asleep, this worker reads no tables.
    Atomics.store(words, (base + WORKER_EPOCH) / 4, 0);
    const isShaping = words[(base + WORKER_SHAPING) / 4] !== 0;
    const ready = addon.wait(isShaping ? SHAPING_MS : SLEEP_MS);
    const now = monotonic();
    words[CONTROL_CLOCK / 4] = clock(now);
    words[(base + WORKER_TIME) / 4] = (now * 1000) % 2 ** 32;
    words[(base + WORKER_TIME) / 4 + 1] = (now * 1000) / 2 ** 32;
    if (index === 0 && words[CONTROL_EVENTS / 4] !== 0) dataPath.sweep();

    if (isShaping) {
      transmit(dataPath.shape());
      switchTaps();
    }
    if (ready & TAP_READY) {
      const frames = addon.receiveFrames(
        base + WORKER_RX_FRAMES,
        MAX_RX_FRAMES,
        base + WORKER_FRAME_ARENA,
        // Reading ends where another frame of any size would not fit.
        base + WORKER_FRAME_ARENA + BURST_BYTES + MAX_FRAME,
        FRAME_HEADROOM,
        MAX_FRAME,
      );
      if (frames > 0) {
        transmit(dataPath.egress(frames));
        switchTaps();
      }
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
