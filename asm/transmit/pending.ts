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

import { IOV_LENGTH, IOV_SIZE, TX_FRAMES, TX_IOVS, TX_SEGMENT } from '../layout/burst';
import {
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
} from '../layout/pending';
import { STAT_BATCHES, TUNNEL_IPIP, TUNNEL_KIND, TUNNEL_SOCKADDR, TUNNEL_TX_PACKETS } from '../layout/tables';
import { countStat, countTunnel } from '../table/counters';
import { tunnelRow } from '../table/snapshot';
import { area, base, maxBatch, offloads } from '../worker';
import { messageBegin, iovs as messageIovs, messagePush, messages } from './message';

/** Most bytes of one message: below 65507 (UDP over IPv4), with room for IPv6 extension headers. */
const MAX_MESSAGE_BYTES: u32 = 65000;
/** Most gather entries that the kernel takes (UIO_MAXIOV). */
const MAX_MESSAGE_IOVS: u32 = 1024;

let rows: u32 = 0;
let iovs: u32 = 0;

export function pendingReset(): void {
  rows = 0;
  iovs = 0;
}

/** Room for so many more messages, pending or not, and gather entries behind them. */
export function transmitFits(count: u32, entries: u32): bool {
  return rows + messages + count <= MAX_TX_MESSAGES && iovs + messageIovs + entries <= MAX_IOVS;
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
  return row;
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
  if (rows === 0) return;
  const chains = base + WORKER_PENDING_CHAINS;
  memory.fill(chains, 0, PENDING_BUCKETS << 3);
  const first = base + WORKER_PENDING;
  const end = first + rows * PENDING_SIZE;
  for (let row = first; row < end; row += PENDING_SIZE) {
    const key =
      (<u32>load<u16>(row, PENDING_SLOT) ^ (load<u32>(row, PENDING_TUNNEL) * 31)) & (PENDING_BUCKETS - 1);
    const chain = chains + (key << 3);
    const last = <usize>load<u32>(chain, 4);
    if (last === 0) store<u32>(chain, <u32>row);
    else store<u32>(last, <u32>row, PENDING_NEXT);
    store<u32>(chain, <u32>row, 4);
  }
  for (let row = first; row < end; row += PENDING_SIZE) {
    const key =
      (<u32>load<u16>(row, PENDING_SLOT) ^ (load<u32>(row, PENDING_TUNNEL) * 31)) & (PENDING_BUCKETS - 1);
    const chain = chains + (key << 3);
    const head = <usize>load<u32>(chain);
    if (head === 0) continue;
    store<u32>(chain, 0);
    chainFlush(head);
  }
}

/** Turns a chain into as few messages as its sizes allow. */
function chainFlush(head: usize): void {
  let row = head;
  while (row !== 0) {
    const tunnel = load<u32>(row, PENDING_TUNNEL);
    const slot = load<u32>(row);
    const segment = <u32>load<u16>(row, PENDING_SEGMENT);
    const address = <usize>tunnelRow(area, tunnel) + TUNNEL_SOCKADDR;
    const limit = batchLimit(tunnel);
    const message = messageBegin(
      <u32>load<u16>(row, PENDING_SLOT),
      <u32>load<u8>(row, PENDING_TOS),
      0,
      <u32>load<u16>(row, PENDING_FRAMES),
      address,
      tunnel,
    );
    let datagrams = load<u32>(row, PENDING_DATAGRAMS);
    let bytes = load<u32>(row, PENDING_BYTES);
    copyIovs(message, row);
    row = <usize>load<u32>(row, PENDING_NEXT);
    // A short datagram ends a segmented message, so nothing can follow it.
    while (
      row !== 0 &&
      bytes === datagrams * segment &&
      load<u32>(row) === slot &&
      load<u32>(row, PENDING_TUNNEL) === tunnel
    ) {
      const more = load<u32>(row, PENDING_DATAGRAMS);
      const size = <u32>load<u16>(row, PENDING_SEGMENT);
      const moreBytes = load<u32>(row, PENDING_BYTES);
      if (datagrams + more > limit || bytes + moreBytes > MAX_MESSAGE_BYTES) break;
      if (size > segment || (size < segment && more > 1)) break;
      if (load<u32>(message, TX_IOVS) + load<u32>(row, PENDING_IOVS) > MAX_MESSAGE_IOVS) break;
      copyIovs(message, row);
      store<u16>(message, load<u16>(message, TX_FRAMES) + load<u16>(row, PENDING_FRAMES), TX_FRAMES);
      datagrams += more;
      bytes += moreBytes;
      row = <usize>load<u32>(row, PENDING_NEXT);
    }
    if (datagrams > 1) {
      store<u16>(message, <u16>segment, TX_SEGMENT);
      countStat(STAT_BATCHES, 1);
    }
    countTunnel(tunnel, TUNNEL_TX_PACKETS, datagrams, bytes);
  }
}

/** Datagrams that one message may carry: raw sockets know no UDP_SEGMENT. */
function batchLimit(tunnel: u32): u32 {
  const isRaw = <u32>load<u8>(tunnelRow(area, tunnel), TUNNEL_KIND) === TUNNEL_IPIP;
  return isRaw || !(offloads & OFFLOAD_UDP_SEGMENT) ? 1 : maxBatch;
}

function copyIovs(message: usize, row: usize): void {
  const count = load<u32>(row, PENDING_IOVS);
  let from = base + WORKER_OPEN_IOVS + load<u32>(row, PENDING_IOV) * IOV_SIZE;
  for (let i: u32 = 0; i < count; i++) {
    messagePush(message, load<u32>(from), load<u32>(from, IOV_LENGTH));
    from += IOV_SIZE;
  }
}
