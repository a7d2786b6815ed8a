/**
 * Single stages of the data path in loops over the packet vector, so that they can be
 * measured one by one. The shipped module exports only whole bursts.
 */
import { WORKER_PACKETS } from '../../asm/layout/memory';
import { PACKET_IS_ETHERNET, PACKET_SIZE } from '../../asm/layout/packet';
import { Packet } from '../../asm/packet';
import { encap as encapOne } from '../../asm/stage/encap';
import { parse as parseOne } from '../../asm/stage/parse';
import { track as trackOne } from '../../asm/stage/track';
import { policyCell } from '../../asm/table/policy';
import { endpointFind, routeFind, tunnelRow } from '../../asm/table/snapshot';
import { messagesEnd, messagesReset } from '../../asm/transmit/message';
import { pendingFlush, pendingReset } from '../../asm/transmit/pending';
import { Verdict } from '../../asm/verdict';
import { fold, sum } from '../../asm/wire/checksum';
import { area, base, burstBegin } from '../../asm/worker';

export { workerInit } from '../../asm/worker';

function end(n: u32): usize {
  return base + WORKER_PACKETS + n * PACKET_SIZE;
}

/** Takes the live tables. */
export function begin(): bool {
  return burstBegin();
}

/** Parses the frames that the first `n` rows point at. @returns `n` */
export function parse(n: u32): u32 {
  for (let p = base + WORKER_PACKETS; p < end(n); p += PACKET_SIZE) {
    const packet = Packet.at(p);
    packet.setVerdict(Verdict.InProgress);
    packet.setFlags(PACKET_IS_ETHERNET);
    parseOne(packet);
  }
  return n;
}

/** Finds the flows of `n` parsed rows. @returns `n` */
export function track(n: u32): u32 {
  for (let p = base + WORKER_PACKETS; p < end(n); p += PACKET_SIZE) trackOne(Packet.at(p));
  return n;
}

/** Looks up one cell of the policy set at `set` for each row. @returns sum of the cells */
export function cells(n: u32, set: usize): u32 {
  let found: u32 = 0;
  for (let p = base + WORKER_PACKETS; p < end(n); p += PACKET_SIZE) {
    const packet = Packet.at(p);
    found += policyCell(set, packet.sport() & 7, packet.protocol(), packet.dport());
  }
  return found;
}

/** Looks up each row's destination. @returns sum of the endpoint rows' offsets */
export function endpoints(n: u32): u32 {
  let found: u32 = 0;
  for (let p = base + WORKER_PACKETS; p < end(n); p += PACKET_SIZE)
    found += <u32>endpointFind(area, Packet.at(p).destination());
  return found;
}

/** Looks up the longest prefix of each row's destination. @returns sum of the routes */
export function routes(n: u32): u32 {
  let found: u32 = 0;
  for (let p = base + WORKER_PACKETS; p < end(n); p += PACKET_SIZE)
    found += routeFind(area, Packet.at(p).destination());
  return found;
}

/** Encapsulates the packets of `n` parsed rows and groups them. @returns messages */
export function encap(n: u32, tunnel: u32): u32 {
  messagesReset();
  pendingReset();
  const row = tunnelRow(area, tunnel);
  for (let p = base + WORKER_PACKETS; p < end(n); p += PACKET_SIZE) {
    const packet = Packet.at(p);
    const ip = packet.ip();
    const bytes = packet.ipLength();
    encapOne(row, packet.target(), ip, bytes, packet.version(), packet.tos(), packet.hash(), 1);
  }
  pendingFlush();
  return messagesEnd();
}

/** Sums `count` regions of `bytes`, `stride` apart. @returns sum of their 16-bit sums */
export function sums(at: usize, bytes: u32, stride: u32, count: u32): u32 {
  let found: u32 = 0;
  for (let i: u32 = 0; i < count; i++) found += fold(sum(at + i * stride, bytes));
  return found;
}
