/**
 * Datagrams to peers, grouped so that one send carries many.
 *
 * A send costs a few microseconds whatever it carries, so datagrams of equal size to one
 * peer from one source port leave as one UDP_SEGMENT message. Grouping happens at the end
 * of the burst; until then each datagram is a row of its own:
 *
 *     rows     a₁ b₁ a₂ a₃ b₂            (in the order of arrival)
 *     chains   a: a₁ → a₂ → a₃   b: b₁ → b₂
 *     messages [a₁ a₂ a₃] [b₁ b₂]
 *
 * Order within a chain is kept, and a flow never changes its chain, so no flow is reordered.
 */

import { IOV_LENGTH, IOV_SIZE } from '../layout/burst';
import {
  FIRST_SOCKET_SLOT,
  MAX_IOVS,
  MAX_TX_MESSAGES,
  OFFLOAD_UDP_SEGMENT,
  WORKER_OPEN_IOVS,
  WORKER_PENDING,
  WORKER_PENDING_CHAINS,
} from '../layout/memory';
import {
  PENDING_BUCKETS,
  PENDING_BYTES,
  PENDING_DATAGRAMS,
  PENDING_FRAMES,
  PENDING_IOV,
  PENDING_IOVS,
  PENDING_NEXT,
  PENDING_SEGMENT,
  PENDING_SIZE,
  PENDING_SLOT,
  PENDING_TOS,
  PENDING_TUNNEL,
  PENDING_USED,
} from '../layout/pending';
import { STAT_BATCHES, TUNNEL_IPIP, TUNNEL_KIND, TUNNEL_SOCKADDR, TUNNEL_TX_PACKETS } from '../layout/tables';
import { countStat, countTunnel } from '../table/counters';
import { tunnelRow } from '../table/snapshot';
import { area, base, maxBatch, offloads } from '../worker';
import {
  messageBegin,
  messageEnd,
  messageEntries,
  iovs as messageIovs,
  messagePush,
  messages,
} from './message';

/** Most bytes of one message: below 65507 (UDP over IPv4), with room for IPv6 extension headers. */
const MAX_MESSAGE_BYTES: u32 = 65000;
/** Most gather entries that the kernel takes (UIO_MAXIOV). */
const MAX_MESSAGE_IOVS: u32 = 1024;

let rows: u32 = 0;
let iovs: u32 = 0;
/** Chains in use. */
let chains: u32 = 0;

export function pendingReset(): void {
  rows = 0;
  iovs = 0;
  chains = 0;
}

/** Room for so many more messages, pending or not, and gather entries behind them. */
export function transmitFits(count: u32, entries: u32): bool {
  return rows + messages + count <= MAX_TX_MESSAGES && iovs + messageIovs + entries <= MAX_IOVS;
}

/** Adds a row of one datagram that lies in one piece. */
export function pendingSingle(
  slot: u32,
  tos: u32,
  tunnel: u32,
  offset: usize,
  length: u32,
  frames: u32,
): void {
  const row = base + WORKER_PENDING + rows * PENDING_SIZE;
  store<u32>(row, slot | (tos << 16), PENDING_SLOT);
  store<u32>(row, iovs, PENDING_IOV);
  store<u32>(row, 1, PENDING_IOVS);
  store<u32>(row, length | (frames << 16), PENDING_SEGMENT);
  store<u32>(row, tunnel, PENDING_TUNNEL);
  store<u32>(row, length, PENDING_BYTES);
  store<u32>(row, 1, PENDING_DATAGRAMS);
  store<u32>(row, 0, PENDING_NEXT);
  rows++;
  const v = base + WORKER_OPEN_IOVS + iovs * IOV_SIZE;
  store<u32>(v, <u32>offset);
  store<u32>(v, length, IOV_LENGTH);
  iovs++;
  chainAppend(row, slot, tunnel);
}

/**
 * Adds a row of its own message: a frame with its vnet header for the slot `by`, behind what `slot` has sent.
 * @param slot socket of the flow
 * @param bytes of the `datagrams` that the kernel will make of it
 */
export function pendingFrame(
  slot: u32,
  by: u32,
  tunnel: u32,
  offset: usize,
  length: u32,
  frames: u32,
  datagrams: u32,
  bytes: u32,
): void {
  const row = base + WORKER_PENDING + rows * PENDING_SIZE;
  store<u32>(row, by, PENDING_SLOT);
  store<u32>(row, iovs, PENDING_IOV);
  store<u32>(row, 1, PENDING_IOVS);
  store<u32>(row, frames << 16, PENDING_SEGMENT);
  store<u32>(row, tunnel, PENDING_TUNNEL);
  store<u32>(row, bytes, PENDING_BYTES);
  store<u32>(row, datagrams, PENDING_DATAGRAMS);
  store<u32>(row, 0, PENDING_NEXT);
  rows++;
  const v = base + WORKER_OPEN_IOVS + iovs * IOV_SIZE;
  store<u32>(v, <u32>offset);
  store<u32>(v, length, IOV_LENGTH);
  iovs++;
  chainAppend(row, slot, tunnel);
}

/** Starts a row; its datagrams are those pushed from now on, all `segment` bytes but the last. */
export function pendingBegin(slot: u32, tos: u32, tunnel: u32, segment: u32, frames: u32): usize {
  const row = base + WORKER_PENDING + rows * PENDING_SIZE;
  store<u16>(row, <u16>slot, PENDING_SLOT);
  store<u16>(row, <u16>tos, PENDING_TOS);
  store<u32>(row, iovs, PENDING_IOV);
  store<u32>(row, 0, PENDING_IOVS);
  store<u16>(row, <u16>segment, PENDING_SEGMENT);
  store<u16>(row, <u16>frames, PENDING_FRAMES);
  store<u32>(row, tunnel, PENDING_TUNNEL);
  store<u32>(row, 0, PENDING_BYTES);
  store<u32>(row, 0, PENDING_DATAGRAMS);
  store<u32>(row, 0, PENDING_NEXT);
  rows++;
  chainAppend(row, slot, tunnel);
  return row;
}

/** Puts a row behind those of its peer and source port. */
function chainAppend(row: usize, slot: u32, tunnel: u32): void {
  const first = base + WORKER_PENDING_CHAINS;
  if (chains === 0) memory.fill(first, 0, PENDING_USED);
  const chain = first + (((slot ^ (tunnel * 31)) & (PENDING_BUCKETS - 1)) << 3);
  const last = <usize>load<u32>(chain, 4);
  store<u32>(chain, <u32>row, 4);
  if (last !== 0) {
    store<u32>(last, <u32>row, PENDING_NEXT);
  } else {
    store<u32>(chain, <u32>row);
    store<u32>(first + PENDING_USED + (chains << 2), <u32>chain);
    chains++;
  }
}

/** Appends bytes to the row begun last. */
export function pendingPush(row: usize, offset: usize, length: u32): void {
  const v = base + WORKER_OPEN_IOVS + iovs * IOV_SIZE;
  store<u32>(v, <u32>offset);
  store<u32>(v, length, IOV_LENGTH);
  iovs++;
  store<u32>(row, load<u32>(row, PENDING_IOVS) + 1, PENDING_IOVS);
  store<u32>(row, load<u32>(row, PENDING_BYTES) + length, PENDING_BYTES);
}

/** Says that the bytes pushed since the last call are one datagram. */
export function pendingDatagram(row: usize): void {
  store<u32>(row, load<u32>(row, PENDING_DATAGRAMS) + 1, PENDING_DATAGRAMS);
}

/** Turns all rows into messages. */
export function pendingFlush(): void {
  const used = base + WORKER_PENDING_CHAINS + PENDING_USED;
  for (let i: u32 = 0; i < chains; i++) {
    const chain = <usize>load<u32>(used + (i << 2));
    chainFlush(load<u32>(chain));
  }
}

/** Turns a chain into as few messages as its sizes allow. */
function chainFlush(head: usize): void {
  let row = head;
  while (row !== 0) {
    if (<u32>load<u16>(row, PENDING_SLOT) < FIRST_SOCKET_SLOT) {
      row = frameFlush(row);
      continue;
    }
    const first = row;
    const tunnel = load<u32>(first, PENDING_TUNNEL);
    const slotAndTos = load<u32>(first);
    const segment = <u32>load<u16>(first, PENDING_SEGMENT);
    const limit = batchLimit(tunnel);
    const message = messageBegin(
      slotAndTos & 0xffff,
      slotAndTos >> 16,
      0,
      0,
      <usize>tunnelRow(area, tunnel) + TUNNEL_SOCKADDR,
      tunnel,
    );
    let datagrams: u32 = 0;
    let bytes: u32 = 0;
    let frames: u32 = 0;
    let entries: u32 = 0;
    do {
      const count = load<u32>(row, PENDING_IOVS);
      messageEntries(base + WORKER_OPEN_IOVS + load<u32>(row, PENDING_IOV) * IOV_SIZE, count);
      entries += count;
      datagrams += load<u32>(row, PENDING_DATAGRAMS);
      bytes += load<u32>(row, PENDING_BYTES);
      frames += <u32>load<u16>(row, PENDING_FRAMES);
      row = <usize>load<u32>(row, PENDING_NEXT);
      // A short datagram ends a segmented message, so nothing can follow it.
    } while (
      row !== 0 &&
      bytes === datagrams * segment &&
      load<u32>(row) === slotAndTos &&
      load<u32>(row, PENDING_TUNNEL) === tunnel &&
      load<u32>(row, PENDING_DATAGRAMS) + datagrams <= limit &&
      load<u32>(row, PENDING_BYTES) + bytes <= MAX_MESSAGE_BYTES &&
      load<u32>(row, PENDING_IOVS) + entries <= MAX_MESSAGE_IOVS &&
      mayFollow(row, segment)
    );
    messageEnd(message, datagrams > 1 ? segment : 0, frames, entries, bytes);
    if (datagrams > 1) countStat(STAT_BATCHES, 1);
    countTunnel(tunnel, TUNNEL_TX_PACKETS, datagrams, bytes);
  }
}

/** A frame goes by a message of its own. @returns the next row of the chain */
function frameFlush(row: usize): usize {
  const tunnel = load<u32>(row, PENDING_TUNNEL);
  const slot = <u32>load<u16>(row, PENDING_SLOT);
  const message = messageBegin(slot, 0, 0, <u32>load<u16>(row, PENDING_FRAMES), 0, tunnel);
  const count = load<u32>(row, PENDING_IOVS);
  let entry = base + WORKER_OPEN_IOVS + load<u32>(row, PENDING_IOV) * IOV_SIZE;
  for (let i: u32 = 0; i < count; i++) {
    messagePush(message, load<u32>(entry), load<u32>(entry, IOV_LENGTH));
    entry += IOV_SIZE;
  }
  countTunnel(tunnel, TUNNEL_TX_PACKETS, load<u32>(row, PENDING_DATAGRAMS), load<u32>(row, PENDING_BYTES));
  return load<u32>(row, PENDING_NEXT);
}

/** Whether a row's datagrams may follow others of `segment` bytes: equal ones, or a shorter one as the last. */
function mayFollow(row: usize, segment: u32): bool {
  const size = <u32>load<u16>(row, PENDING_SEGMENT);
  return size === segment || (size < segment && load<u32>(row, PENDING_DATAGRAMS) === 1);
}

/** Datagrams that one message may carry: raw sockets know no UDP_SEGMENT. */
function batchLimit(tunnel: u32): u32 {
  const isRaw = <u32>load<u8>(tunnelRow(area, tunnel), TUNNEL_KIND) === TUNNEL_IPIP;
  return isRaw || !(offloads & OFFLOAD_UDP_SEGMENT) ? 1 : maxBatch;
}
