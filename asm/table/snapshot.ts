/**
 * Builds one table area, called by the control thread only, and finds what stands in it.
 *
 * An address argument is four u32: its 16 bytes, network order, as loaded little-endian.
 */
import {
  ENDPOINT_FLAGS,
  ENDPOINT_IDENTITY,
  ENDPOINT_IS_USED,
  ENDPOINT_MAC,
  ENDPOINT_PORT,
  ENDPOINT_TUNNEL,
  HASH_BASE,
  HASH_COUNT,
  HASH_MASK,
  HASH_ROW_SIZE,
  HASH_ROW_TAKEN,
  PEER_DIRECT,
  PEER_TUNNELS,
  PEER_USED,
  PORT_SIZE,
  TABLES_CIDRS4,
  TABLES_CIDRS6,
  TABLES_END,
  TABLES_ENDPOINTS,
  TABLES_EPOCH,
  TABLES_FREE,
  TABLES_HEADER_SIZE,
  TABLES_PEERS,
  TABLES_PORTS,
  TABLES_PORTS_COUNT,
  TABLES_ROUTES4,
  TABLES_ROUTES6,
  TABLES_TUNNELS,
  TABLES_TUNNELS_COUNT,
  TUNNEL_DIRECT,
  TUNNEL_SIZE,
} from '../layout/tables';
import { hashWords } from './hash';
import { isMapped, prefixFind } from './prefix';

/** Half of an address argument. */
export function word64(low: u32, high: u32): u64 {
  return <u64>low | ((<u64>high) << 32);
}

/** Slots for `count` entries: a power of two, at least twice as many. */
function slotsFor(count: u32): u32 {
  let slots: u32 = 16;
  while (slots < count << 1) slots <<= 1;
  return slots;
}

/**
 * Starts an area of `size` bytes: zeroes the header and empty tables for so many entries.
 * @returns false when the tables do not fit
 */
export function tablesBegin(
  area: usize,
  size: u32,
  epoch: u32,
  endpoints: u32,
  peers: u32,
  tunnels: u32,
  ports: u32,
): bool {
  memory.fill(area, 0, TABLES_HEADER_SIZE);
  store<u32>(area, epoch, TABLES_EPOCH);
  store<u32>(area, <u32>area + TABLES_HEADER_SIZE, TABLES_FREE);
  store<u32>(area, <u32>area + size, TABLES_END);
  if (!hashAlloc(area, TABLES_ENDPOINTS, endpoints, HASH_ROW_SIZE)) return false;
  if (!hashAlloc(area, TABLES_PEERS, peers, HASH_ROW_SIZE)) return false;
  const tunnelRows = tablesAlloc(area, <u64>tunnels * TUNNEL_SIZE);
  const portRows = tablesAlloc(area, <u64>ports * PORT_SIZE);
  if (tunnelRows === 0 || portRows === 0) return false;
  store<u32>(area, tunnelRows, TABLES_TUNNELS);
  store<u32>(area, tunnels, TABLES_TUNNELS_COUNT);
  store<u32>(area, portRows, TABLES_PORTS);
  store<u32>(area, ports, TABLES_PORTS_COUNT);
  return true;
}

/** An empty hash at `table` with room for `count` rows of so many bytes. @returns false when it does not fit the area */
export function hashAlloc(area: usize, table: u32, count: u32, rowSize: u32): bool {
  const slots = slotsFor(count);
  const base = tablesAlloc(area, <u64>slots * rowSize);
  if (base === 0) return false;
  store<u32>(area + table, base, HASH_BASE);
  store<u32>(area + table, slots - 1, HASH_MASK);
  store<u32>(area + table, 0, HASH_COUNT);
  return true;
}

/** Zeroed room in the area, 64-byte aligned: its absolute offset, 0 when it does not fit. */
export function tablesAlloc(area: usize, bytes: u64): u32 {
  const at = (load<u32>(area, TABLES_FREE) + 63) & ~63;
  if (<u64>at + bytes > <u64>load<u32>(area, TABLES_END)) return 0;
  memory.fill(at, 0, <usize>bytes);
  store<u32>(area, at + <u32>bytes, TABLES_FREE);
  return at;
}

/** Row of the hash at `table` that holds the address, or the free one where it would go. */
function rowOf(area: usize, table: u32, low: u64, high: u64): usize {
  const base = <usize>load<u32>(area + table, HASH_BASE);
  const mask = load<u32>(area + table, HASH_MASK);
  let slot = hashWords(low, high) & mask;
  let row = base + slot * HASH_ROW_SIZE;
  while (load<u16>(row, HASH_ROW_TAKEN) !== 0 && (load<u64>(row) !== low || load<u64>(row, 8) !== high)) {
    slot = (slot + 1) & mask;
    row = base + slot * HASH_ROW_SIZE;
  }
  return row;
}

/** The row of an address in the hash at `table`, a new one where there is none; 0: half of the slots are taken. */
function rowFor(area: usize, table: u32, low: u64, high: u64): usize {
  const row = rowOf(area, table, low, high);
  if (load<u16>(row, HASH_ROW_TAKEN) !== 0) return row;
  const count = load<u32>(area + table, HASH_COUNT);
  if (count >= (load<u32>(area + table, HASH_MASK) + 1) >> 1) return 0;
  store<u32>(area + table, count + 1, HASH_COUNT);
  store<u64>(row, low);
  store<u64>(row, high, 8);
  return row;
}

/** Absolute offset of the row of the 16 bytes at `address`, 0: none. */
function rowFind(area: usize, table: u32, address: usize): usize {
  const row = rowOf(area, table, load<u64>(address), load<u64>(address, 8));
  return load<u16>(row, HASH_ROW_TAKEN) !== 0 ? row : 0;
}

/** Adds or replaces an endpoint. @returns false when the table is full */
export function endpointPut(
  area: usize,
  a0: u32,
  a1: u32,
  a2: u32,
  a3: u32,
  identity: u32,
  port: u32,
  flags: u32,
  macLow: u32,
  macHigh: u32,
  tunnel: u32,
): bool {
  const row = rowFor(area, TABLES_ENDPOINTS, word64(a0, a1), word64(a2, a3));
  if (row === 0) return false;
  store<u32>(row, identity, ENDPOINT_IDENTITY);
  store<u16>(row, <u16>port, ENDPOINT_PORT);
  store<u16>(row, <u16>(flags | ENDPOINT_IS_USED), ENDPOINT_FLAGS);
  store<u32>(row, macLow, ENDPOINT_MAC);
  store<u16>(row, <u16>macHigh, ENDPOINT_MAC + 4);
  store<u16>(row, <u16>tunnel, ENDPOINT_TUNNEL);
  return true;
}

/**
 * Takes an endpoint away. Rows behind it that would stand nearer to their own slot move up, so that no look-up ends at
 * the gap.
 *
 *     home of c: 5      5 a │ 6 b │ 7 c │ 8 —      without b:  5 a │ 6 c │ 7 — │ 8 —
 */
export function endpointRemove(area: usize, a0: u32, a1: u32, a2: u32, a3: u32): void {
  const base = <usize>load<u32>(area + TABLES_ENDPOINTS, HASH_BASE);
  const mask = load<u32>(area + TABLES_ENDPOINTS, HASH_MASK);
  let gap = rowOf(area, TABLES_ENDPOINTS, word64(a0, a1), word64(a2, a3));
  if (load<u16>(gap, HASH_ROW_TAKEN) === 0) return;
  let slot = <u32>((gap - base) / HASH_ROW_SIZE);
  let gapSlot = slot;
  for (;;) {
    slot = (slot + 1) & mask;
    const row = base + slot * HASH_ROW_SIZE;
    if (load<u16>(row, HASH_ROW_TAKEN) === 0) break;
    const home = hashWords(load<u64>(row), load<u64>(row, 8)) & mask;
    if (((slot - home) & mask) < ((slot - gapSlot) & mask)) continue;
    memory.copy(gap, row, HASH_ROW_SIZE);
    gap = row;
    gapSlot = slot;
  }
  memory.fill(gap, 0, HASH_ROW_SIZE);
  store<u32>(area + TABLES_ENDPOINTS, load<u32>(area + TABLES_ENDPOINTS, HASH_COUNT) - 1, HASH_COUNT);
}

/** How many endpoints there are. */
export function endpointsCount(area: usize): u32 {
  return load<u32>(area + TABLES_ENDPOINTS, HASH_COUNT);
}

/** Forgets all peers. */
export function peersClear(area: usize): void {
  const slots = load<u32>(area + TABLES_PEERS, HASH_MASK) + 1;
  memory.fill(load<u32>(area + TABLES_PEERS, HASH_BASE), 0, <usize>slots * HASH_ROW_SIZE);
  store<u32>(area + TABLES_PEERS, 0, HASH_COUNT);
}

/** Absolute offset of the endpoint row of the 16 bytes at `address`, 0: no endpoint. */
export function endpointFind(area: usize, address: usize): usize {
  return rowFind(area, TABLES_ENDPOINTS, address);
}

/** Names the tunnel (of TUNNEL_* `kind`) that a peer's outer address uses. @returns false when full */
export function peerPut(area: usize, a0: u32, a1: u32, a2: u32, a3: u32, kind: u32, tunnel: u32): bool {
  const row = rowFor(area, TABLES_PEERS, word64(a0, a1), word64(a2, a3));
  if (row === 0) return false;
  if (load<u16>(row, PEER_USED) === 0) {
    store<u32>(row, 0xffffffff, PEER_TUNNELS);
    store<u16>(row, 0xffff, PEER_TUNNELS + 4);
    store<u16>(row, 0xffff, PEER_DIRECT);
    store<u16>(row, 1, PEER_USED);
  }
  if (kind === TUNNEL_DIRECT) store<u16>(row, <u16>tunnel, PEER_DIRECT);
  else store<u16>(row + ((kind - 1) << 1), <u16>tunnel, PEER_TUNNELS);
  return true;
}

/** Absolute offset of the peer row of the 16 bytes at `address`, 0: unknown. */
export function peerFind(area: usize, address: usize): usize {
  return rowFind(area, TABLES_PEERS, address);
}

/** Absolute offset of the row of the peer whose MAC stands at `mac`, 0: unknown; see asm/layout/tables.ts. */
export function peerFindByMac(area: usize, mac: usize): usize {
  const high = ((<u64>load<u32>(mac)) << 16) | ((<u64>load<u16>(mac, 4)) << 48);
  const row = rowOf(area, TABLES_PEERS, 0xff, high);
  return load<u16>(row, HASH_ROW_TAKEN) !== 0 ? row : 0;
}

/** Route of the 16 bytes at `address`: ROUTE_* << 16 | tunnel, ROUTE_NONE: none. */
export function routeFind(area: usize, address: usize): u32 {
  return prefixFind(load<u32>(area + (isMapped(address) ? TABLES_ROUTES4 : TABLES_ROUTES6)), address);
}

/** Policy class of the blocks around the 16 bytes at `address`, CLASS_UNKNOWN: none. */
export function cidrFind(area: usize, address: usize): u32 {
  return prefixFind(load<u32>(area + (isMapped(address) ? TABLES_CIDRS4 : TABLES_CIDRS6)), address);
}

/** Absolute offset of a tunnel's row, 0 when there is none of that number. */
export function tunnelRow(area: usize, tunnel: u32): u32 {
  return tunnel < load<u32>(area, TABLES_TUNNELS_COUNT)
    ? load<u32>(area, TABLES_TUNNELS) + tunnel * TUNNEL_SIZE
    : 0;
}

/** Absolute offset of a port's row, 0 when there is none of that number. */
export function portRow(area: usize, port: u32): u32 {
  return port < load<u32>(area, TABLES_PORTS_COUNT) ? load<u32>(area, TABLES_PORTS) + port * PORT_SIZE : 0;
}
