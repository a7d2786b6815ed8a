/**
 * Services of a table area (asm/layout/services.ts): the frontend at which a packet knocks, the backend that answers.
 *
 * The control thread puts and removes frontends in the area that no worker reads, and writes pools itself.
 */
import {
  BACKEND_PORT,
  BACKEND_SIZE,
  FRONTEND_INSIDE,
  FRONTEND_KIND,
  FRONTEND_OUTSIDE,
  FRONTEND_PORT,
  FRONTEND_PROTOCOL,
  FRONTEND_SIZE,
  POOL_BACKENDS,
  POOL_BACKENDS_COUNT,
  POOL_RANGES,
  POOL_RANGES_COUNT,
  POOL_RANGES_HAVE_NODE,
  POOL_SLOTS,
  POOL_SLOTS_COUNT,
  RANGE_ADDRESS,
  RANGE_MASK,
  RANGE_SIZE,
} from '../layout/services';
import { HASH_BASE, HASH_COUNT, HASH_MASK, TABLES_FRONTENDS } from '../layout/tables';
import { isSameAddress } from '../wire/address';
import { hashWords } from './hash';
import { hashAlloc, word64 } from './snapshot';

/** Empty frontends, room for `count`. @returns false when they do not fit the area */
export function frontendsAlloc(area: usize, count: u32): bool {
  return hashAlloc(area, TABLES_FRONTENDS, count, FRONTEND_SIZE);
}

function keyOf(protocol: u32, port: u32): u32 {
  return port | (protocol << 16);
}

function homeOf(low: u64, high: u64, key: u32): u32 {
  return hashWords(low ^ (<u64>key * 0x9e3779b97f4a7c15), high);
}

/** Row of the key, or the free one where it would go. */
function rowOf(area: usize, low: u64, high: u64, key: u32): usize {
  const base = <usize>load<u32>(area + TABLES_FRONTENDS, HASH_BASE);
  const mask = load<u32>(area + TABLES_FRONTENDS, HASH_MASK);
  let slot = homeOf(low, high, key) & mask;
  let row = base + slot * FRONTEND_SIZE;
  while (isOther(row, low, high, key)) {
    slot = (slot + 1) & mask;
    row = base + slot * FRONTEND_SIZE;
  }
  return row;
}

/** Whether a row is taken by another key. */
function isOther(row: usize, low: u64, high: u64, key: u32): bool {
  const word = load<u32>(row, FRONTEND_PORT);
  // The kind is the word's highest byte.
  if (word >> 24 === 0) return false;
  return (word & 0xffffff) !== key || load<u64>(row) !== low || load<u64>(row, 8) !== high;
}

/** Absolute offset of the frontend with the 16 bytes at `address`; 0: none, or the area has no Services. */
export function frontendFind(area: usize, address: usize, protocol: u32, port: u32): usize {
  if (load<u32>(area + TABLES_FRONTENDS, HASH_COUNT) === 0) return 0;
  const row = rowOf(area, load<u64>(address), load<u64>(address, 8), keyOf(protocol, port));
  return load<u8>(row, FRONTEND_KIND) !== 0 ? row : 0;
}

/**
 * Adds or replaces a frontend; a0 … a3 are its address, 16 bytes as loaded little-endian, the pools absolute.
 * @returns false when the table is full
 */
export function frontendPut(
  area: usize,
  a0: u32,
  a1: u32,
  a2: u32,
  a3: u32,
  protocol: u32,
  port: u32,
  kind: u32,
  inside: u32,
  outside: u32,
): bool {
  const low = word64(a0, a1);
  const high = word64(a2, a3);
  const row = rowOf(area, low, high, keyOf(protocol, port));
  if (load<u8>(row, FRONTEND_KIND) === 0) {
    const count = load<u32>(area + TABLES_FRONTENDS, HASH_COUNT);
    if (count >= (load<u32>(area + TABLES_FRONTENDS, HASH_MASK) + 1) >> 1) return false;
    store<u32>(area + TABLES_FRONTENDS, count + 1, HASH_COUNT);
    store<u64>(row, low);
    store<u64>(row, high, 8);
    store<u16>(row, <u16>port, FRONTEND_PORT);
    store<u8>(row, <u8>protocol, FRONTEND_PROTOCOL);
  }
  store<u8>(row, <u8>kind, FRONTEND_KIND);
  store<u32>(row, inside, FRONTEND_INSIDE);
  store<u32>(row, outside, FRONTEND_OUTSIDE);
  return true;
}

/** Takes a frontend away; rows behind it move up as in endpointRemove. */
export function frontendRemove(
  area: usize,
  a0: u32,
  a1: u32,
  a2: u32,
  a3: u32,
  protocol: u32,
  port: u32,
): void {
  const base = <usize>load<u32>(area + TABLES_FRONTENDS, HASH_BASE);
  const mask = load<u32>(area + TABLES_FRONTENDS, HASH_MASK);
  let gap = rowOf(area, word64(a0, a1), word64(a2, a3), keyOf(protocol, port));
  if (load<u8>(gap, FRONTEND_KIND) === 0) return;
  let slot = <u32>((gap - base) / FRONTEND_SIZE);
  let gapSlot = slot;
  for (;;) {
    slot = (slot + 1) & mask;
    const row = base + slot * FRONTEND_SIZE;
    if (load<u8>(row, FRONTEND_KIND) === 0) break;
    const key = load<u32>(row, FRONTEND_PORT) & 0xffffff;
    const home = homeOf(load<u64>(row), load<u64>(row, 8), key) & mask;
    if (((slot - home) & mask) < ((slot - gapSlot) & mask)) continue;
    memory.copy(gap, row, FRONTEND_SIZE);
    gap = row;
    gapSlot = slot;
  }
  memory.fill(gap, 0, FRONTEND_SIZE);
  store<u32>(area + TABLES_FRONTENDS, load<u32>(area + TABLES_FRONTENDS, HASH_COUNT) - 1, HASH_COUNT);
}

/** The finish of MurmurHash3, as in src/service/maglev.ts. */
function finish(word: u32): u32 {
  let h = (word ^ (word >> 16)) * 0x85ebca6b;
  h = (h ^ (h >> 13)) * 0xc2b2ae35;
  return h ^ (h >> 16);
}

/**
 * Slot of a connection: slotOf of src/service/maglev.ts, so that what `overweft service why` says is what happens.
 * @param client its 16 bytes
 * @param clientPort 0 where all connections of a client go one way
 */
export function slotOf(client: usize, clientPort: u32, slots: u32): u32 {
  let h = clientPort;
  h = finish(h ^ load<u32>(client));
  h = finish(h ^ load<u32>(client, 4));
  h = finish(h ^ load<u32>(client, 8));
  h = finish(h ^ load<u32>(client, 12));
  return <u32>((<u64>h * <u64>slots) >> 32);
}

/** Place of the backend for a connection in a pool that has slots. */
export function backendFor(pool: usize, client: usize, clientPort: u32): u32 {
  const slot = slotOf(client, clientPort, load<u32>(pool, POOL_SLOTS_COUNT));
  return <u32>load<u16>(<usize>load<u32>(pool, POOL_SLOTS) + (slot << 1));
}

export function backendAt(pool: usize, place: u32): usize {
  return <usize>load<u32>(pool, POOL_BACKENDS) + place * BACKEND_SIZE;
}

/** Whether a client, its 16 bytes, may use a load balancer's address in front of the pool. */
export function isInRange(pool: usize, client: usize, isNode: bool): bool {
  let range = <usize>load<u32>(pool, POOL_RANGES);
  if (range === 0 || (isNode && load<u32>(pool, POOL_RANGES_HAVE_NODE) !== 0)) return true;
  const end = range + load<u32>(pool, POOL_RANGES_COUNT) * RANGE_SIZE;
  const low = load<u64>(client);
  const high = load<u64>(client, 8);
  for (; range < end; range += RANGE_SIZE) {
    const outsideLow = (low ^ load<u64>(range, RANGE_ADDRESS)) & load<u64>(range, RANGE_MASK);
    const outsideHigh = (high ^ load<u64>(range, RANGE_ADDRESS + 8)) & load<u64>(range, RANGE_MASK + 8);
    if ((outsideLow | outsideHigh) === 0) return true;
  }
  return false;
}

/** No backend is there. */
export const NO_BACKEND: u32 = 0xffffffff;

/**
 * Place in the pool of a backend with this address and port, NO_BACKEND: it serves no more.
 * @param hint where it was when it was last looked for: nearly always, it still is
 */
export function backendFind(pool: usize, address: usize, port: u32, hint: u32): u32 {
  const count = load<u32>(pool, POOL_BACKENDS_COUNT);
  if (hint < count && isBackend(backendAt(pool, hint), address, port)) return hint;
  for (let place: u32 = 0; place < count; place++)
    if (isBackend(backendAt(pool, place), address, port)) return place;
  return NO_BACKEND;
}

function isBackend(backend: usize, address: usize, port: u32): bool {
  return <u32>load<u16>(backend, BACKEND_PORT) === port && isSameAddress(backend, address);
}
