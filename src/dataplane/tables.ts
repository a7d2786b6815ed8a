// From Desired and the numbers of this process to the bytes of one table area (asm/layout/tables.ts draws it).
import { MAX_PORTS } from '../../asm/layout/memory.ts';
import {
  ENDPOINT_IS_NODE,
  NO_ENDPOINT_TUNNEL,
  NO_PORT,
  POLICY_CELL_ALLOW,
  POLICY_CELL_DECISION,
  POLICY_SET_COUNT,
  POLICY_SET_OTHER,
  POLICY_SET_ROWS,
  POLICY_SET_SCTP,
  POLICY_SET_SIZE,
  POLICY_SET_TCP,
  POLICY_SET_UDP,
  PORT_EGRESS_SET,
  PORT_FLAGS,
  PORT_FORWARD,
  PORT_INGRESS_SET,
  PORT_IS_PENDING,
  PORT_KIND,
  PORT_MAC,
  PORT_MTU,
  PORT_NODE,
  PORT_NODE_SET,
  PORT_POD,
  ROUTE_EMPTY,
  ROUTE_OUTSIDE,
  ROUTE_TUNNEL,
  ROUTE_UNASSIGNED,
  TABLES_CIDRS4,
  TABLES_CIDRS6,
  TABLES_FREE,
  TABLES_GATEWAY4,
  TABLES_GATEWAY6,
  TABLES_NODE_PORT,
  TABLES_NODE4,
  TABLES_NODE6,
  TABLES_ROUTER_MAC,
  TABLES_ROUTES4,
  TABLES_ROUTES6,
  TUNNEL_FAMILY,
  TUNNEL_FLAGS,
  TUNNEL_GENEVE,
  TUNNEL_HAS_CHECKSUM,
  TUNNEL_HEADER,
  TUNNEL_HEADER_LENGTH,
  TUNNEL_INNER_DESTINATION,
  TUNNEL_INNER_SOURCE,
  TUNNEL_IPIP,
  TUNNEL_IS_ETHERNET,
  TUNNEL_IS_GENEVE_IP,
  TUNNEL_KIND,
  TUNNEL_LOCAL,
  TUNNEL_MTU,
  TUNNEL_OUTER,
  TUNNEL_OUTER_LENGTH,
  TUNNEL_PEER,
  TUNNEL_REMOTE,
  TUNNEL_SLOT,
  TUNNEL_SLOTS,
  TUNNEL_SOCKADDR,
  TUNNEL_TOS,
  TUNNEL_TTL,
  TUNNEL_VNI,
  TUNNEL_VXLAN,
} from '../../asm/layout/tables.ts';
import type { Config } from '../config/schema.ts';
import type { Desired, Endpoint, Tunnel } from '../control/desired.ts';
import { type Address, address, words } from '../net/address.ts';
import type { Mac } from '../net/mac.ts';
import type { PolicySet } from '../policy/compiled.ts';
import type { Memory } from './memory.ts';
import type { ControlExports } from './module.ts';
import { outerHeader } from './outer-header.ts';
import { type TrieEntry, trieOf } from './trie.ts';
import { tunnelHeader } from './tunnel-header.ts';

/** Gateways of every pod, link-local: they exist nowhere, the data path answers for them. */
export const gateway4 = address('169.254.1.1');
export const gateway6 = address('fe80::1');

/** An open TAP. */
export interface TablePort {
  readonly slot: number;
  readonly kind: 'pod' | 'node' | 'forward';
  /** Key of the pod whose it is. */
  readonly pod?: string;
  readonly mac: Mac;
  readonly mtu: number;
}

/** What this process knows of a tunnel. */
export interface TunnelFacts {
  readonly number: number;
  /** Largest inner IP packet. */
  readonly mtu: number;
  /** Sockets to send from. */
  readonly slot: number;
  readonly slots: number;
  /** The kernel splits superframes for it. */
  readonly isInjected: boolean;
}

export interface TableInput {
  readonly desired: Desired;
  readonly config: Config;
  readonly ports: readonly TablePort[];
  readonly tunnels: ReadonlyMap<string, TunnelFacts>;
  /** Number under which each decision of the compiled policy is counted, by its index. */
  readonly decisions: readonly number[];
}

/** A snapshot that does not fit; the tables that are live stay. */
export class TablesFull extends Error {
  override readonly name = 'TablesFull';

  constructor(setting: string, capacity: number, needed: number) {
    super(`tables.${setting} is ${capacity} and ${needed} are needed: raise it in the configuration`);
  }
}

/** How full an area is. */
export interface TableUse {
  readonly endpoints: number;
  readonly routes: number;
  readonly cidrs: number;
  readonly tunnels: number;
  readonly policyBytes: number;
}

const encapsulations = { vxlan: TUNNEL_VXLAN, geneve: TUNNEL_GENEVE, ipip: TUNNEL_IPIP };
const portKinds = { pod: PORT_POD, node: PORT_NODE, forward: PORT_FORWARD };
const AF_INET = 2;
const AF_INET6 = 10;

/**
 * Fills an area that no worker reads.
 * @throws TablesFull
 */
export function fillTables(
  exports: ControlExports,
  memory: Memory,
  area: number,
  areaSize: number,
  epoch: number,
  input: TableInput,
): TableUse {
  return new TableWriter(exports, memory, area, input).fill(areaSize, epoch);
}

class TableWriter {
  readonly #wasm: ControlExports;
  readonly #memory: Memory;
  readonly #area: number;
  readonly #input: TableInput;
  /** Where the policy may lie. */
  #policy = { begin: 0, end: Number.POSITIVE_INFINITY };

  constructor(wasm: ControlExports, memory: Memory, area: number, input: TableInput) {
    this.#wasm = wasm;
    this.#memory = memory;
    this.#area = area;
    this.#input = input;
  }

  fill(areaSize: number, epoch: number): TableUse {
    const { tables } = this.#input.config;
    const { endpoints, tunnels } = tables;
    const begun = this.#wasm.tablesBegin(this.#area, areaSize, epoch, endpoints, tunnels, tunnels, MAX_PORTS);
    if (!begun) throw new RangeError(`a table area of ${areaSize} bytes does not hold its own tables`);
    this.#writeHeader();
    this.#writeTunnels();
    const { length: endpointCount } = this.#writeEndpoints();
    this.#writeRoutes();
    this.#writeBlocks();
    const policyBytes = this.#writePolicyAndPorts();
    const { desired } = this.#input;
    return {
      endpoints: endpointCount,
      routes: desired.routes.length,
      cidrs: desired.policy.blocks.length,
      tunnels: desired.tunnels.length,
      policyBytes,
    };
  }

  #writeHeader(): void {
    const { desired, ports, config } = this.#input;
    const { node } = desired;
    const own = (family: 4 | 6) =>
      node.podNetworkAddresses.find((one) => one.family === family) ??
      config.underlay.addresses.find((one) => one.family === family);
    this.#u32(this.#area + TABLES_NODE_PORT, ports.find(({ kind }) => kind === 'node')?.slot ?? NO_PORT);
    this.#bytes(this.#area + TABLES_ROUTER_MAC, node.routerMac);
    this.#bytes(this.#area + TABLES_GATEWAY4, gateway4.bytes);
    this.#bytes(this.#area + TABLES_GATEWAY6, gateway6.bytes);
    this.#bytes(this.#area + TABLES_NODE4, own(4)?.bytes ?? new Uint8Array(16));
    this.#bytes(this.#area + TABLES_NODE6, own(6)?.bytes ?? new Uint8Array(16));
  }

  #writeTunnels(): void {
    const { desired, config } = this.#input;
    const peerNumbers = new Map(desired.peers.map(({ name }, i) => [name, i + 1]));
    const fits = desired.tunnels.length <= config.tables.tunnels;
    if (!fits) throw new TablesFull('tunnels', config.tables.tunnels, desired.tunnels.length);
    for (const tunnel of desired.tunnels) {
      const facts = this.#facts(tunnel.key);
      const row = this.#wasm.tunnelRow(this.#area, facts.number) >>> 0;
      this.#writeTunnel(row, tunnel, facts, peerNumbers.get(tunnel.peer.name) ?? 0);
      const kind = encapsulations[tunnel.encapsulation];
      const outer = tunnel.peer.addresses.filter(({ family }) => family === tunnel.family);
      for (const address of outer) {
        if (this.#wasm.peerPut(this.#area, ...words(address), kind, facts.number)) continue;
        throw new TablesFull(
          'tunnels',
          config.tables.tunnels,
          desired.peers.flatMap((peer) => peer.addresses).length,
        );
      }
    }
  }

  #writeTunnel(row: number, tunnel: Tunnel, facts: TunnelFacts, peer: number): void {
    const { config, desired } = this.#input;
    const header = tunnelHeader(tunnel, config);
    this.#u8(row + TUNNEL_KIND, encapsulations[tunnel.encapsulation]);
    this.#u8(row + TUNNEL_FAMILY, tunnel.family);
    this.#u16(row + TUNNEL_HEADER_LENGTH, header.length);
    this.#u32(row + TUNNEL_PEER, peer);
    this.#u32(row + TUNNEL_MTU, facts.mtu);
    this.#u16(row + TUNNEL_SLOT, facts.slot);
    this.#u16(row + TUNNEL_SLOTS, facts.slots);
    this.#u32(row + TUNNEL_VNI, tunnel.peer.vni);
    this.#u8(row + TUNNEL_TOS, config.underlay.dscp << 2);
    this.#u8(row + TUNNEL_TTL, config.underlay.ttl);
    this.#u16(row + TUNNEL_FLAGS, tunnelFlags(tunnel, config));
    this.#bytes(row + TUNNEL_SOCKADDR, socketAddress(tunnel.remote, destinationPort(tunnel, config)));
    this.#bytes(row + TUNNEL_INNER_DESTINATION, tunnel.peer.routerMac);
    this.#bytes(row + TUNNEL_INNER_SOURCE, desired.node.routerMac);
    this.#bytes(row + TUNNEL_REMOTE, tunnel.remote.bytes);
    this.#bytes(row + TUNNEL_LOCAL, tunnel.local.bytes);
    this.#bytes(row + TUNNEL_HEADER, header);
    const outer = facts.isInjected ? outerHeader(tunnel, config) : new Uint8Array();
    this.#u16(row + TUNNEL_OUTER_LENGTH, outer.length);
    this.#bytes(row + TUNNEL_OUTER, outer);
  }

  #writeEndpoints(): Endpoint[] {
    const { desired, config, ports } = this.#input;
    const node = ports.find(({ kind }) => kind === 'node');
    const pods = new Map(ports.flatMap((port) => (port.pod === undefined ? [] : [[port.pod, port]])));
    const written: Endpoint[] = [];
    for (const endpoint of desired.endpoints) {
      const port =
        endpoint.kind === 'pod' ? pods.get(endpoint.pod.key) : endpoint.kind === 'node' ? node : undefined;
      // A pod of this node that is not attached cannot be reached: its address is one of an empty range.
      if (endpoint.kind === 'pod' && !port) continue;
      const tunnel = 'tunnel' in endpoint ? this.#facts(endpoint.tunnel).number : NO_ENDPOINT_TUNNEL;
      const flags = endpoint.kind === 'node' || endpoint.kind === 'remote-node' ? ENDPOINT_IS_NODE : 0;
      const [macLow, macHigh] = macWords(port?.mac);
      const identity = desired.policy.identities.get(endpoint.address.text) ?? 0;
      const at = words(endpoint.address);
      if (
        !this.#wasm.endpointPut(
          this.#area,
          ...at,
          identity,
          port?.slot ?? NO_PORT,
          flags,
          macLow,
          macHigh,
          tunnel,
        )
      ) {
        throw new TablesFull('endpoints', config.tables.endpoints, desired.endpoints.length);
      }
      written.push(endpoint);
    }
    return written;
  }

  #writeRoutes(): void {
    const { desired, config } = this.#input;
    const kinds = {
      tunnel: ROUTE_TUNNEL,
      empty: ROUTE_EMPTY,
      outside: ROUTE_OUTSIDE,
      none: ROUTE_UNASSIGNED,
    };
    const entries = desired.routes.map((route): TrieEntry => {
      const target = route.kind === 'tunnel' ? this.#facts(route.tunnel).number : 0;
      return { prefix: route.prefix, value: (kinds[route.kind] << 16) | target };
    });
    if (entries.length > config.tables.routes)
      throw new TablesFull('routes', config.tables.routes, entries.length);
    this.#writeTries(entries, { 4: TABLES_ROUTES4, 6: TABLES_ROUTES6 });
  }

  #writeBlocks(): void {
    const { desired, config } = this.#input;
    const entries = desired.policy.blocks.map(({ prefix, policyClass }) => ({ prefix, value: policyClass }));
    if (entries.length > config.tables.cidrs)
      throw new TablesFull('cidrs', config.tables.cidrs, entries.length);
    this.#writeTries(entries, { 4: TABLES_CIDRS4, 6: TABLES_CIDRS6 });
  }

  #writeTries(entries: readonly TrieEntry[], bases: Readonly<Record<4 | 6, number>>): void {
    for (const family of [4, 6] as const) {
      const trie = trieOf(entries.filter(({ prefix }) => prefix.address.family === family));
      this.#u32(this.#area + bases[family], trie.length === 0 ? 0 : this.#append(trie));
    }
  }

  /** @returns bytes that the policy takes */
  #writePolicyAndPorts(): number {
    const { desired, config, ports, decisions } = this.#input;
    const { policy } = desired;
    const before = this.#memory.view.getUint32(this.#area + TABLES_FREE, true);
    // Room that the tries leave is theirs: what fits today must fit when there are more routes.
    this.#policy = { begin: before, end: before + config.tables.policyBytes };
    const rows = policy.rows.map((cells) =>
      this.#append(
        cells.map((cell) => (cell & POLICY_CELL_ALLOW) | (decisions[cell & POLICY_CELL_DECISION] ?? 0)),
      ),
    );
    const pages = policy.pages.map((page) => this.#append(page));
    const sets = policy.sets.map((set) => this.#writeSet(set, rows, pages));
    for (const port of ports) {
      const row = this.#wasm.portRow(this.#area, port.slot) >>> 0;
      const pod = port.pod === undefined ? undefined : policy.pods.get(port.pod);
      const set = (index: number | undefined) => (index === undefined ? 0 : (sets[index] ?? 0));
      this.#u8(row + PORT_KIND, portKinds[port.kind]);
      this.#u8(row + PORT_FLAGS, port.kind === 'pod' && !pod ? PORT_IS_PENDING : 0);
      this.#u16(row + PORT_MTU, port.mtu);
      this.#bytes(row + PORT_MAC, port.mac);
      this.#u32(row + PORT_EGRESS_SET, set(pod?.egress));
      this.#u32(row + PORT_INGRESS_SET, set(pod?.ingress));
      this.#u32(row + PORT_NODE_SET, set(pod?.toNode));
    }
    return this.#memory.view.getUint32(this.#area + TABLES_FREE, true) - before;
  }

  #writeSet(set: PolicySet, rows: readonly number[], pages: readonly number[]): number {
    const offsets = (indexes: readonly number[], of: readonly number[]) =>
      this.#append(Uint32Array.from(indexes, (index) => of[index] ?? 0));
    const at = this.#alloc(POLICY_SET_SIZE);
    this.#u32(at + POLICY_SET_ROWS, offsets(set.rows, rows));
    this.#u32(at + POLICY_SET_COUNT, set.rows.length);
    this.#u32(at + POLICY_SET_TCP, offsets(set.maps.TCP, pages));
    this.#u32(at + POLICY_SET_UDP, offsets(set.maps.UDP, pages));
    this.#u32(at + POLICY_SET_SCTP, offsets(set.maps.SCTP, pages));
    this.#u32(at + POLICY_SET_OTHER, set.other);
    return at;
  }

  #append(list: Uint32Array | Uint16Array | Uint8Array): number {
    const at = this.#alloc(list.byteLength);
    this.#bytes(at, new Uint8Array(list.buffer, list.byteOffset, list.byteLength));
    return at;
  }

  #alloc(bytes: number): number {
    const at = this.#wasm.tablesAlloc(this.#area, BigInt(bytes)) >>> 0;
    const { begin, end } = this.#policy;
    if (at !== 0 && at + bytes <= end) return at;
    throw new TablesFull('policyBytes', this.#input.config.tables.policyBytes, (at || end) + bytes - begin);
  }

  #facts(key: string): TunnelFacts {
    const facts = this.#input.tunnels.get(key);
    if (!facts) throw new TypeError(`tunnel ${key} has no number`);
    return facts;
  }

  #u8(at: number, value: number): void {
    this.#memory.view.setUint8(at, value);
  }

  #u16(at: number, value: number): void {
    this.#memory.view.setUint16(at, value, true);
  }

  #u32(at: number, value: number): void {
    this.#memory.view.setUint32(at, value, true);
  }

  #bytes(at: number, bytes: Uint8Array): void {
    this.#memory.bytes.set(bytes, at);
  }
}

function tunnelFlags({ encapsulation }: Tunnel, { geneve, underlay }: Config): number {
  if (encapsulation === 'ipip') return 0;
  const shape =
    encapsulation === 'geneve' && geneve.payload === 'ip' ? TUNNEL_IS_GENEVE_IP : TUNNEL_IS_ETHERNET;
  return underlay.outerChecksum ? shape | TUNNEL_HAS_CHECKSUM : shape;
}

function destinationPort({ encapsulation }: Tunnel, { ports }: Config): number {
  return encapsulation === 'ipip' ? 0 : ports[encapsulation];
}

/** struct sockaddr_in or sockaddr_in6 (linux/in.h, linux/in6.h) as it stands in memory. */
function socketAddress({ family, bytes }: Address, port: number): Uint8Array {
  const image = new DataView(new ArrayBuffer(family === 4 ? 16 : 28));
  image.setUint16(0, family === 4 ? AF_INET : AF_INET6, true);
  image.setUint16(2, port);
  const array = new Uint8Array(image.buffer);
  array.set(family === 4 ? bytes.subarray(12) : bytes, family === 4 ? 4 : 8);
  return array;
}

/** A MAC as the table builder takes it: four bytes and two, each loaded little-endian. */
function macWords(mac: Mac = new Uint8Array(6)): [number, number] {
  const view = new DataView(mac.buffer, mac.byteOffset, 6);
  return [view.getUint32(0, true), view.getUint16(4, true)];
}
