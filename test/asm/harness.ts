// One node's data path, alone: the real module over a memory of its own, dirtied first; frames and datagrams in,
// messages out as byte arrays. What must hold of every burst is checked in every burst.
import {
  IOV_LENGTH,
  IOV_SIZE,
  NO_TUNNEL,
  RX_DATAGRAM_FLAGS,
  RX_DATAGRAM_LENGTH,
  RX_DATAGRAM_OFFSET,
  RX_DATAGRAM_SEGMENT,
  RX_DATAGRAM_SIZE,
  RX_DATAGRAM_SLOT,
  RX_DATAGRAM_SOURCE,
  RX_DATAGRAM_SPORT,
  RX_DATAGRAM_TOS,
  RX_FRAME_LENGTH,
  RX_FRAME_OFFSET,
  RX_FRAME_PORT,
  RX_FRAME_QUEUE,
  RX_FRAME_SIZE,
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
} from '../../asm/layout/burst.ts';
import {
  FLOW_SIZE,
  FLOW_TAGS_SIZE,
  FLOW_WAYS,
  FLOWS_EPOCH,
  FLOWS_HEADER_SIZE,
  TRANSLATION_SIZE,
} from '../../asm/layout/flows.ts';
import {
  CONTROL_AREA_A,
  CONTROL_AREA_B,
  CONTROL_AREA_SIZE,
  CONTROL_CLOCK,
  CONTROL_EPOCH,
  CONTROL_FLOWS,
  CONTROL_FLOWS_SIZE,
  CONTROL_MAX_BATCH,
  CONTROL_OFFLOADS,
  CONTROL_QUEUES,
  CONTROL_SEED,
  CONTROL_SOCKET_KINDS,
  CONTROL_SOCKET_PORTS,
  DATAGRAM_HEADROOM,
  DATAGRAM_STRIDE,
  DIRECT_SLOT,
  FIRST_SOCKET_SLOT,
  FRAME_HEADROOM,
  INJECTION_SLOT,
  MAX_IOVS,
  MAX_PORTS,
  MAX_TX_MESSAGES,
  MAX_VERDICTS,
  OFFLOAD_COALESCE,
  OFFLOAD_TSO,
  OFFLOAD_UDP_SEGMENT,
  OFFLOAD_USO,
  WASM_PAGE,
  WORKER_DATAGRAM_ARENA,
  WORKER_DATAGRAM_ARENA_END,
  WORKER_DECISION_COUNTERS,
  WORKER_FRAME_ARENA,
  WORKER_FRAME_ARENA_END,
  WORKER_HEADERS,
  WORKER_HEADERS_END,
  WORKER_IOV_COUNT,
  WORKER_PACKETS,
  WORKER_PORT_COUNTERS,
  WORKER_RX_DATAGRAMS,
  WORKER_RX_FRAMES,
  WORKER_SHAPER,
  WORKER_STATS,
  WORKER_STRIDE,
  WORKER_SWITCH_COUNT,
  WORKER_TIME,
  WORKER_TUNNEL_COUNTERS,
  WORKER_TX_COUNT,
  WORKER_TX_IOVS,
  WORKER_TX_MESSAGES,
  WORKER_VERDICTS,
  WORKERS,
} from '../../asm/layout/memory.ts';
import { SHAPER_SWITCHES } from '../../asm/layout/shaper.ts';
import {
  ENDPOINT_IS_NODE,
  NO_ENDPOINT_TUNNEL,
  NO_PORT,
  POLICY_CELL_ALLOW,
  POLICY_SET_COUNT,
  POLICY_SET_OTHER,
  POLICY_SET_ROWS,
  POLICY_SET_SCTP,
  POLICY_SET_SIZE,
  POLICY_SET_TCP,
  POLICY_SET_UDP,
  PORT_COUNTER_SIZE,
  PORT_EGRESS_SET,
  PORT_FLAGS,
  PORT_INGRESS_SET,
  PORT_KIND,
  PORT_MAC,
  PORT_MTU,
  PORT_NODE_SET,
  STAT_COUNT,
  STAT_RECEIVED,
  TABLES_CIDRS4,
  TABLES_CIDRS6,
  TABLES_FIRST_SOURCE_PORT,
  TABLES_GATEWAY4,
  TABLES_GATEWAY6,
  TABLES_NODE_PORT,
  TABLES_NODE4,
  TABLES_NODE6,
  TABLES_ROUTER_MAC,
  TABLES_ROUTES4,
  TABLES_ROUTES6,
  TABLES_SELF4,
  TABLES_SELF6,
  TABLES_SHAPED,
  TABLES_SOURCE_PORTS,
  TUNNEL_COUNTER_SIZE,
  TUNNEL_FAMILY,
  TUNNEL_FLAGS,
  TUNNEL_HEADER,
  TUNNEL_HEADER_LENGTH,
  TUNNEL_INNER_DESTINATION,
  TUNNEL_INNER_SOURCE,
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
} from '../../asm/layout/tables.ts';
import { Verdict } from '../../asm/verdict.ts';
import { AreaWriter } from '../../src/dataplane/area-writer.ts';
import { viewMemory } from '../../src/dataplane/memory.ts';
import {
  type ControlExports,
  compileDataPath,
  instantiate,
  type WorkerExports,
} from '../../src/dataplane/module.ts';
import { type Bandwidth, writeRates } from '../../src/dataplane/rates.ts';
import { type Services, ServiceTables } from '../../src/dataplane/service-tables.ts';
import { type TrieEntry, trieOf } from '../../src/dataplane/trie.ts';
import { address, words } from '../../src/net/address.ts';
import { prefix } from '../../src/net/prefix.ts';
import { concat, ip16, mac as macBytes, vnet } from '../support/packets.ts';

interface DataPathExports extends ControlExports, WorkerExports {
  sum(at: number, length: number): bigint;
  sumReference(at: number, length: number): bigint;
  updated16(field: number, before: number, after: number): number;
  updated32(field: number, before: number, after: number): number;
  endpointFind(area: number, at: number): number;
  routeFind(area: number, at: number): number;
  cidrFind(area: number, at: number): number;
  slotOf(client: number, clientPort: number, slots: number): number;
}

interface EndpointSpec {
  readonly address: string;
  readonly identity?: number;
  readonly port?: number;
  readonly mac?: string;
  readonly isNode?: boolean;
  readonly tunnel?: number;
}

interface RouteSpec {
  readonly prefix: string;
  readonly kind: number;
  readonly target?: number;
}

export interface TunnelSpec {
  /** TUNNEL_* */
  readonly kind: number;
  readonly family: 4 | 6;
  readonly peer: number;
  readonly mtu: number;
  readonly slot?: number;
  readonly slots?: number;
  readonly vni?: number;
  readonly tos?: number;
  /** TUNNEL_IS_* */
  readonly flags: number;
  readonly innerDestination?: string;
  readonly innerSource?: string;
  readonly local: string;
  readonly remote: string;
  readonly header: Uint8Array;
  /** Ethernet, IP and UDP header of injected superframes; without it they are split. */
  readonly outer?: Uint8Array;
}

/** One direction of an isolated pod: a cell for each class of peers and each port class. */
export interface PolicySpec {
  /** rows[class][portClass] */
  readonly rows: readonly (readonly number[])[];
  readonly ports?: readonly {
    readonly protocol: 'tcp' | 'udp' | 'sctp';
    readonly port: number;
    readonly portClass: number;
  }[];
  /** Port class of every other protocol. */
  readonly other?: number;
}

export interface PortSpec {
  /** PORT_POD … */
  readonly kind: number;
  readonly mtu?: number;
  readonly mac: string;
  /** PORT_IS_* */
  readonly flags?: number;
  readonly egress?: PolicySpec;
  readonly ingress?: PolicySpec;
  /** Egress to its own node. */
  readonly toNode?: PolicySpec;
}

export interface Tables {
  readonly routerMac: string;
  readonly gateway4: string;
  readonly gateway6: string;
  readonly node4?: string;
  readonly node6?: string;
  /** In place of clients' ports; 61000 to 65535 otherwise. */
  readonly sourcePorts?: { readonly first: number; readonly last: number };
  readonly self4?: string;
  readonly self6?: string;
  readonly nodePort?: number;
  readonly endpoints: readonly EndpointSpec[];
  readonly routes: readonly RouteSpec[];
  readonly cidrs?: readonly { readonly prefix: string; readonly policyClass: number }[];
  readonly peers: readonly { readonly address: string; readonly kind: number; readonly tunnel: number }[];
  readonly tunnels: readonly TunnelSpec[];
  readonly ports: Readonly<Record<number, PortSpec>>;
  readonly services?: Services;
  /** Capacities, where they matter. */
  readonly sizes?: {
    readonly endpoints?: number;
    readonly peers?: number;
  };
}

export const allow = (decision = 0): number => (POLICY_CELL_ALLOW | decision) >>> 0;
export const deny = (decision = 0): number => decision;

export const ALL_OFFLOADS = OFFLOAD_TSO | OFFLOAD_USO | OFFLOAD_UDP_SEGMENT | OFFLOAD_COALESCE;

const module = compileDataPath();
const FLOWS = WORKERS + 2 * WORKER_STRIDE;
export const AREA_SIZE = 2 ** 18;
const SCRATCH = 0x800;

export interface FrameIn {
  readonly port: number;
  readonly queue?: number;
  readonly frame: Uint8Array;
  /** 12 bytes; an empty one where it is not given. */
  readonly vnet?: Uint8Array;
}

export interface DatagramIn {
  readonly slot: number;
  readonly source: string;
  readonly bytes: Uint8Array;
  /** Of each merged datagram; 0: one. */
  readonly segment?: number;
  readonly tos?: number;
  readonly flags?: number;
}

export interface Message {
  readonly slot: number;
  /** Of the TAP. */
  readonly queue: number;
  readonly tos: number;
  readonly segment: number;
  readonly frames: number;
  /** NO_TUNNEL towards TAPs. */
  readonly tunnel: number;
  readonly sockaddr: Uint8Array | null;
  readonly bytes: Uint8Array;
  /** What goes on the wire: the bytes cut into segments. */
  readonly datagrams: readonly Uint8Array[];
}

export interface Burst {
  readonly messages: readonly Message[];
  /** Fates by name, those that were met. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** Statistics by number, those that changed. */
  readonly stats: Readonly<Record<number, number>>;
}

export interface NodeOptions {
  readonly flowBuckets?: number;
  readonly offloads?: number;
  readonly maxBatch?: number;
  /** Take over the flow region and the clock of a node that was killed. */
  readonly successorOf?: TestNode;
  /** Be the second worker over this node's memory and tables. */
  readonly beside?: TestNode;
}

export class TestNode {
  readonly memory: WebAssembly.Memory;
  readonly wasm: DataPathExports;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly scratch = SCRATCH;
  /** Start of the worker's region. */
  readonly base: number;
  area = 0;
  /** Whether the flow region was taken up as it was. */
  readonly flowsKept: boolean;

  constructor(tables: Tables | null, options: NodeOptions = {}) {
    const { successorOf, beside } = options;
    const flowsSize =
      FLOWS_HEADER_SIZE +
      (options.flowBuckets ?? 64) * (FLOW_TAGS_SIZE + FLOW_WAYS * (FLOW_SIZE + TRANSLATION_SIZE));
    const areaA = FLOWS + roundUp(flowsSize, 4096);
    const pages = roundUp(areaA + 2 * AREA_SIZE, WASM_PAGE) / WASM_PAGE;
    this.memory = beside?.memory ?? new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.bytes = new Uint8Array(this.memory.buffer);
    this.view = new DataView(this.memory.buffer);
    this.wasm = instantiate<DataPathExports>(module, this.memory);
    this.wasm.workerInit(beside ? 1 : 0);
    this.base = WORKERS + (beside ? WORKER_STRIDE : 0);
    // The arenas are dirtied burst by burst, where they are used.
    this.bytes.fill(0xa5, this.base + WORKER_RX_FRAMES, this.base + WORKER_HEADERS);
    if (beside) {
      this.area = beside.area;
      this.flowsKept = true;
      return;
    }
    this.bytes.fill(0xa5, areaA, areaA + 2 * AREA_SIZE);
    this.#u32(CONTROL_FLOWS, FLOWS);
    this.#u32(CONTROL_FLOWS_SIZE, flowsSize);
    this.#u32(CONTROL_AREA_A, areaA);
    this.#u32(CONTROL_AREA_B, areaA + AREA_SIZE);
    this.#u32(CONTROL_AREA_SIZE, AREA_SIZE);
    this.#u32(CONTROL_SEED, 0x5eed);
    this.#u32(CONTROL_MAX_BATCH, options.maxBatch ?? 0);
    this.offloads = options.offloads ?? ALL_OFFLOADS;
    if (successorOf) this.bytes.set(successorOf.bytes.subarray(FLOWS, FLOWS + flowsSize), FLOWS);
    this.flowsKept = this.wasm.flowsOpen() === 1;
    this.clock = successorOf?.clock ?? 1_000_000;
    if (tables) this.publish(tables);
  }

  set offloads(bits: number) {
    this.#u32(CONTROL_OFFLOADS, bits);
  }

  get queues(): number {
    return this.view.getUint32(CONTROL_QUEUES, true);
  }

  set queues(count: number) {
    this.#u32(CONTROL_QUEUES, count);
  }

  get clock(): number {
    return this.view.getUint32(CONTROL_CLOCK, true);
  }

  set clock(milliseconds: number) {
    this.#u32(CONTROL_CLOCK, milliseconds);
  }

  get epoch(): number {
    return this.view.getUint32(CONTROL_EPOCH, true);
  }

  /** Compiles tables into the idle area and makes them the live ones. */
  publish(tables: Tables): void {
    const epoch = this.epoch + 1;
    this.area = this.view.getUint32(epoch & 1 ? CONTROL_AREA_B : CONTROL_AREA_A, true);
    this.build(tables, epoch);
    this.#u32(FLOWS + FLOWS_EPOCH, epoch);
    this.#u32(CONTROL_EPOCH, epoch);
  }

  /** Fills the area; throws where something does not fit. */
  build(tables: Tables, epoch = 1): void {
    const { area, wasm } = this;
    const { sizes = {} } = tables;
    const fits = (ok: number, what: string) => {
      if (!ok) throw new Error(`${what} does not fit`);
    };
    fits(
      wasm.tablesBegin(
        area,
        AREA_SIZE,
        epoch,
        sizes.endpoints ?? 256,
        sizes.peers ?? 64,
        Math.max(1, tables.tunnels.length),
        Math.max(...Object.keys(tables.ports).map(Number), 0) + 1,
      ),
      'the area',
    );
    this.#u32(area + TABLES_NODE_PORT, tables.nodePort ?? NO_PORT);
    this.bytes.set(macBytes(tables.routerMac), area + TABLES_ROUTER_MAC);
    this.bytes.set(ip16(tables.gateway4), area + TABLES_GATEWAY4);
    this.bytes.set(ip16(tables.gateway6), area + TABLES_GATEWAY6);
    if (tables.node4) this.bytes.set(ip16(tables.node4), area + TABLES_NODE4);
    if (tables.node6) this.bytes.set(ip16(tables.node6), area + TABLES_NODE6);
    const { first, last } = tables.sourcePorts ?? { first: 61_000, last: 65_535 };
    this.#u32(area + TABLES_FIRST_SOURCE_PORT, first);
    this.#u32(area + TABLES_SOURCE_PORTS, last - first + 1);
    if (tables.self4) this.bytes.set(ip16(tables.self4), area + TABLES_SELF4);
    if (tables.self6) this.bytes.set(ip16(tables.self6), area + TABLES_SELF6);
    for (const one of tables.endpoints) {
      const [low, high] = macWords(one.mac ?? '00:00:00:00:00:00');
      const at = words(address(one.address));
      const flags = one.isNode ? ENDPOINT_IS_NODE : 0;
      const [identity, port, tunnel] = [
        one.identity ?? 0,
        one.port ?? NO_PORT,
        one.tunnel ?? NO_ENDPOINT_TUNNEL,
      ];
      fits(
        wasm.endpointPut(area, ...at, identity, port, flags, low, high, tunnel),
        `endpoint ${one.address}`,
      );
    }
    const routes = tables.routes.map(({ prefix: text, kind, target = 0 }) => ({
      prefix: prefix(text),
      value: (kind << 16) | target,
    }));
    this.writeTries(area, routes, { 4: TABLES_ROUTES4, 6: TABLES_ROUTES6 });
    const cidrs = (tables.cidrs ?? []).map(({ prefix: text, policyClass }) => ({
      prefix: prefix(text),
      value: policyClass,
    }));
    this.writeTries(area, cidrs, { 4: TABLES_CIDRS4, 6: TABLES_CIDRS6 });
    if (tables.services) {
      const writer = new AreaWriter(viewMemory(this.memory), area);
      new ServiceTables(wasm, writer, { frontends: 64, serviceBytes: 2 ** 16 }).write(tables.services);
    }
    for (const { address: outer, kind, tunnel } of tables.peers) {
      fits(wasm.peerPut(area, ...words(address(outer)), kind, tunnel), `peer ${outer}`);
    }
    for (const [i, tunnel] of tables.tunnels.entries())
      this.#writeTunnel(wasm.tunnelRow(area, i) >>> 0, tunnel);
    for (const [slot, port] of Object.entries(tables.ports)) {
      const row = wasm.portRow(area, Number(slot)) >>> 0;
      this.bytes[row + PORT_KIND] = port.kind;
      this.bytes[row + PORT_FLAGS] = port.flags ?? 0;
      this.#u16(row + PORT_MTU, port.mtu ?? 1500);
      this.bytes.set(macBytes(port.mac), row + PORT_MAC);
      this.#u32(row + PORT_EGRESS_SET, port.egress ? this.#writeSet(port.egress) : 0);
      this.#u32(row + PORT_INGRESS_SET, port.ingress ? this.#writeSet(port.ingress) : 0);
      this.#u32(row + PORT_NODE_SET, port.toNode ? this.#writeSet(port.toNode) : 0);
    }
  }

  /** Puts the trie of each family's prefixes where the area says that it is. */
  writeTries(area: number, entries: readonly TrieEntry[], bases: Readonly<Record<4 | 6, number>>): void {
    for (const family of [4, 6] as const) {
      const trie = trieOf(entries.filter((entry) => entry.prefix.address.family === family));
      const at = trie.length === 0 ? 0 : this.wasm.tablesAlloc(area, BigInt(trie.length)) >>> 0;
      if (trie.length > 0 && at === 0) throw new Error('a trie does not fit');
      this.bytes.set(trie, at);
      this.#u32(area + bases[family], at);
    }
  }

  #writeTunnel(row: number, tunnel: TunnelSpec): void {
    if (tunnel.header.length > TUNNEL_OUTER_LENGTH - TUNNEL_HEADER) throw new Error('template too long');
    const slot = tunnel.slot ?? FIRST_SOCKET_SLOT + 8;
    this.bytes[row + TUNNEL_KIND] = tunnel.kind;
    this.bytes[row + TUNNEL_FAMILY] = tunnel.family;
    this.#u16(row + TUNNEL_HEADER_LENGTH, tunnel.header.length);
    this.#u32(row + TUNNEL_PEER, tunnel.peer);
    this.#u32(row + TUNNEL_MTU, tunnel.mtu);
    this.#u16(row + TUNNEL_SLOT, slot);
    this.#u16(row + TUNNEL_SLOTS, tunnel.slots ?? 32);
    this.#u32(row + TUNNEL_VNI, tunnel.vni ?? 0);
    this.bytes[row + TUNNEL_TOS] = tunnel.tos ?? 0;
    this.bytes[row + TUNNEL_TTL] = 64;
    this.#u16(row + TUNNEL_FLAGS, tunnel.flags);
    // Any image will do: the data path only points at it.
    this.bytes.fill(0x51, row + TUNNEL_SOCKADDR, row + TUNNEL_SOCKADDR + 28);
    this.bytes.set(macBytes(tunnel.innerDestination ?? '00:00:00:00:00:00'), row + TUNNEL_INNER_DESTINATION);
    this.bytes.set(macBytes(tunnel.innerSource ?? '00:00:00:00:00:00'), row + TUNNEL_INNER_SOURCE);
    this.bytes.set(ip16(tunnel.remote), row + TUNNEL_REMOTE);
    this.bytes.set(ip16(tunnel.local), row + TUNNEL_LOCAL);
    this.bytes.set(tunnel.header, row + TUNNEL_HEADER);
    this.#u16(row + TUNNEL_OUTER_LENGTH, tunnel.outer?.length ?? 0);
    this.bytes.set(tunnel.outer ?? [], row + TUNNEL_OUTER);
  }

  #writeSet(spec: PolicySpec): number {
    const rows = spec.rows.map((cells) => this.#words(cells));
    const set = this.#alloc(POLICY_SET_SIZE);
    this.#u32(set + POLICY_SET_ROWS, this.#words(rows));
    this.#u32(set + POLICY_SET_COUNT, rows.length);
    const fields = { tcp: POLICY_SET_TCP, udp: POLICY_SET_UDP, sctp: POLICY_SET_SCTP };
    const empty = this.#alloc(512);
    for (const protocol of ['tcp', 'udp', 'sctp'] as const) {
      const pages = new Map<number, number>();
      for (const { port, portClass } of (spec.ports ?? []).filter((one) => one.protocol === protocol)) {
        const page = pages.get(port >> 8) ?? this.#alloc(512);
        pages.set(port >> 8, page);
        this.#u16(page + (port & 255) * 2, portClass);
      }
      this.#u32(
        set + fields[protocol],
        this.#words(Array.from({ length: 256 }, (_, i) => pages.get(i) ?? empty)),
      );
    }
    this.#u32(set + POLICY_SET_OTHER, spec.other ?? 0);
    return set;
  }

  #words(list: readonly number[]): number {
    const at = this.#alloc(list.length * 4);
    for (const [i, value] of list.entries()) this.#u32(at + i * 4, value);
    return at;
  }

  #alloc(bytes: number): number {
    const at = this.wasm.tablesAlloc(this.area, BigInt(bytes)) >>> 0;
    if (at === 0) throw new Error('the area is full');
    return at;
  }

  /** Says what arrives at a socket, and at which port. */
  socket(slot: number, kind: number, port = 0): void {
    this.bytes[CONTROL_SOCKET_KINDS + slot - FIRST_SOCKET_SLOT] = kind;
    this.#u16(CONTROL_SOCKET_PORTS + (slot - FIRST_SOCKET_SLOT) * 2, port);
  }

  /** Frames from TAPs through egress(). */
  egress(...frames: readonly FrameIn[]): Burst {
    this.#dirty();
    this.bytes.fill(0xa5, this.base + WORKER_RX_FRAMES, this.base + WORKER_RX_DATAGRAMS);
    let at = this.base + WORKER_FRAME_ARENA;
    for (const [i, one] of frames.entries()) {
      const content = concat(one.vnet ?? vnet(), one.frame);
      at += FRAME_HEADROOM;
      if (at + content.length > this.base + WORKER_FRAME_ARENA_END)
        throw new Error('the frames of a burst do not fit');
      this.bytes.fill(0xa5, at - FRAME_HEADROOM, at + content.length + 64);
      this.bytes.set(content, at);
      this.frameDescriptor(i, at, content.length, one.port, one.queue);
      at = roundUp(at + content.length, 64);
    }
    return this.run('egress', frames.length);
  }

  frameDescriptor(i: number, offset: number, length: number, port: number, queue = 0): void {
    const row = this.base + WORKER_RX_FRAMES + i * RX_FRAME_SIZE;
    this.#u32(row + RX_FRAME_OFFSET, offset);
    this.#u32(row + RX_FRAME_LENGTH, length);
    this.#u16(row + RX_FRAME_PORT, port);
    this.bytes[row + RX_FRAME_QUEUE] = queue;
  }

  /** Datagrams from sockets through ingress(). */
  ingress(...datagrams: readonly DatagramIn[]): Burst {
    this.#dirty();
    this.bytes.fill(0xa5, this.base + WORKER_RX_DATAGRAMS, this.base + WORKER_PACKETS);
    for (const [i, one] of datagrams.entries()) {
      const at = this.base + WORKER_DATAGRAM_ARENA + i * DATAGRAM_STRIDE + DATAGRAM_HEADROOM;
      this.bytes.fill(0xa5, at - DATAGRAM_HEADROOM, at + one.bytes.length + 64);
      this.bytes.set(one.bytes, at);
      this.datagramDescriptor(i, at, one.bytes.length, one);
    }
    return this.run('ingress', datagrams.length);
  }

  datagramDescriptor(i: number, offset: number, length: number, one: Omit<DatagramIn, 'bytes'>): void {
    const row = this.base + WORKER_RX_DATAGRAMS + i * RX_DATAGRAM_SIZE;
    this.#u32(row + RX_DATAGRAM_OFFSET, offset);
    this.#u32(row + RX_DATAGRAM_LENGTH, length);
    this.#u32(row + RX_DATAGRAM_SEGMENT, one.segment ?? 0);
    this.#u16(row + RX_DATAGRAM_SLOT, one.slot);
    this.bytes[row + RX_DATAGRAM_TOS] = one.tos ?? 0;
    this.bytes[row + RX_DATAGRAM_FLAGS] = one.flags ?? 0;
    this.bytes.set(ip16(one.source), row + RX_DATAGRAM_SOURCE);
    this.#u16(row + RX_DATAGRAM_SPORT, 50000);
  }

  /** What `shape` lets go. */
  shape(): Burst {
    this.#dirty();
    return this.run('shape', 0);
  }

  /** Rates of a port, until tables are published again. */
  limit(port: number, bandwidth: Bandwidth): void {
    writeRates({ view: this.view }, this.wasm.portRow(this.area, port) >>> 0, bandwidth);
    this.#u32(this.area + TABLES_SHAPED, 1);
  }

  /** Time of the buckets, in microseconds. */
  set time(microseconds: number) {
    this.view.setBigUint64(this.base + WORKER_TIME, BigInt(microseconds), true);
  }

  /** TAPs that the last burst has paused or resumed, with TAP_PAUSED. */
  get switches(): number[] {
    const count = this.view.getUint32(this.base + WORKER_SWITCH_COUNT, true);
    return Array.from({ length: count }, (_, i) =>
      this.view.getUint32(this.base + WORKER_SHAPER + SHAPER_SWITCHES + 4 * i, true),
    );
  }

  /** Runs a burst whose descriptors stand in memory, and checks what holds of every burst. */
  run(direction: 'egress' | 'ingress' | 'shape', rows: number): Burst {
    const before = this.verdicts();
    const statsBefore = this.stats();
    const count = this.wasm[direction](rows);
    const verdicts = difference(this.verdicts(), before);
    const stats = difference(this.stats(), statsBefore);
    const fates = Object.values(verdicts).reduce((sum, n) => sum + n, 0);
    if (fates !== (stats[STAT_RECEIVED] ?? 0)) {
      throw new Error(`received ${stats[STAT_RECEIVED]} is not the sum of ${JSON.stringify(verdicts)}`);
    }
    if (verdicts.InProgress) throw new Error('a packet without a fate');
    return { messages: this.#messages(count, verdicts.Forward ?? 0), verdicts, stats };
  }

  /** Stale rows and headers must not matter. */
  #dirty(): void {
    this.bytes.fill(0xa5, this.base + WORKER_PACKETS, this.base + WORKER_PACKETS + 130 * 192);
    this.bytes.fill(0xa5, this.base + WORKER_TX_MESSAGES, this.base + WORKER_TX_MESSAGES + 0x8000);
    this.bytes.fill(0xa5, this.base + WORKER_HEADERS, this.base + WORKER_HEADERS + 0x20000);
  }

  #messages(count: number, forwarded: number): Message[] {
    const iovs = this.view.getUint32(this.base + WORKER_IOV_COUNT, true);
    expectThat(this.view.getUint32(this.base + WORKER_TX_COUNT, true) === count, 'WORKER_TX_COUNT');
    expectThat(count <= MAX_TX_MESSAGES && iovs <= MAX_IOVS, `${count} messages, ${iovs} gather entries`);
    // What waits for a port is forwarded, and in no message yet.
    const isShaped = this.view.getUint32(this.area + TABLES_SHAPED, true) !== 0;
    let used = 0;
    let decided = 0;
    const messages = Array.from({ length: count }, (_, i): Message => {
      const m = this.base + WORKER_TX_MESSAGES + i * TX_MESSAGE_SIZE;
      const u16 = (field: number) => this.view.getUint16(m + field, true);
      const u32 = (field: number) => this.view.getUint32(m + field, true);
      expectThat(isShaped || u32(TX_IOV) === used, 'gather lists of messages follow one another');
      expectThat(u32(TX_IOVS) > 0 && u32(TX_IOVS) <= 1024, `${u32(TX_IOVS)} gather entries`);
      expectThat(u32(TX_STATUS) === 0, 'TX_STATUS');
      used += u32(TX_IOVS);
      const parts = Array.from({ length: u32(TX_IOVS) }, (_, j) => {
        const v = this.base + WORKER_TX_IOVS + (u32(TX_IOV) + j) * IOV_SIZE;
        return this.#piece(this.view.getUint32(v, true), this.view.getUint32(v + IOV_LENGTH, true));
      });
      const bytes = concat(...parts);
      expectThat(bytes.length === u32(TX_BYTES), 'TX_BYTES');
      const isFrame = u16(TX_SLOT) === INJECTION_SLOT || u16(TX_SLOT) === DIRECT_SLOT;
      const isSocket = u32(TX_TUNNEL) !== NO_TUNNEL && !isFrame;
      const queue = this.bytes[m + TX_QUEUE] as number;
      if (isSocket) {
        const row = this.wasm.tunnelRow(this.area, u32(TX_TUNNEL)) >>> 0;
        expectThat(row !== 0 && u32(TX_ADDRESS) === row + TUNNEL_SOCKADDR, 'TX_ADDRESS');
        expectThat(u16(TX_SLOT) >= FIRST_SOCKET_SLOT && queue === 0, 'a tunnel leaves by a socket');
        expectThat(bytes.length <= 65507, `${bytes.length} bytes in one send`);
      } else {
        expectThat(
          u32(TX_ADDRESS) === 0 &&
            u16(TX_SLOT) < MAX_PORTS &&
            u16(TX_SEGMENT) === 0 &&
            queue < (this.queues || 1),
          'message to a TAP',
        );
      }
      decided += u16(TX_FRAMES);
      const segment = u16(TX_SEGMENT);
      return {
        slot: u16(TX_SLOT),
        queue,
        tos: this.bytes[m + TX_TOS] as number,
        segment,
        frames: u16(TX_FRAMES),
        tunnel: u32(TX_TUNNEL),
        sockaddr: isSocket ? this.bytes.slice(u32(TX_ADDRESS), u32(TX_ADDRESS) + 28) : null,
        bytes,
        datagrams: segment === 0 ? [bytes] : cut(bytes, segment),
      };
    });
    expectThat(isShaped || used === iovs, `${iovs} gather entries, ${used} of them in messages`);
    expectThat(isShaped || decided === forwarded, `${forwarded} forwarded, messages answer for ${decided}`);
    return messages;
  }

  /** Bytes that a gather entry points at: within the worker's own arenas. */
  #piece(offset: number, length: number): Uint8Array {
    const isWithin = (from: number, to: number) =>
      offset >= this.base + from && offset + length <= this.base + to;
    expectThat(
      length > 0 &&
        (isWithin(WORKER_HEADERS, WORKER_HEADERS_END) ||
          isWithin(WORKER_FRAME_ARENA, WORKER_FRAME_ARENA_END) ||
          isWithin(WORKER_DATAGRAM_ARENA, WORKER_DATAGRAM_ARENA_END) ||
          isWithin(WORKER_SHAPER, WORKER_STRIDE)),
      `gather entry ${offset.toString(16)} + ${length}`,
    );
    return this.bytes.slice(offset, offset + length);
  }

  /** Writes errno as the addon does for a refused message. */
  refuse(message: number, errno: number): void {
    this.#u32(this.base + WORKER_TX_MESSAGES + message * TX_MESSAGE_SIZE + TX_STATUS, errno);
  }

  verdicts(): Record<string, number> {
    const list: Record<string, number> = {};
    for (let i = 0; i < MAX_VERDICTS; i++) {
      const n = this.#small(WORKER_VERDICTS + i * 8);
      if (n !== 0) list[Verdict[i] ?? `#${i}`] = n;
    }
    return list;
  }

  stats(): Record<number, number> {
    const list: Record<number, number> = {};
    for (let i = 0; i < STAT_COUNT; i++) {
      const n = this.#small(WORKER_STATS + i * 8);
      if (n !== 0) list[i] = n;
    }
    return list;
  }

  /** A counter that no test brings to 2³¹, read without a BigInt: every burst reads all of them. */
  #small(at: number): number {
    const [low, high] = [
      this.view.getInt32(this.base + at, true),
      this.view.getInt32(this.base + at + 4, true),
    ];
    if (high !== (low < 0 ? -1 : 0)) throw new Error(`a counter at ${at.toString(16)} ran away`);
    return low;
  }

  portCounter(port: number, field: number): number {
    return this.#counter(WORKER_PORT_COUNTERS + port * PORT_COUNTER_SIZE + field);
  }

  tunnelCounter(tunnel: number, field: number): number {
    return this.#counter(WORKER_TUNNEL_COUNTERS + tunnel * TUNNEL_COUNTER_SIZE + field);
  }

  decisionCounter(decision: number): number {
    return this.#counter(WORKER_DECISION_COUNTERS + decision * 8);
  }

  #counter(at: number): number {
    return Number(this.view.getBigUint64(this.base + at, true));
  }

  #u16(at: number, value: number): void {
    this.view.setUint16(at, value, true);
  }

  #u32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }
}

function expectThat(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`burst: ${what}`);
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.slice(i * size, (i + 1) * size),
  );
}

function difference<K extends string | number>(
  after: Record<K, number>,
  before: Record<K, number>,
): Record<K, number> {
  const entries = Object.entries<number>(after).map(
    ([key, n]) => [key, n - (before[key as K] ?? 0)] as const,
  );
  return Object.fromEntries(entries.filter(([, n]) => n !== 0)) as Record<K, number>;
}

const roundUp = (value: number, unit: number) => Math.ceil(value / unit) * unit;

function macWords(text: string): [number, number] {
  const view = new DataView(macBytes(text).buffer);
  return [view.getUint32(0, true), view.getUint16(4, true)];
}

/** Four words and a length that counts from the first of 128 bits. */
/** Fate of a burst's only packet. */
export function fate({ verdicts }: Burst): string {
  const names = Object.keys(verdicts);
  if (names.length !== 1 || verdicts[names[0] as string] !== 1)
    throw new Error(`fates ${JSON.stringify(verdicts)}`);
  return names[0] as string;
}
