/**
 * State of the one worker that this instance is: where its region lies, and what holds for
 * the burst that it is working on.
 *
 * Globals are private to an instance, and instances never run in two threads, so none of
 * this needs care; everything that threads share lies in memory.
 */
import {
  CONTROL_AREA_A,
  CONTROL_AREA_B,
  CONTROL_CLOCK,
  CONTROL_EPOCH,
  CONTROL_EVENTS,
  CONTROL_FLOWS,
  CONTROL_MAX_BATCH,
  CONTROL_OFFLOADS,
  CONTROL_QUEUES,
  CONTROL_SEED,
  DEFAULT_BATCH,
  WORKER_EPOCH,
  WORKER_HEADERS,
  WORKER_HEADERS_END,
  WORKER_STRIDE,
  WORKERS,
} from './layout/memory';
import { TABLES_EPOCH } from './layout/tables';

/** Offset of this worker's region; set by workerInit. */
export let base: usize = 0;
/** Offset of the table area that this burst runs under; 0 before the first is published. */
export let area: usize = 0;
/** Epoch of that area. */
export let epoch: u32 = 0;
/** Milliseconds, see CONTROL_CLOCK. */
export let now: u32 = 0;
/** Offset of the flow region. */
export let flows: usize = 0;
/** OFFLOAD_* bits. */
export let offloads: u32 = 0;
/** Most datagrams in one message. */
export let maxBatch: u32 = 0;
/** Queues of each TAP, a power of two; 0 stands for 1. */
export let queues: u32 = 0;
/** Whether events of connections are wanted. */
export let isLogging: bool = false;
/** Seed of flow hashes. */
export let seed: u32 = 0;
let headers: usize = 0;
let headersEnd: usize = 0;

/** Says which worker this instance is. To be called once, before anything else. */
export function workerInit(index: u32): void {
  base = WORKERS + index * WORKER_STRIDE;
}

/**
 * Starts a burst: takes the live tables and tells the control thread so.
 * @returns false when no tables have been published yet
 */
export function burstBegin(): bool {
  // Announced before it is used, and looked at again: the control thread may have switched
  // in between and have found this worker asleep.
  do {
    epoch = atomic.load<u32>(CONTROL_EPOCH);
    atomic.store<u32>(base + WORKER_EPOCH, epoch);
  } while (atomic.load<u32>(CONTROL_EPOCH) !== epoch);
  area = epoch === 0 ? 0 : <usize>load<u32>(epoch & 1 ? CONTROL_AREA_B : CONTROL_AREA_A);
  now = load<u32>(CONTROL_CLOCK);
  flows = <usize>load<u32>(CONTROL_FLOWS);
  offloads = load<u32>(CONTROL_OFFLOADS);
  seed = load<u32>(CONTROL_SEED);
  isLogging = load<u32>(CONTROL_EVENTS) !== 0;
  queues = load<u32>(CONTROL_QUEUES);
  const batch = load<u32>(CONTROL_MAX_BATCH);
  maxBatch = batch === 0 ? DEFAULT_BATCH : batch;
  headers = base + WORKER_HEADERS;
  headersEnd = base + WORKER_HEADERS_END;
  // A daemon that has just taken up its flows has an epoch, but no tables under it yet.
  return area !== 0 && load<u32>(area, TABLES_EPOCH) === epoch;
}

/** Room in the header arena until the burst has been transmitted, 64-byte aligned; 0: none left. */
export function headersAlloc(bytes: u32): usize {
  const at = headers;
  const next = (at + bytes + 63) & ~63;
  if (next > headersEnd) return 0;
  headers = next;
  return at;
}
