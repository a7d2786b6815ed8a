/**
 * Held: frames that wait for a port, copied out of the burst that brought them.
 *
 *     queue of a port ──► frame ──► frame ──► …        in the order in which they came
 *                           └ block ─► block ─► …      private to the worker, given back last in, first out
 */
import { IOV_LENGTH, IOV_SIZE, TX_BYTES, TX_IOV, TX_IOVS, TX_QUEUE } from '../layout/burst';
import { VNET_HEADER, WORKER_SHAPER, WORKER_TX_IOVS } from '../layout/memory';
import {
  BLOCK_BYTES,
  BLOCK_LENGTH,
  BLOCK_NEXT,
  BLOCK_NEXT_FRAME,
  BLOCK_QUEUE,
  QUEUE_BYTES,
  QUEUE_FIRST,
  QUEUE_LAST,
  QUEUE_ROW_SIZE,
  SHAPER_BLOCK_COUNT,
  SHAPER_BLOCK_SIZE,
  SHAPER_BLOCKS,
  SHAPER_FREE,
  SHAPER_QUEUES,
  SHAPER_TOUCHED,
  SHAPER_USED,
} from '../layout/shaper';
import { base } from '../worker';
import { messagePush } from './message';

/** Bytes of a frame in one block. */
const PAYLOAD: u32 = SHAPER_BLOCK_SIZE - BLOCK_BYTES;
/** Most gather entries of a frame: a superframe has half as many blocks. */
export const HELD_ENTRIES: u32 = 64;

/** Row of a port's queue. */
export function queueOf(port: u32): usize {
  return base + WORKER_SHAPER + SHAPER_QUEUES + port * QUEUE_ROW_SIZE;
}

/** First block of the frame that has waited longest; 0: none waits. */
export function heldFirst(port: u32): usize {
  return <usize>load<u32>(queueOf(port), QUEUE_FIRST);
}

/** Its first bytes, vnet header and Ethernet header at least. */
export function heldBytes(port: u32): usize {
  return heldFirst(port) + BLOCK_BYTES;
}

/** Its bytes with its vnet header. */
export function heldLength(port: u32): u32 {
  return load<u32>(heldFirst(port), BLOCK_LENGTH);
}

/** Queue of the port that it goes to. */
export function heldQueue(port: u32): u32 {
  return load<u32>(heldFirst(port), BLOCK_QUEUE);
}

/** Appends its bytes to a message that was begun last. */
export function heldPush(message: usize, port: u32): void {
  let left = heldLength(port);
  for (let block = heldFirst(port); block !== 0; block = <usize>load<u32>(block, BLOCK_NEXT)) {
    const bytes = min(left, PAYLOAD);
    messagePush(message, block + BLOCK_BYTES, bytes);
    left -= bytes;
  }
}

/**
 * Copies a message to the end of the port's queue.
 * @param limit bytes that may wait there, without vnet headers
 * @returns false where there would be more, or no blocks are left
 */
export function hold(message: usize, port: u32, limit: u32): bool {
  const queue = queueOf(port);
  const length = load<u32>(message, TX_BYTES);
  const bytes = length - VNET_HEADER;
  if (load<u32>(queue, QUEUE_BYTES) + bytes > limit) return false;
  const state = base + WORKER_SHAPER;
  const needed = (length + PAYLOAD - 1) / PAYLOAD;
  if (load<u32>(state, SHAPER_USED) + needed > SHAPER_BLOCK_COUNT) return false;
  const first = blockTake(state);
  store<u32>(first, 0, BLOCK_NEXT_FRAME);
  store<u32>(first, length, BLOCK_LENGTH);
  store<u32>(first, <u32>load<u8>(message, TX_QUEUE), BLOCK_QUEUE);
  let block = first;
  let room = PAYLOAD;
  let entry = base + WORKER_TX_IOVS + load<u32>(message, TX_IOV) * IOV_SIZE;
  const end = entry + load<u32>(message, TX_IOVS) * IOV_SIZE;
  for (; entry < end; entry += IOV_SIZE) {
    let from = <usize>load<u32>(entry);
    let left = load<u32>(entry, IOV_LENGTH);
    while (left !== 0) {
      if (room === 0) {
        const next = blockTake(state);
        store<u32>(block, <u32>next, BLOCK_NEXT);
        block = next;
        room = PAYLOAD;
      }
      const part = min(left, room);
      memory.copy(block + BLOCK_BYTES + (PAYLOAD - room), from, part);
      from += part;
      left -= part;
      room -= part;
    }
  }
  append(queue, first, bytes);
  return true;
}

function append(queue: usize, frame: usize, bytes: u32): void {
  if (load<u32>(queue, QUEUE_FIRST) === 0) store<u32>(queue, <u32>frame, QUEUE_FIRST);
  else store<u32>(<usize>load<u32>(queue, QUEUE_LAST), <u32>frame, BLOCK_NEXT_FRAME);
  store<u32>(queue, <u32>frame, QUEUE_LAST);
  store<u32>(queue, load<u32>(queue, QUEUE_BYTES) + bytes, QUEUE_BYTES);
}

/** Takes the first frame off the queue. Its bytes stay as they are until another is held. */
export function heldDrop(port: u32): void {
  const queue = queueOf(port);
  const frame = <usize>load<u32>(queue, QUEUE_FIRST);
  const state = base + WORKER_SHAPER;
  const bytes = load<u32>(frame, BLOCK_LENGTH) - VNET_HEADER;
  store<u32>(queue, load<u32>(frame, BLOCK_NEXT_FRAME), QUEUE_FIRST);
  store<u32>(queue, load<u32>(queue, QUEUE_BYTES) - bytes, QUEUE_BYTES);
  let last = frame;
  let count: u32 = 1;
  for (; load<u32>(last, BLOCK_NEXT) !== 0; count++) last = <usize>load<u32>(last, BLOCK_NEXT);
  store<u32>(last, load<u32>(state, SHAPER_FREE), BLOCK_NEXT);
  store<u32>(state, <u32>frame, SHAPER_FREE);
  store<u32>(state, load<u32>(state, SHAPER_USED) - count, SHAPER_USED);
}

/** A block of which there is one left, with no next one. */
function blockTake(state: usize): usize {
  let block = <usize>load<u32>(state, SHAPER_FREE);
  if (block !== 0) store<u32>(state, load<u32>(block, BLOCK_NEXT), SHAPER_FREE);
  else {
    const touched = load<u32>(state, SHAPER_TOUCHED);
    store<u32>(state, touched + 1, SHAPER_TOUCHED);
    block = state + SHAPER_BLOCKS + touched * SHAPER_BLOCK_SIZE;
  }
  store<u32>(state, load<u32>(state, SHAPER_USED) + 1, SHAPER_USED);
  store<u32>(block, 0, BLOCK_NEXT);
  return block;
}
