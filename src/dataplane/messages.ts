// What the control thread and a worker say to each other. Descriptors change hands by number.
import type { SlotFailure, SocketKind } from '../phy/addon.ts';

export interface WorkerData {
  readonly index: number;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Eventfd that ends the worker's sleep. */
  readonly wakeup: number;
  /** Microseconds, see Addon.setSpin. */
  readonly spin: number;
}

export type Command =
  | {
      readonly type: 'adopt-tap';
      /** Port of the TAP. */
      readonly slot: number;
      /** One a queue. */
      readonly fds: readonly number[];
    }
  | {
      readonly type: 'adopt-socket';
      readonly slot: number;
      readonly fd: number;
      readonly kind: SocketKind;
      readonly receive: boolean;
    }
  /** Closes all queues of a port's TAP. */
  | { readonly type: 'drop'; readonly slot: number; readonly queues: number }
  | { readonly type: 'counters' };

/** Counters copied between two bursts, so that they agree with each other. */
export interface WorkerCounters {
  /** By Verdict. */
  readonly verdicts: BigUint64Array;
  /** By STAT_*. */
  readonly stats: BigUint64Array;
}

export type Request = Command & { readonly id: number };

export type Report =
  | { readonly type: 'ready'; readonly capabilities: bigint; readonly threadId: number }
  | { readonly type: 'done'; readonly id: number; readonly counters?: WorkerCounters }
  | { readonly type: 'refused'; readonly id: number; readonly message: string }
  | { readonly type: 'failures'; readonly failures: readonly SlotFailure[] };
