/**
 * Connections: two buckets of eight ways each, tags apart from entries.
 *
 *     hash ──► bucket ──► tags │t₀│t₁│ … │t₇│   one 32-byte load pair and a compare
 *       │                          │
 *       │                          ▼
 *       │                 entry of 128 bytes    only where the tag matches
 *       └────► second bucket, where the first has not got it: so that those which must
 *              stay fill the table nearly to its end before two of them want one place
 *
 * A packet's hash is the same for both directions, so either finds the one entry. Bounded:
 * a full bucket gives up an entry that has expired, then the oldest that is not established
 * or no more, then an established one without a handshake that has been silent for a while; an
 * established TCP connection or SCTP association never gives way to a new one.
 */

import {
  AFFINITY_PROTOCOL,
  DIRECTION_FORWARD,
  DIRECTION_REVERSE,
  FLOW_FLAG_AFFINITY,
  FLOW_FLAG_FROM_NODE,
  FLOW_FLAG_FRONT,
  FLOW_FLAG_HAS_BESIDE,
  FLOW_FLAG_TRANSLATED,
  FLOW_FLAGS,
  FLOW_IS_ANSWERED,
  FLOW_IS_CLOSING,
  FLOW_IS_ESTABLISHED,
  FLOW_IS_NEW,
  FLOW_IS_RESET,
  FLOW_JUDGED,
  FLOW_OPORT,
  FLOW_PROTOCOL,
  FLOW_RESPONDER,
  FLOW_SEEN,
  FLOW_SIZE,
  FLOW_STATE,
  FLOW_TAG_BUSY,
  FLOW_TAGS_SIZE,
  FLOW_WAYS,
  FLOWS_DISCARDED,
  FLOWS_EPOCH,
  FLOWS_HEADER_SIZE,
  FLOWS_MAGIC,
  FLOWS_MAGIC_VALUE,
  FLOWS_MASK,
  FLOWS_SEED,
  FLOWS_SIZE,
  FLOWS_VERSION,
  FLOWS_VERSION_VALUE,
  FRONT_TRANSLATION,
  TRANSLATION_BESIDE,
  TRANSLATION_DESTINATION,
  TRANSLATION_KEEP,
  TRANSLATION_PORTS,
  TRANSLATION_SIZE,
  TRANSLATION_SOURCE,
  TRANSLATION_TWIN,
} from '../layout/flows';
import { CONTROL_EPOCH, CONTROL_FLOWS, CONTROL_FLOWS_SIZE, CONTROL_SEED } from '../layout/memory';
import { PACKET_FROM_NODE } from '../layout/packet';
import { STAT_FLOWS_CREATED, STAT_FLOWS_EVICTED, STAT_FLOWS_REFUSED } from '../layout/tables';
import { Packet } from '../packet';
import { copyAddress, isSameAddress } from '../wire/address';
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_SCTP, PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/protocol';
import { flows, isLogging, now } from '../worker';
import { countStat } from './counters';
import { eventClosed } from './events';
import { prefetch } from './prefetch';

// Milliseconds without a packet after which an entry may go: the defaults of Linux' conntrack.
const SHORTEST_TIMEOUT: u32 = 10_000;
const TIMEOUT_TCP_SYN: u32 = 120_000;
const TIMEOUT_TCP_SYN_ACK: u32 = 60_000;
const TIMEOUT_TCP_ESTABLISHED: u32 = 432_000_000;
const TIMEOUT_TCP_FIN: u32 = 120_000;
const TIMEOUT_RESET: u32 = 10_000;
const TIMEOUT_SCTP_INIT: u32 = 30_000;
const TIMEOUT_SCTP_ESTABLISHED: u32 = 210_000;
const TIMEOUT_UDP: u32 = 30_000;
const TIMEOUT_UDP_ANSWERED: u32 = 120_000;
const TIMEOUT_ICMP: u32 = 30_000;
const TIMEOUT_OTHER: u32 = 600_000;

/** Milliseconds for which an established flow without a handshake keeps its place in a full bucket. */
const RESPITE: u32 = 10_000;

/** Bytes of one bucket in the three parts of the region. */
const BUCKET_SIZE: u32 = FLOW_TAGS_SIZE + FLOW_WAYS * (FLOW_SIZE + TRANSLATION_SIZE);

/**
 * Takes up the flow region at CONTROL_FLOWS, or formats it where it is not one of this
 * layout and size. Sets CONTROL_EPOCH and CONTROL_SEED from a region taken up.
 * @returns whether the flows in it were kept
 */
export function flowsOpen(): bool {
  const p = <usize>load<u32>(CONTROL_FLOWS);
  const size = load<u32>(CONTROL_FLOWS_SIZE);
  let buckets: u32 = 1;
  while (FLOWS_HEADER_SIZE + (buckets << 1) * BUCKET_SIZE <= size) buckets <<= 1;
  if (
    load<u32>(p, FLOWS_MAGIC) === FLOWS_MAGIC_VALUE &&
    load<u32>(p, FLOWS_VERSION) === FLOWS_VERSION_VALUE &&
    load<u32>(p, FLOWS_SIZE) === size &&
    load<u32>(p, FLOWS_MASK) === buckets - 1
  ) {
    store<u32>(CONTROL_EPOCH, load<u32>(p, FLOWS_EPOCH));
    store<u32>(CONTROL_SEED, load<u32>(p, FLOWS_SEED));
    releaseBusy(p, buckets);
    return true;
  }
  const discarded: u32 = load<u32>(p, FLOWS_MAGIC) === 0 ? 0 : load<u32>(p, FLOWS_DISCARDED) + 1;
  memory.fill(p, 0, size);
  store<u32>(p, FLOWS_VERSION_VALUE, FLOWS_VERSION);
  store<u32>(p, size, FLOWS_SIZE);
  store<u32>(p, load<u32>(CONTROL_SEED), FLOWS_SEED);
  store<u32>(p, buckets - 1, FLOWS_MASK);
  store<u32>(p, discarded, FLOWS_DISCARDED);
  store<u32>(p, FLOWS_MAGIC_VALUE, FLOWS_MAGIC);
  return false;
}

/** Frees entries that a killed worker was writing. */
function releaseBusy(p: usize, buckets: u32): void {
  const tags = p + FLOWS_HEADER_SIZE;
  const end = tags + buckets * FLOW_TAGS_SIZE;
  for (let tag = tags; tag < end; tag += 4) {
    if (load<u32>(tag) !== FLOW_TAG_BUSY) continue;
    store<u8>(end + ((tag - tags) >> 2) * FLOW_SIZE, 0, FLOW_STATE);
    store<u32>(tag, 0);
  }
}

/** Flows in the table; walks all of it, so for the control thread only. */
export function flowsCount(): u32 {
  const p = <usize>load<u32>(CONTROL_FLOWS);
  const tags = p + FLOWS_HEADER_SIZE;
  const end = tags + (load<u32>(p, FLOWS_MASK) + 1) * FLOW_TAGS_SIZE;
  let n: u32 = 0;
  for (let tag = tags; tag < end; tag += 4) n += load<u32>(tag) !== 0 ? 1 : 0;
  return n;
}

function tagOf(hash: u32): u32 {
  return (hash | 1) & 0x7fffffff;
}

function bucketOf(hash: u32, mask: u32): u32 {
  return (hash >> 7) & mask;
}

/** The other bucket; the same one where there is one alone. */
function secondOf(bucket: u32, hash: u32, mask: u32): u32 {
  return (bucket ^ ((hash * 0x9e3779b1) >> 12) ^ 1) & mask;
}

function tagsOf(bucket: u32): usize {
  return flows + FLOWS_HEADER_SIZE + bucket * FLOW_TAGS_SIZE;
}

function entriesOf(bucket: u32, mask: u32): usize {
  return flows + FLOWS_HEADER_SIZE + (mask + 1) * FLOW_TAGS_SIZE + bucket * (FLOW_WAYS * FLOW_SIZE);
}

/**
 * Finds the flow of a parsed packet: FLOW and DIRECTION of the row.
 * @returns FLOW, 0 where there is none
 */
export function flowFind(packet: Packet): usize {
  const mask = load<u32>(flows, FLOWS_MASK);
  const bucket = bucketOf(packet.hash(), mask);
  const entry = findIn(packet, bucket, mask);
  return entry !== 0 ? entry : findIn(packet, secondOf(bucket, packet.hash(), mask), mask);
}

function findIn(packet: Packet, bucket: u32, mask: u32): usize {
  let hits = hitsIn(tagsOf(bucket), tagOf(packet.hash()));
  const entries = entriesOf(bucket, mask);
  while (hits !== 0) {
    const entry = entries + ctz<u32>(hits) * FLOW_SIZE;
    hits &= hits - 1;
    const isThere = isForward(entry, packet);
    if (!isThere && !isReverse(entry, packet)) continue;
    packet.setFlow(entry);
    packet.setDirection(isThere ? DIRECTION_FORWARD : DIRECTION_REVERSE);
    return entry;
  }
  packet.setFlow(0);
  return 0;
}

/** Flows from which on a look ahead saves more than it costs: as many as a core's nearer caches hold. */
const MANY: u32 = 2048;
/** Bucket that is sampled next, and ways taken in a bucket as a running mean of some 256 samples, × 65 536. */
let sampled: u32 = 0;
let fullness: i32 = 0;

/** Whether the table holds more flows than a cache does, by a sample of one bucket a call. */
export function flowsAreMany(): bool {
  const mask = load<u32>(flows, FLOWS_MASK);
  const ways = FLOW_WAYS - popcnt<u32>(hitsIn(tagsOf(sampled++ & mask), 0));
  fullness += (((<i32>ways) << 16) - fullness) >> 8;
  return (<u64>fullness * (mask + 1)) >> 16 > MANY;
}

/** Has the tags at hand among which flowFind will look first. */
export function flowPrefetchTags(packet: Packet): void {
  prefetch(tagsOf(bucketOf(packet.hash(), load<u32>(flows, FLOWS_MASK))));
}

/** The same for the entry that it will find there, or for the other bucket's tags where that has none. */
export function flowPrefetch(packet: Packet): void {
  const entry = likelyEntry(packet);
  if (entry !== 0) {
    prefetch(entry);
    prefetch(entry + FLOW_SIZE / 2);
    return;
  }
  const mask = load<u32>(flows, FLOWS_MASK);
  prefetch(tagsOf(secondOf(bucketOf(packet.hash(), mask), packet.hash(), mask)));
}

/** The same for the flow behind that entry where it is a front. */
export function flowPrefetchBehind(packet: Packet): void {
  const entry = likelyEntry(packet);
  if (entry === 0 || !isFront(entry)) return;
  const flow = flowBehind(entry);
  if (flow === 0) return;
  prefetch(flow);
  prefetch(flow + FLOW_SIZE / 2);
}

/** First entry of the first bucket that has the packet's tag: nearly always its own. 0: none. */
function likelyEntry(packet: Packet): usize {
  const mask = load<u32>(flows, FLOWS_MASK);
  const bucket = bucketOf(packet.hash(), mask);
  const hits = hitsIn(tagsOf(bucket), tagOf(packet.hash()));
  return hits === 0 ? 0 : entriesOf(bucket, mask) + ctz<u32>(hits) * FLOW_SIZE;
}

/** Ways of a bucket that have a tag, a bit each. */
function hitsIn(tags: usize, tag: u32): u32 {
  const wanted = i32x4.splat(tag);
  return (
    <u32>i32x4.bitmask(i32x4.eq(v128.load(tags), wanted)) |
    ((<u32>i32x4.bitmask(i32x4.eq(v128.load(tags, 16), wanted))) << 4)
  );
}

/** Offset of the translation row of a connection, which means something where its flags say so. */
export function translationOf(entry: usize): usize {
  const buckets = load<u32>(flows, FLOWS_MASK) + 1;
  const entries = flows + FLOWS_HEADER_SIZE + buckets * FLOW_TAGS_SIZE;
  return entries + buckets * (FLOW_WAYS * FLOW_SIZE) + ((entry - entries) / FLOW_SIZE) * TRANSLATION_SIZE;
}

/**
 * Entry that another one names by its offset from the region's start; 0 where none lies there: 0 was written, or
 * another worker is making something else of who names it.
 */
function entryAt(offset: u32): usize {
  const buckets = load<u32>(flows, FLOWS_MASK) + 1;
  const inEntries = offset - (FLOWS_HEADER_SIZE + buckets * FLOW_TAGS_SIZE);
  const isEntry = inEntries < buckets * (FLOW_WAYS * FLOW_SIZE) && inEntries % FLOW_SIZE === 0;
  return isEntry ? flows + offset : 0;
}

/** The flow behind a front; it may be another connection's by now. 0: none. */
export function flowBehind(front: usize): usize {
  return entryAt(load<u32>(front + FRONT_TRANSLATION, TRANSLATION_TWIN));
}

/** Whether this is the front of a flow. */
export function isFrontOf(front: usize, flow: usize): bool {
  return <usize>load<u32>(translationOf(flow), TRANSLATION_TWIN) === front - flows;
}

/** Makes each of the two find the other. A front that led to the flow before leads there no more. */
export function flowsPair(flow: usize, front: usize): void {
  const row = translationOf(flow);
  const before = entryAt(load<u32>(row, TRANSLATION_TWIN));
  if (before !== 0 && before !== front && isFront(before) && flowBehind(before) === flow)
    store<u32>(before + FRONT_TRANSLATION, 0, TRANSLATION_TWIN);
  store<u32>(row, <u32>(front - flows), TRANSLATION_TWIN);
  store<u32>(front + FRONT_TRANSLATION, <u32>(flow - flows), TRANSLATION_TWIN);
}

/** Lets `taken`, a translated flow, find the connection past the Service that its ends belong to in the client's eyes. */
export function flowsBeside(taken: usize, flow: usize): void {
  store<u32>(translationOf(taken), <u32>(flow - flows), TRANSLATION_BESIDE);
  atomic.or<u16>(taken, <u16>FLOW_FLAG_HAS_BESIDE, FLOW_FLAGS);
}

/** The connection past the Service whose client sees the ends of `taken`, a translated flow; 0: none. */
export function flowBeside(taken: usize): usize {
  if (!(<u32>load<u16>(taken, FLOW_FLAGS) & FLOW_FLAG_HAS_BESIDE)) return 0;
  const flow = entryAt(load<u32>(translationOf(taken), TRANSLATION_BESIDE));
  if (flow === 0 || load<u8>(flow, FLOW_STATE) === 0 || !isTranslated(flow)) return 0;
  const row = translationOf(flow);
  const isSame =
    load<u32>(row, TRANSLATION_PORTS) === load<u32>(taken, FLOW_OPORT) &&
    isSameAddress(row + TRANSLATION_SOURCE, taken) &&
    isSameAddress(row + TRANSLATION_DESTINATION, taken + FLOW_RESPONDER);
  return isSame ? flow : 0;
}

/** Whether the client of a connection sees other ends than these. */
export function isTranslated(entry: usize): bool {
  return (<u32>load<u16>(entry, FLOW_FLAGS) & FLOW_FLAG_TRANSLATED) !== 0;
}

export function isFront(entry: usize): bool {
  return (<u32>load<u16>(entry, FLOW_FLAGS) & FLOW_FLAG_FRONT) !== 0;
}

/** Whether the entry is a connection, of which the flow log tells. */
export function isConnection(entry: usize): bool {
  return (<u32>load<u16>(entry, FLOW_FLAGS) & (FLOW_FLAG_FRONT | FLOW_FLAG_AFFINITY)) === 0;
}

/** Whether `entry` is a flow in the table that has the packet's ends, in its direction. */
export function isFlowOf(entry: usize, packet: Packet): bool {
  // What is taken out of the table has no state.
  return load<u8>(entry, FLOW_STATE) !== 0 && isTranslated(entry) && isForward(entry, packet);
}

/** Takes an entry out of the table. */
export function flowRemove(entry: usize): void {
  const at = tagAt(entry, load<u32>(flows, FLOWS_MASK));
  const tag = load<u32>(at);
  if (tag === 0 || tag === FLOW_TAG_BUSY || atomic.cmpxchg<u32>(at, tag, FLOW_TAG_BUSY) !== tag) return;
  if (isLogging && isConnection(entry)) eventClosed(entry, true);
  store<u8>(entry, 0, FLOW_STATE);
  atomic.store<u32>(at, 0);
}

/** The entry that lives as long as this one: a front's flow, itself otherwise; 0: the front's flow has gone. */
function lifeOf(entry: usize): usize {
  if (!isFront(entry)) return entry;
  const flow = flowBehind(entry);
  if (flow === 0 || !isTranslated(flow)) return 0;
  return isFrontOf(entry, flow) ? flow : 0;
}

/** Milliseconds that an entry may stay silent. */
function timeoutOf(entry: usize): u32 {
  const state = <u32>load<u8>(entry, FLOW_STATE);
  const protocol = <u32>load<u8>(entry, FLOW_PROTOCOL);
  if (protocol === AFFINITY_PROTOCOL) return load<u32>(entry + FRONT_TRANSLATION, TRANSLATION_KEEP);
  if (state === FLOW_IS_RESET) return TIMEOUT_RESET;
  if (protocol === PROTOCOL_TCP) {
    if (state === FLOW_IS_ESTABLISHED) return TIMEOUT_TCP_ESTABLISHED;
    if (state === FLOW_IS_ANSWERED) return TIMEOUT_TCP_SYN_ACK;
    return state === FLOW_IS_NEW ? TIMEOUT_TCP_SYN : TIMEOUT_TCP_FIN;
  }
  const isEstablished = state === FLOW_IS_ESTABLISHED;
  if (protocol === PROTOCOL_UDP) return isEstablished ? TIMEOUT_UDP_ANSWERED : TIMEOUT_UDP;
  if (protocol === PROTOCOL_SCTP) return isEstablished ? TIMEOUT_SCTP_ESTABLISHED : TIMEOUT_SCTP_INIT;
  return protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMPV6 ? TIMEOUT_ICMP : TIMEOUT_OTHER;
}

/** Whether the entry has been silent for too long to count. */
export function isExpired(entry: usize): bool {
  const life = lifeOf(entry);
  if (life === 0) return true;
  const idle = now - load<u32>(life, FLOW_SEEN);
  return idle > SHORTEST_TIMEOUT && idle > timeoutOf(life);
}

/** How gladly an entry is given up, 0: never. The idle time breaks ties. */
function worth(taken: usize): u64 {
  const entry = lifeOf(taken);
  if (entry === 0) return ((<u64>3) << 32) + <u64>(now - load<u32>(taken, FLOW_SEEN));
  const beside = flowBeside(entry);
  return beside === 0 ? worthOf(entry) : min(worthOf(entry), worthOf(beside));
}

/** The same of a flow, whatever leads to it. */
function worthOf(entry: usize): u64 {
  const idle = <u64>(now - load<u32>(entry, FLOW_SEEN));
  if (idle > <u64>timeoutOf(entry)) return ((<u64>3) << 32) + idle;
  const state = <u32>load<u8>(entry, FLOW_STATE);
  const protocol = <u32>load<u8>(entry, FLOW_PROTOCOL);
  if (protocol === PROTOCOL_TCP || protocol === PROTOCOL_SCTP) {
    const isAlive = state === FLOW_IS_ESTABLISHED || state === FLOW_IS_CLOSING;
    return isAlive ? 0 : ((<u64>2) << 32) + idle;
  }
  if (state !== FLOW_IS_ESTABLISHED) return ((<u64>2) << 32) + idle;
  return idle > <u64>RESPITE ? ((<u64>1) << 32) + idle : 0;
}

/** Value of an entry that nothing is in. */
const FREE: u64 = u64.MAX_VALUE;

/** Way of a bucket that is given up most gladly: its tag, 0 where all must stay. Sets `bestTag`, `bestWorth` and `freeWays`. */
function bestOf(bucket: u32, mask: u32): usize {
  const tags = tagsOf(bucket);
  const free = hitsIn(tags, 0);
  freeWays = popcnt<u32>(free);
  if (free !== 0) {
    // What the others are worth would cost a look at each.
    bestTag = 0;
    bestWorth = FREE;
    return tags + (ctz<u32>(free) << 2);
  }
  const entries = entriesOf(bucket, mask);
  let chosen: usize = 0;
  bestWorth = 0;
  for (let way: u32 = 0; way < FLOW_WAYS; way++) {
    const at = tags + (way << 2);
    const taken = load<u32>(at);
    // Freed meanwhile, or being written: by other workers.
    if (taken === 0 || taken === FLOW_TAG_BUSY) continue;
    const score = worth(entries + way * FLOW_SIZE);
    if (score > bestWorth) {
      bestWorth = score;
      bestTag = taken;
      chosen = at;
    }
  }
  return chosen;
}
let bestTag: u32 = 0;
let bestWorth: u64 = 0;
let freeWays: u32 = 0;

/** Entry whose tag stands at `at`. */
function entryOf(at: usize, mask: u32): usize {
  const first = flows + FLOWS_HEADER_SIZE;
  return first + (mask + 1) * FLOW_TAGS_SIZE + ((at - first) >> 2) * FLOW_SIZE;
}

/** Where the tag of an entry stands. */
function tagAt(entry: usize, mask: u32): usize {
  const first = flows + FLOWS_HEADER_SIZE;
  return first + (((entry - first - (mask + 1) * FLOW_TAGS_SIZE) / FLOW_SIZE) << 2);
}

/**
 * Takes an entry for a parsed packet. Nobody finds it before flowPublish.
 * @returns 0 where every entry of both buckets must stay
 */
export function flowClaim(packet: Packet): usize {
  const mask = load<u32>(flows, FLOWS_MASK);
  const first = bucketOf(packet.hash(), mask);
  const second = secondOf(first, packet.hash(), mask);
  for (let attempt: u32 = 0; attempt < FLOW_WAYS; attempt++) {
    let chosen = bestOf(first, mask);
    // The first bucket costs one look-up less, the emptier one keeps room for those that cannot go elsewhere.
    if (freeWays <= FLOW_WAYS / 2) {
      const tagInFirst = bestTag;
      const worthOfFirst = bestWorth;
      const freeInFirst = freeWays;
      const other = bestOf(second, mask);
      if (bestWorth > worthOfFirst || freeWays > freeInFirst) chosen = other;
      else bestTag = tagInFirst;
    }
    if (chosen === 0) break;
    const before = bestTag;
    // Another worker may have taken it since it was looked at, and have put a flow there.
    if (atomic.cmpxchg<u32>(chosen, before, FLOW_TAG_BUSY) !== before) continue;
    const entry = entryOf(chosen, mask);
    if (before !== 0) {
      countStat(STAT_FLOWS_EVICTED, 1);
      if (isLogging && isConnection(entry)) eventClosed(entry, isExpired(entry));
    }
    return entry;
  }
  countStat(STAT_FLOWS_REFUSED, 1);
  return 0;
}

/**
 * Lets a claimed entry be found. Where another worker makes one for the other direction meanwhile, the one that a
 * look-up meets first stays: each publishes before it looks, so at least one of the two sees both, and whichever it
 * is gives up the later.
 * @returns the packet's FLOW; DIRECTION is set, too
 */
export function flowPublish(entry: usize, packet: Packet): usize {
  const mask = load<u32>(flows, FLOWS_MASK);
  const own = tagAt(entry, mask);
  atomic.store<u32>(own, tagOf(packet.hash()));
  countStat(STAT_FLOWS_CREATED, 1);
  const first = bucketOf(packet.hash(), mask);
  const second = secondOf(first, packet.hash(), mask);
  let flow = giveUpLater(tagsOf(first), own, 0, packet, mask);
  if (flow === 0 || flow === entry) flow = giveUpLater(tagsOf(second), own, flow, packet, mask);
  packet.setFlow(flow);
  packet.setDirection(isForward(flow, packet) ? DIRECTION_FORWARD : DIRECTION_REVERSE);
  return flow;
}

/**
 * Goes through a bucket's entries of the packet's flow, `own` and others.
 * @param met the packet's own entry where it was met in the bucket before; 0
 * @returns the first of them: what was met before, the own entry, or another for which that was given up; 0: none
 */
function giveUpLater(tags: usize, own: usize, met: usize, packet: Packet, mask: u32): usize {
  const tag = tagOf(packet.hash());
  let first = met;
  for (let at = tags; at < tags + FLOW_TAGS_SIZE; at += 4) {
    if (at === own) {
      first = entryOf(own, mask);
      continue;
    }
    if (atomic.load<u32>(at) !== tag) continue;
    const twin = entryOf(at, mask);
    if (!isForward(twin, packet) && !isReverse(twin, packet)) continue;
    if (first !== 0) {
      if (atomic.cmpxchg<u32>(at, tag, 0) === tag) store<u8>(twin, 0, FLOW_STATE);
    } else {
      if (atomic.cmpxchg<u32>(own, tag, 0) === tag) store<u8>(entryOf(own, mask), 0, FLOW_STATE);
      return twin;
    }
  }
  return first;
}

/** Whether the packet goes from the flow's originator to its responder. */
export function isForward(entry: usize, packet: Packet): bool {
  return (
    load<u32>(entry, FLOW_OPORT) === packet.ports() &&
    <u32>load<u8>(entry, FLOW_PROTOCOL) === packet.protocol() &&
    isSameAddress(entry, packet.source()) &&
    isSameAddress(entry + FLOW_RESPONDER, packet.destination())
  );
}

function isReverse(entry: usize, packet: Packet): bool {
  return (
    load<u32>(entry, FLOW_OPORT) === rotl<u32>(packet.ports(), 16) &&
    <u32>load<u8>(entry, FLOW_PROTOCOL) === packet.protocol() &&
    isSameAddress(entry, packet.destination()) &&
    isSameAddress(entry + FLOW_RESPONDER, packet.source())
  );
}

/** Makes the packet's source the originator of an entry that it found or that is new; all of it is written. */
export function flowStart(entry: usize, packet: Packet): void {
  copyAddress(entry, packet.source());
  copyAddress(entry + FLOW_RESPONDER, packet.destination());
  store<u32>(entry, packet.ports(), FLOW_OPORT);
  store<u8>(entry, <u8>packet.protocol(), FLOW_PROTOCOL);
  store<u8>(entry, <u8>FLOW_IS_NEW, FLOW_STATE);
  store<u16>(entry, <u16>(packet.has(PACKET_FROM_NODE) ? FLOW_FLAG_FROM_NODE : 0), FLOW_FLAGS);
  clearWords(entry + FLOW_JUDGED, entry + FLOW_SIZE);
  store<u32>(entry, now, FLOW_SEEN);
}

/** memory.fill is a call out of WebAssembly, which takes longer than so few words. */
function clearWords(from: usize, end: usize): void {
  for (let at = from; at < end; at += 8) store<u64>(at, 0);
}
