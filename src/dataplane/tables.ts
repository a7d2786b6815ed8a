/**
 * One table area (asm/layout/tables.ts draws it), brought up to date with what should be and what this process knows.
 *
 *     ├ header ┼ endpoints, peers, tunnels, ports ┼ tries of routes ┼ tries of CIDRs ┼ Services ┼ policy ──► ┤
 *
 * The two areas take turns, so each is behind by what happened since its own last turn: `mark` tells both, `write`
 * brings the one that no worker reads up to date and leaves alone what has not changed.
 */
import { MAX_PORTS } from '../../asm/layout/memory.ts';
import {
  ENDPOINT_IS_NODE,
  NO_ENDPOINT_TUNNEL,
  NO_PORT,
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
  PORT_SIZE,
  ROUTE_EMPTY,
  ROUTE_OUTSIDE,
  ROUTE_TUNNEL,
  ROUTE_UNASSIGNED,
  TABLES_CIDRS4,
  TABLES_CIDRS6,
  TABLES_EPOCH,
  TABLES_FIRST_SOURCE_PORT,
  TABLES_GATEWAY4,
  TABLES_GATEWAY6,
  TABLES_NODE_PORT,
  TABLES_NODE_PORTS4,
  TABLES_NODE_PORTS6,
  TABLES_NODE4,
  TABLES_NODE6,
  TABLES_ROUTER_MAC,
  TABLES_ROUTES4,
  TABLES_ROUTES6,
  TABLES_SELF4,
  TABLES_SELF6,
  TABLES_SHAPED,
  TABLES_SOURCE_PORTS,
  TUNNEL_SIZE,
} from '../../asm/layout/tables.ts';
import type { Config } from '../config/schema.ts';
import type { Desired, DesiredDelta, Endpoint } from '../control/desired.ts';
import type { Tunnel } from '../control/topology.ts';
import { address, words } from '../net/address.ts';
import type { Mac } from '../net/mac.ts';
import { AreaWriter } from './area-writer.ts';
import { type Memory, trieBytes } from './memory.ts';
import type { ControlExports } from './module.ts';
import { PolicyTables } from './policy-tables.ts';
import { type Bandwidth, writeRates } from './rates.ts';
import { ServiceTables, type ServiceUse } from './service-tables.ts';
import { TablesFull } from './table-fault.ts';
import { type TrieEntry, trieOf } from './trie.ts';
import { encapsulations, isSameFacts, type TunnelFacts, writeTunnel } from './tunnel-rows.ts';

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
  readonly bandwidth?: Bandwidth | undefined;
}

export interface TableInput {
  readonly desired: Desired;
  readonly config: Config;
  readonly ports: readonly TablePort[];
  readonly tunnels: ReadonlyMap<string, TunnelFacts>;
}

/** How full an area is. */
export interface TableUse extends ServiceUse {
  readonly endpoints: number;
  readonly routes: number;
  readonly cidrs: number;
  readonly tunnels: number;
  readonly policyBytes: number;
}

/** What an area holds. */
interface Written {
  readonly input: TableInput;
  /** Endpoints that it has room for. */
  readonly capacity: number;
  /** Absolute. */
  readonly routes: number;
  readonly cidrs: number;
  readonly services: ServiceTables;
  readonly policy: PolicyTables;
}

const portKinds = { pod: PORT_POD, node: PORT_NODE, forward: PORT_FORWARD };
const routeKinds = {
  tunnel: ROUTE_TUNNEL,
  empty: ROUTE_EMPTY,
  outside: ROUTE_OUTSIDE,
  none: ROUTE_UNASSIGNED,
};
/** Room for endpoints is at least so much and twice what is needed: memory that is never touched costs nothing. */
const LEAST_ENDPOINTS = 1024;

/**
 * Fills an area that no worker reads, and that nobody will bring up to date.
 * @throws TablesFull
 */
export function fillTables(
  wasm: ControlExports,
  memory: Memory,
  area: number,
  areaSize: number,
  epoch: number,
  input: TableInput,
): TableUse {
  return new TableArea(wasm, memory, area, areaSize).write(epoch, input);
}

export class TableArea {
  readonly #wasm: ControlExports;
  readonly #area: number;
  readonly #size: number;
  readonly #memory: Memory;
  readonly #to: AreaWriter;
  #written: Written | undefined;
  /** Addresses and classes that have changed since, by text and by number. */
  #endpoints = new Set<string>();
  #classes = new Set<number>();
  /** Keys of Services. */
  #services = new Set<string>();

  /** @param area absolute */
  constructor(wasm: ControlExports, memory: Memory, area: number, size: number) {
    this.#wasm = wasm;
    this.#area = area;
    this.#size = size;
    this.#memory = memory;
    this.#to = new AreaWriter(memory, area);
  }

  /** Something is no longer as it was. */
  mark({ endpoints, classes, services }: Pick<DesiredDelta, 'endpoints' | 'classes' | 'services'>): void {
    // What has not been written yet is written in whole.
    if (!this.#written) return;
    for (const text of endpoints) this.#endpoints.add(text);
    for (const number of classes) this.#classes.add(number);
    for (const key of services) this.#services.add(key);
  }

  /**
   * Brings the area up to date; no worker may read it.
   * @throws TablesFull: the area is of no use until the next time
   */
  write(epoch: number, input: TableInput): TableUse {
    const before = this.#written && canFollow(this.#written, input) ? this.#written : undefined;
    // Should a part not fit, the next time begins anew.
    this.#written = undefined;
    const written = before ? { ...before, input } : this.#begin(epoch, input);
    this.#to.u32(this.#area + TABLES_EPOCH, epoch);
    this.#writeHeader(input);
    this.#writeTunnels(before?.input, input);
    const changed = before
      ? [...this.#endpoints, ...reattached(before.input, input)]
      : input.desired.endpoints.keys();
    this.#writeEndpoints(changed, input);
    if (before?.input.desired.routes !== input.desired.routes) this.#writeRoutes(written);
    if (before?.input.desired.policy.blocks !== input.desired.policy.blocks) this.#writeBlocks(written);
    written.services.write(input.desired.services, before ? this.#services : undefined);
    written.policy.write(input.desired.policy, before ? this.#classes : []);
    this.#writePorts(before?.input, written);
    this.#endpoints.clear();
    this.#classes.clear();
    this.#services.clear();
    this.#written = written;
    return {
      endpoints: this.#wasm.endpointsCount(this.#area),
      routes: input.desired.routes.length,
      cidrs: input.desired.policy.blocks.length,
      tunnels: input.desired.tunnels.length,
      policyBytes: written.policy.used,
      ...written.services.use,
    };
  }

  #begin(epoch: number, input: TableInput): Written {
    const { endpoints, tunnels, routes, cidrs, frontends, serviceBytes, policyBytes } = input.config.tables;
    const capacity = Math.min(endpoints, Math.max(LEAST_ENDPOINTS, 2 * input.desired.endpoints.size));
    const begun = this.#wasm.tablesBegin(
      this.#area,
      this.#size,
      epoch,
      capacity,
      tunnels,
      tunnels,
      MAX_PORTS,
    );
    if (!begun) throw new RangeError(`a table area of ${this.#size} bytes does not hold its own tables`);
    return {
      input,
      capacity,
      routes: this.#to.reserve(trieBytes(routes)),
      cidrs: this.#to.reserve(trieBytes(cidrs)),
      services: new ServiceTables(this.#wasm, this.#to, { frontends, serviceBytes }),
      policy: new PolicyTables(this.#to, policyBytes),
    };
  }

  #writeHeader({ desired, ports, config }: TableInput): void {
    const { node } = desired;
    const own = (family: 4 | 6) =>
      node.podNetworkAddresses.find((one) => one.family === family) ??
      config.underlay.addresses.find((one) => one.family === family);
    this.#to.u32(this.#area + TABLES_SHAPED, ports.some(({ bandwidth }) => bandwidth) ? 1 : 0);
    this.#to.u32(this.#area + TABLES_NODE_PORT, nodePort(ports)?.slot ?? NO_PORT);
    this.#to.bytes(this.#area + TABLES_ROUTER_MAC, node.routerMac);
    this.#to.bytes(this.#area + TABLES_GATEWAY4, gateway4.bytes);
    this.#to.bytes(this.#area + TABLES_GATEWAY6, gateway6.bytes);
    this.#to.bytes(this.#area + TABLES_NODE4, own(4)?.bytes ?? new Uint8Array(16));
    this.#to.bytes(this.#area + TABLES_NODE6, own(6)?.bytes ?? new Uint8Array(16));
    const self = (family: 4 | 6) => node.podCIDRs.find(({ address: { family: its } }) => its === family);
    this.#to.bytes(this.#area + TABLES_SELF4, self(4)?.address.bytes ?? new Uint8Array(16));
    this.#to.bytes(this.#area + TABLES_SELF6, self(6)?.address.bytes ?? new Uint8Array(16));
    const { first, last } = config.services.sourcePorts;
    this.#to.u32(this.#area + TABLES_FIRST_SOURCE_PORT, first);
    this.#to.u32(this.#area + TABLES_SOURCE_PORTS, last - first + 1);
    const addresses = desired.services.node?.statusAddresses ?? [];
    const knocked = (family: 4 | 6) => addresses.find((one) => one.family === family);
    this.#to.bytes(this.#area + TABLES_NODE_PORTS4, knocked(4)?.bytes ?? new Uint8Array(16));
    this.#to.bytes(this.#area + TABLES_NODE_PORTS6, knocked(6)?.bytes ?? new Uint8Array(16));
  }

  #writeTunnels(before: TableInput | undefined, input: TableInput): void {
    const { desired, config, tunnels } = input;
    const isSame = before?.desired.tunnels === desired.tunnels;
    if (isSame && before.tunnels === tunnels) return;
    if (desired.tunnels.length > config.tables.tunnels)
      throw new TablesFull('tunnels', config.tables.tunnels, desired.tunnels.length);
    const kept = before ? this.#keptTunnels(before, input) : new Set<Tunnel>();
    if (!isSame) this.#wasm.peersClear(this.#area);
    const { routerMac } = desired.node;
    /** A peer is numbered by its first tunnel, so that its number stays whoever else comes and goes. */
    const peers = new Map<string, number>();
    for (const tunnel of desired.tunnels) {
      const facts = factsOf(tunnel.key, input);
      const peer = peers.get(tunnel.peer.name) ?? facts.number + 1;
      peers.set(tunnel.peer.name, peer);
      if (!kept.has(tunnel))
        writeTunnel(this.#to, this.#tunnelRow(facts.number), tunnel, facts, { config, routerMac, peer });
      const outer = tunnel.way
        ? [macAsPeer(tunnel.way.remoteMac)]
        : tunnel.peer.addresses.filter(({ family }) => family === tunnel.family);
      for (const one of isSame ? [] : outer) {
        const kind = encapsulations[tunnel.encapsulation];
        if (this.#wasm.peerPut(this.#area, ...words(one), kind, facts.number)) continue;
        const needed = desired.peers.flatMap(({ addresses }) => addresses).length;
        throw new TablesFull('tunnels', config.tables.tunnels, needed);
      }
    }
  }

  /** Takes away the rows of all tunnels but those of which nothing has changed. */
  #keptTunnels(before: TableInput, input: TableInput): Set<Tunnel> {
    const first = (tunnels: readonly Tunnel[]) =>
      new Map([...tunnels].reverse().map(({ peer, key }) => [peer.name, key]));
    const [was, is] = [first(before.desired.tunnels), first(input.desired.tunnels)];
    const current = new Set(input.desired.tunnels);
    const isSameNode = isSameMac(before.desired.node.routerMac, input.desired.node.routerMac);
    const kept = new Set<Tunnel>();
    for (const tunnel of before.desired.tunnels) {
      const { key, peer } = tunnel;
      const facts = factsOf(key, before);
      const isSame = isSameNode && current.has(tunnel) && was.get(peer.name) === is.get(peer.name);
      if (isSame && isSameFacts(facts, factsOf(key, input))) kept.add(tunnel);
      else this.#to.zero(this.#tunnelRow(facts.number), TUNNEL_SIZE);
    }
    return kept;
  }

  #tunnelRow(number: number): number {
    return this.#wasm.tunnelRow(this.#area, number) >>> 0;
  }

  #writeEndpoints(changed: Iterable<string>, input: TableInput): void {
    const { desired, config, ports } = input;
    const node = nodePort(ports);
    const pods = podPorts(ports);
    for (const text of changed) {
      const endpoint = desired.endpoints.get(text);
      const port = portOf(endpoint, pods, node);
      // A pod of this node that is not attached cannot be reached: its address is one of an empty range.
      if (!endpoint || (endpoint.kind === 'pod' && !port)) {
        this.#wasm.endpointRemove(this.#area, ...words(address(text)));
        continue;
      }
      const isPut = this.#wasm.endpointPut(
        this.#area,
        ...words(endpoint.address),
        desired.policy.identities.get(text) ?? 0,
        port?.slot ?? NO_PORT,
        endpoint.kind === 'node' || endpoint.kind === 'remote-node' ? ENDPOINT_IS_NODE : 0,
        ...macWords(port?.mac),
        'tunnel' in endpoint ? factsOf(endpoint.tunnel, input).number : NO_ENDPOINT_TUNNEL,
      );
      if (!isPut) throw new TablesFull('endpoints', config.tables.endpoints, desired.endpoints.size);
    }
  }

  #writeRoutes({ input, routes: at }: Written): void {
    const { desired, config } = input;
    const entries = desired.routes.map((route): TrieEntry => {
      const target = route.kind === 'tunnel' ? factsOf(route.tunnel, input).number : 0;
      return { prefix: route.prefix, value: (routeKinds[route.kind] << 16) | target };
    });
    if (entries.length > config.tables.routes)
      throw new TablesFull('routes', config.tables.routes, entries.length);
    this.#writeTries(entries, at, { 4: TABLES_ROUTES4, 6: TABLES_ROUTES6 });
  }

  #writeBlocks({ input, cidrs: at }: Written): void {
    const { desired, config } = input;
    const entries = desired.policy.blocks.map(({ prefix, policyClass }) => ({ prefix, value: policyClass }));
    if (entries.length > config.tables.cidrs)
      throw new TablesFull('cidrs', config.tables.cidrs, entries.length);
    this.#writeTries(entries, at, { 4: TABLES_CIDRS4, 6: TABLES_CIDRS6 });
  }

  /** @param at where the tries of both families go, one behind the other */
  #writeTries(entries: readonly TrieEntry[], at: number, bases: Readonly<Record<4 | 6, number>>): void {
    let free = at;
    for (const family of [4, 6] as const) {
      const trie = trieOf(entries.filter(({ prefix }) => prefix.address.family === family));
      this.#to.u32(this.#area + bases[family], trie.length === 0 ? 0 : free);
      this.#to.bytes(free, trie);
      free = this.#to.aligned(free + trie.length);
    }
  }

  #writePorts(before: TableInput | undefined, { input, policy }: Written): void {
    const row = (slot: number) => this.#wasm.portRow(this.#area, slot) >>> 0;
    for (const { slot } of before?.ports ?? []) this.#to.zero(row(slot), PORT_SIZE);
    for (const port of input.ports) {
      const at = row(port.slot);
      const sets = port.pod === undefined ? undefined : input.desired.policy.pods.get(port.pod);
      this.#to.u8(at + PORT_KIND, portKinds[port.kind]);
      this.#to.u8(at + PORT_FLAGS, port.kind === 'pod' && !sets ? PORT_IS_PENDING : 0);
      this.#to.u16(at + PORT_MTU, port.mtu);
      this.#to.bytes(at + PORT_MAC, port.mac);
      this.#to.u32(at + PORT_EGRESS_SET, policy.offsetOf(sets?.egress));
      this.#to.u32(at + PORT_INGRESS_SET, policy.offsetOf(sets?.ingress));
      this.#to.u32(at + PORT_NODE_SET, policy.offsetOf(sets?.toNode));
      if (port.bandwidth) writeRates(this.#memory, at, port.bandwidth);
    }
  }
}

/** Whether an area can be brought up to date from what it holds. */
function canFollow({ input, capacity }: Written, { desired, ports, tunnels, config }: TableInput): boolean {
  const [was, is] = [nodePort(input.ports), nodePort(ports)];
  return (
    input.config === config &&
    input.desired.endpoints === desired.endpoints &&
    desired.endpoints.size <= capacity &&
    (input.tunnels === tunnels ||
      [...tunnels].every(([key, { number }]) => isNumbered(input.tunnels, key, number))) &&
    was?.slot === is?.slot &&
    isSameMac(was?.mac, is?.mac)
  );
}

/** Whether a tunnel, if it was there, had this number: endpoints and routes have it, too. */
const isNumbered = (tunnels: TableInput['tunnels'], key: string, number: number): boolean =>
  (tunnels.get(key)?.number ?? number) === number;

/** Addresses of the pods whose ports are others than before. */
function* reattached(before: TableInput, { ports, desired }: TableInput): Iterable<string> {
  const [was, is] = [podPorts(before.ports), podPorts(ports)];
  for (const key of new Set([...was.keys(), ...is.keys()])) {
    const [one, other] = [was.get(key), is.get(key)];
    if (one?.slot === other?.slot && isSameMac(one?.mac, other?.mac)) continue;
    for (const { text } of desired.localPods.get(key)?.addresses ?? []) yield text;
  }
}

const nodePort = (ports: readonly TablePort[]): TablePort | undefined =>
  ports.find(({ kind }) => kind === 'node');

const podPorts = (ports: readonly TablePort[]): Map<string, TablePort> =>
  new Map(ports.flatMap((port) => (port.pod === undefined ? [] : [[port.pod, port]])));

function portOf(
  endpoint: Endpoint | undefined,
  pods: ReadonlyMap<string, TablePort>,
  node: TablePort | undefined,
): TablePort | undefined {
  if (endpoint?.kind === 'pod') return pods.get(endpoint.pod.key);
  return endpoint?.kind === 'node' ? node : undefined;
}

function factsOf(key: string, { tunnels }: TableInput): TunnelFacts {
  const facts = tunnels.get(key);
  if (!facts) throw new TypeError(`tunnel ${key} has no number`);
  return facts;
}

const isSameMac = (a: Mac | undefined, b: Mac | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && a.every((byte, i) => byte === b[i]));

/** How a peer is known by its MAC (asm/layout/tables.ts). */
function macAsPeer(mac: Mac): { readonly bytes: Uint8Array } {
  const bytes = new Uint8Array(16);
  bytes[0] = 0xff;
  bytes.set(mac, 10);
  return { bytes };
}

/** A MAC as the table builder takes it: four bytes and two, each loaded little-endian. */
function macWords(mac: Mac | undefined): [number, number] {
  if (!mac) return [0, 0];
  const view = new DataView(mac.buffer, mac.byteOffset, 6);
  return [view.getUint32(0, true), view.getUint16(4, true)];
}
