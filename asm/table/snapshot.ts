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
  ENDPOINT_SIZE,
  ENDPOINT_TUNNEL,
  PEER_SIZE,
  PEER_TUNNELS,
  PEER_USED,
  PORT_SIZE,
  PREFIX_SIZE,
  TABLES_CIDR_LENGTHS4,
  TABLES_CIDR_LENGTHS6,
  TABLES_CIDRS,
  TABLES_CIDRS_COUNT,
  TABLES_CIDRS_MASK,
  TABLES_END,
  TABLES_ENDPOINTS,
  TABLES_ENDPOINTS_COUNT,
  TABLES_ENDPOINTS_MASK,
  TABLES_EPOCH,
  TABLES_FREE,
  TABLES_HEADER_SIZE,
  TABLES_PEERS,
  TABLES_PEERS_COUNT,
  TABLES_PEERS_MASK,
  TABLES_PORTS,
  TABLES_PORTS_COUNT,
  TABLES_ROUTE_LENGTHS4,
  TABLES_ROUTE_LENGTHS6,
  TABLES_ROUTES,
  TABLES_ROUTES_COUNT,
  TABLES_ROUTES_MASK,
  TABLES_TUNNELS,
  TABLES_TUNNELS_COUNT,
  TUNNEL_SIZE,
} from '../layout/tables';
import { hashWords } from './hash';
import { isMapped, prefixFind, prefixPut } from './prefix';

function word64(low: u32, high: u32): u64 {
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
  routes: u32,
  cidrs: u32,
  peers: u32,
  tunnels: u32,
  ports: u32,
): bool {
  memory.fill(area, 0, TABLES_HEADER_SIZE);
  store<u32>(area, epoch, TABLES_EPOCH);
  store<u32>(area, <u32>area + TABLES_HEADER_SIZE, TABLES_FREE);
  store<u32>(area, <u32>area + size, TABLES_END);
  if (!hashAlloc(area, TABLES_ENDPOINTS, TABLES_ENDPOINTS_MASK, endpoints, ENDPOINT_SIZE)) return false;
  if (!hashAlloc(area, TABLES_ROUTES, TABLES_ROUTES_MASK, routes, PREFIX_SIZE)) return false;
  if (!hashAlloc(area, TABLES_CIDRS, TABLES_CIDRS_MASK, cidrs, PREFIX_SIZE)) return false;
  if (!hashAlloc(area, TABLES_PEERS, TABLES_PEERS_MASK, peers, PEER_SIZE)) return false;
  const tunnelRows = tablesAlloc(area, <u64>tunnels * TUNNEL_SIZE);
  const portRows = tablesAlloc(area, <u64>ports * PORT_SIZE);
  if (tunnelRows === 0 || portRows === 0) return false;
  store<u32>(area, tunnelRows, TABLES_TUNNELS);
  store<u32>(area, tunnels, TABLES_TUNNELS_COUNT);
  store<u32>(area, portRows, TABLES_PORTS);
  store<u32>(area, ports, TABLES_PORTS_COUNT);
  return true;
}

function hashAlloc(area: usize, baseAt: u32, maskAt: u32, count: u32, rowSize: u32): bool {
  const slots = slotsFor(count);
  const base = tablesAlloc(area, <u64>slots * rowSize);
  if (base === 0) return false;
  store<u32>(area + baseAt, base);
  store<u32>(area + maskAt, slots - 1);
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
  const low = word64(a0, a1);
  const high = word64(a2, a3);
  const base = <usize>load<u32>(area, TABLES_ENDPOINTS);
  const mask = load<u32>(area, TABLES_ENDPOINTS_MASK);
  let slot = hashWords(low, high) & mask;
  let row: usize = 0;
  for (;;) {
    row = base + slot * ENDPOINT_SIZE;
    if (!(load<u16>(row, ENDPOINT_FLAGS) & ENDPOINT_IS_USED)) {
      const count = load<u32>(area, TABLES_ENDPOINTS_COUNT);
      if (count >= (mask + 1) >> 1) return false;
      store<u32>(area, count + 1, TABLES_ENDPOINTS_COUNT);
      break;
    }
    if (load<u64>(row) === low && load<u64>(row, 8) === high) break;
    slot = (slot + 1) & mask;
  }
  store<u64>(row, low);
  store<u64>(row, high, 8);
  store<u32>(row, identity, ENDPOINT_IDENTITY);
  store<u16>(row, <u16>port, ENDPOINT_PORT);
  store<u16>(row, <u16>(flags | ENDPOINT_IS_USED), ENDPOINT_FLAGS);
  store<u32>(row, macLow, ENDPOINT_MAC);
  store<u16>(row, <u16>macHigh, ENDPOINT_MAC + 4);
  store<u16>(row, <u16>tunnel, ENDPOINT_TUNNEL);
  return true;
}

/** Absolute offset of the endpoint row of the 16 bytes at `address`, 0: no endpoint. */
export function endpointFind(area: usize, address: usize): usize {
  const low = load<u64>(address);
  const high = load<u64>(address, 8);
  const base = <usize>load<u32>(area, TABLES_ENDPOINTS);
  const mask = load<u32>(area, TABLES_ENDPOINTS_MASK);
  let slot = hashWords(low, high) & mask;
  let row = base + slot * ENDPOINT_SIZE;
  while (load<u16>(row, ENDPOINT_FLAGS) & ENDPOINT_IS_USED) {
    if (load<u64>(row) === low && load<u64>(row, 8) === high) return row;
    slot = (slot + 1) & mask;
    row = base + slot * ENDPOINT_SIZE;
  }
  return 0;
}

/** Adds or replaces a route; `length` counts from the first of 128 bits. @returns false when full */
export function routePut(
  area: usize,
  a0: u32,
  a1: u32,
  a2: u32,
  a3: u32,
  length: u32,
  kind: u32,
  target: u32,
): bool {
  return prefixPut(
    load<u32>(area, TABLES_ROUTES),
    load<u32>(area, TABLES_ROUTES_MASK),
    area + TABLES_ROUTES_COUNT,
    area +
      (a0 === 0 && a1 === 0 && a2 === 0xffff0000 && length >= 96
        ? TABLES_ROUTE_LENGTHS4
        : TABLES_ROUTE_LENGTHS6),
    word64(a0, a1),
    word64(a2, a3),
    length,
    kind,
    target,
  );
}

/** Absolute offset of the route (a prefix row) to the 16 bytes at `address`, 0: none. */
export function routeFind(area: usize, address: usize): usize {
  return prefixFind(
    load<u32>(area, TABLES_ROUTES),
    load<u32>(area, TABLES_ROUTES_MASK),
    area + (isMapped(address) ? TABLES_ROUTE_LENGTHS4 : TABLES_ROUTE_LENGTHS6),
    address,
  );
}

/** Adds or replaces a class of addresses; `length` as in routePut. @returns false when full */
export function cidrPut(
  area: usize,
  a0: u32,
  a1: u32,
  a2: u32,
  a3: u32,
  length: u32,
  policyClass: u32,
): bool {
  return prefixPut(
    load<u32>(area, TABLES_CIDRS),
    load<u32>(area, TABLES_CIDRS_MASK),
    area + TABLES_CIDRS_COUNT,
    area +
      (a0 === 0 && a1 === 0 && a2 === 0xffff0000 && length >= 96
        ? TABLES_CIDR_LENGTHS4
        : TABLES_CIDR_LENGTHS6),
    word64(a0, a1),
    word64(a2, a3),
    length,
    0,
    policyClass,
  );
}

/** Absolute offset of the CIDR row that holds the 16 bytes at `address`, 0: none. */
export function cidrFind(area: usize, address: usize): usize {
  return prefixFind(
    load<u32>(area, TABLES_CIDRS),
    load<u32>(area, TABLES_CIDRS_MASK),
    area + (isMapped(address) ? TABLES_CIDR_LENGTHS4 : TABLES_CIDR_LENGTHS6),
    address,
  );
}

/** Names the tunnel (of TUNNEL_* `kind`) that a peer's outer address uses. @returns false when full */
export function peerPut(area: usize, a0: u32, a1: u32, a2: u32, a3: u32, kind: u32, tunnel: u32): bool {
  const low = word64(a0, a1);
  const high = word64(a2, a3);
  const base = <usize>load<u32>(area, TABLES_PEERS);
  const mask = load<u32>(area, TABLES_PEERS_MASK);
  let slot = hashWords(low, high) & mask;
  let row: usize = 0;
  for (;;) {
    row = base + slot * PEER_SIZE;
    if (load<u16>(row, PEER_USED) === 0) {
      const count = load<u32>(area, TABLES_PEERS_COUNT);
      if (count >= (mask + 1) >> 1) return false;
      store<u32>(area, count + 1, TABLES_PEERS_COUNT);
      store<u64>(row, low);
      store<u64>(row, high, 8);
      store<u32>(row, 0xffffffff, PEER_TUNNELS);
      store<u16>(row, 0xffff, PEER_TUNNELS + 4);
      store<u16>(row, 1, PEER_USED);
      break;
    }
    if (load<u64>(row) === low && load<u64>(row, 8) === high) break;
    slot = (slot + 1) & mask;
  }
  store<u16>(row + ((kind - 1) << 1), <u16>tunnel, PEER_TUNNELS);
  return true;
}

/** Absolute offset of the peer row of the 16 bytes at `address`, 0: unknown. */
export function peerFind(area: usize, address: usize): usize {
  const low = load<u64>(address);
  const high = load<u64>(address, 8);
  const base = <usize>load<u32>(area, TABLES_PEERS);
  const mask = load<u32>(area, TABLES_PEERS_MASK);
  let slot = hashWords(low, high) & mask;
  let row = base + slot * PEER_SIZE;
  while (load<u16>(row, PEER_USED) !== 0) {
    if (load<u64>(row) === low && load<u64>(row, 8) === high) return row;
    slot = (slot + 1) & mask;
    row = base + slot * PEER_SIZE;
  }
  return 0;
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
