/**
 * Messages to TAPs, in the order in which they were made, and the gather list behind them.
 *
 *     TxMessage { slot, iov: 3, iovs: 2 } ──► IOV 3 { offset, length }
 *                                             IOV 4 { offset, length }
 */

import {
  IOV_LENGTH,
  IOV_SIZE,
  NO_TUNNEL,
  TX_ADDRESS,
  TX_BYTES,
  TX_FRAMES,
  TX_IOV,
  TX_IOVS,
  TX_MESSAGE_SIZE,
  TX_QUEUE,
  TX_SEGMENT,
  TX_SLOT,
  TX_STATUS,
  TX_TOS,
  TX_TUNNEL,
} from '../layout/burst';
import { WORKER_IOV_COUNT, WORKER_TX_COUNT, WORKER_TX_IOVS, WORKER_TX_MESSAGES } from '../layout/memory';
import { queueFor } from '../table/queue';
import { base } from '../worker';

/** Messages so far. */
export let messages: u32 = 0;
/** Gather entries so far. */
export let iovs: u32 = 0;

/** Forgets what the last burst left. */
export function messagesReset(): void {
  messages = 0;
  iovs = 0;
}

/** Starts a message to a TAP or socket; its gather entries are those pushed from now on. */
export function messageBegin(
  slot: u32,
  tos: u32,
  segment: u32,
  frames: u32,
  address: usize,
  tunnel: u32,
): usize {
  const m = base + WORKER_TX_MESSAGES + messages * TX_MESSAGE_SIZE;
  store<u16>(m, <u16>slot, TX_SLOT);
  store<u16>(m, <u16>tos, TX_TOS);
  store<u32>(m, iovs, TX_IOV);
  store<u32>(m, 0, TX_IOVS);
  store<u16>(m, <u16>segment, TX_SEGMENT);
  store<u16>(m, <u16>frames, TX_FRAMES);
  store<u32>(m, <u32>address, TX_ADDRESS);
  store<u32>(m, 0, TX_STATUS);
  store<u32>(m, tunnel, TX_TUNNEL);
  store<u32>(m, 0, TX_BYTES);
  messages++;
  return m;
}

/** Starts a message to a TAP, in the queue of the flow that has this hash. */
export function messageToPort(port: u32, frames: u32, hash: u32): usize {
  return messageToQueue(port, queueFor(port, hash), frames);
}

/** Starts a message to a TAP. */
export function messageToQueue(port: u32, queue: u32, frames: u32): usize {
  const m = messageBegin(port, 0, 0, frames, 0, NO_TUNNEL);
  store<u8>(m, <u8>queue, TX_QUEUE);
  return m;
}

/** Appends bytes to a message that was begun last. */
export function messagePush(message: usize, offset: usize, length: u32): void {
  const v = base + WORKER_TX_IOVS + iovs * IOV_SIZE;
  store<u32>(v, <u32>offset);
  store<u32>(v, length, IOV_LENGTH);
  iovs++;
  store<u32>(message, load<u32>(message, TX_IOVS) + 1, TX_IOVS);
  store<u32>(message, load<u32>(message, TX_BYTES) + length, TX_BYTES);
}

/** Appends gather entries to the message begun last; messageEnd() says what they amount to. */
export function messageEntries(from: usize, count: u32): void {
  const to = base + WORKER_TX_IOVS + iovs * IOV_SIZE;
  const bytes = count * IOV_SIZE;
  for (let i: u32 = 0; i < bytes; i += IOV_SIZE) store<u64>(to + i, load<u64>(from + i));
  iovs += count;
}

/** Says what the entries of a message amount to. */
export function messageEnd(message: usize, segment: u32, frames: u32, entries: u32, bytes: u32): void {
  store<u16>(message, <u16>segment, TX_SEGMENT);
  store<u16>(message, <u16>frames, TX_FRAMES);
  store<u32>(message, entries, TX_IOVS);
  store<u32>(message, bytes, TX_BYTES);
}

/** Lengthens the last gather entry of a message begun last: `length` bytes were appended behind it. */
export function messageGrow(message: usize, length: u32): void {
  const v = base + WORKER_TX_IOVS + (iovs - 1) * IOV_SIZE;
  store<u32>(v, load<u32>(v, IOV_LENGTH) + length, IOV_LENGTH);
  store<u32>(message, load<u32>(message, TX_BYTES) + length, TX_BYTES);
}

/** Forgets all messages behind the first `count`; their gather entries stay. */
export function messagesKeep(count: u32): void {
  messages = count;
}

/** Publishes the counts to the addon's side. @returns messages */
export function messagesEnd(): u32 {
  store<u32>(base, messages, WORKER_TX_COUNT);
  store<u32>(base, iovs, WORKER_IOV_COUNT);
  return messages;
}
