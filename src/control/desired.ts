/**
 * What the data path of one node should know, by name, brought up to date change by change. Pure.
 *
 *     object changes ─┬─► ClusterState ────► DesiredState ─┬─► Desired        what should be
 *                     └─► ServiceCompiler ────┘  │         └─► DesiredDelta   what is no longer as it was
 *                                       settings ─┘
 */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/schema.ts';
import type { Address } from '../net/address.ts';
import { derivedMac, type Mac } from '../net/mac.ts';
import type { Prefix } from '../net/prefix.ts';
import { PolicyCompiler, type Work } from '../policy/compile.ts';
import type { CompiledPolicy } from '../policy/compiled.ts';
import { ServiceCompiler } from '../service/compile.ts';
import { allOf, type Cluster, type ClusterChanges } from './cluster.ts';
import type { Pod } from './pods.ts';
import { type Found, Known, type NodeEndpoint, type Topology, topologyOf } from './topology.ts';

export type Endpoint =
  | NodeEndpoint
  | { readonly kind: 'pod'; readonly address: Address; readonly pod: Pod }
  | { readonly kind: 'remote-pod'; readonly address: Address; readonly pod: Pod; readonly tunnel: string };

export interface Desired extends Pick<Topology, 'node' | 'peers' | 'tunnels' | 'routes'> {
  readonly clusterCIDRs: readonly Prefix[];
  /** Live pods of this node by key. */
  readonly localPods: ReadonlyMap<string, Pod>;
  /** By address text. Live: it changes with the state that it belongs to. */
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  readonly policy: CompiledPolicy;
  /** Live: it changes with the state that it belongs to. */
  readonly services: ServiceCompiler;
  readonly warnings: readonly string[];
}

/** What in Desired is no longer as it was; its other parts are the same objects as before where they are the same. */
export interface DesiredDelta {
  /** Addresses whose endpoint or identity has changed, by text. */
  readonly endpoints: ReadonlySet<string>;
  /** Classes that have other rows in policy sets that were there before. */
  readonly classes: ReadonlySet<number>;
  /** Keys of Services that are not as they were. */
  readonly services: ReadonlySet<string>;
  readonly work: Work;
}

/** @param services undefined: there are none */
export function desiredOf(cluster: Cluster, config: Config, services?: ServiceCompiler): Desired {
  return new DesiredState(cluster, config, services).desired;
}

/** What one node should know. When a change throws, the state is of no more use. */
export class DesiredState {
  readonly #config: Config;
  readonly #compiler = new PolicyCompiler();
  readonly #services: ServiceCompiler;
  readonly #endpoints = new Map<string, Endpoint>();
  /** A line for each address that a node has taken from a pod. */
  readonly #conflicts = new Map<string, string>();
  readonly #known: Known;
  #topology: Topology;
  #localPods: ReadonlyMap<string, Pod> = new Map();
  #desired: Desired;

  /** @throws as PolicyCompiler.apply */
  constructor(
    cluster: Cluster,
    config: Config,
    services = new ServiceCompiler(config.node, config.dns?.service),
    found?: Found,
  ) {
    this.#known = new Known(found);
    this.#config = config;
    this.#services = services;
    // No address is anybody's yet.
    this.#topology = { ...topologyOf([], config, []), endpoints: new Map(), ways: new Map() };
    this.#desired = this.#assemble(cluster);
    this.apply(cluster, allOf(cluster));
  }

  get desired(): Desired {
    return this.#desired;
  }

  /**
   * @param services keys of the Services that the compiler has compiled anew since
   * @throws as PolicyCompiler.apply
   */
  apply(cluster: Cluster, changes: ClusterChanges, services: ReadonlySet<string> = new Set()): DesiredDelta {
    const touched = new Set<string>();
    const moved = changes.nodes ? this.#retrace(cluster, touched) : new Set<string>();
    this.#follow(cluster, changes, moved, touched);
    const endpoints = new Set<string>();
    for (const text of touched) if (this.#settle(text, cluster)) endpoints.add(text);
    const { node } = this.#config;
    const { identities, classes, work } = this.#compiler.apply({
      cluster,
      node,
      localPods: this.#localPods,
      changes,
    });
    for (const address of identities) endpoints.add(address);
    const desired = this.#assemble(cluster);
    if (endpoints.size > 0 || services.size > 0 || !isSameDesired(desired, this.#desired))
      this.#desired = desired;
    return { endpoints, classes, services, work };
  }

  /** @returns names of the nodes to which another way leads than before */
  #retrace({ nodes, resolverIPs }: Cluster, touched: Set<string>): Set<string> {
    const before = this.#topology;
    const after = topologyOf(nodes, this.#config, resolverIPs, this.#known);
    this.#topology = after;
    for (const [text, endpoint] of after.endpoints) {
      if (!isSame(before.endpoints.get(text), endpoint)) touched.add(text);
    }
    for (const text of before.endpoints.keys()) if (!after.endpoints.has(text)) touched.add(text);
    const names = new Set([...before.ways.keys(), ...after.ways.keys()]);
    return new Set([...names].filter((name) => before.ways.get(name) !== after.ways.get(name)));
  }

  #follow(cluster: Cluster, changes: ClusterChanges, moved: ReadonlySet<string>, touched: Set<string>): void {
    const local = new Map(this.#localPods);
    for (const [key, before] of changes.pods) {
      const pod = cluster.pods.get(key);
      for (const { text } of before?.addresses ?? []) touched.add(text);
      for (const { text } of pod?.addresses ?? []) touched.add(text);
      if (pod?.node === this.#config.node) local.set(key, pod);
      else local.delete(key);
    }
    const isSameLocally =
      local.size === this.#localPods.size &&
      [...local].every(([key, pod]) => this.#localPods.get(key) === pod);
    if (!isSameLocally) this.#localPods = local;
    if (moved.size > 0) {
      for (const { node, addresses } of cluster.pods.values()) {
        if (moved.has(node ?? '')) for (const { text } of addresses) touched.add(text);
      }
    }
  }

  /**
   * Nodes stand before pods: a pod must not take the address of a node.
   * @returns whether the address is somebody else's than before, or to be found elsewhere
   */
  #settle(text: string, cluster: Cluster): boolean {
    const before = this.#endpoints.get(text);
    const node = this.#topology.endpoints.get(text);
    const pod = cluster.pods.get(cluster.ownerOf(text) ?? '');
    const endpoint = node ?? (pod && this.#podEndpoint(text, pod));
    if (endpoint) this.#endpoints.set(text, endpoint);
    else this.#endpoints.delete(text);
    if (node && pod)
      this.#conflicts.set(text, `Pod ${pod.key}: address ${text} is taken by Node ${node.node}`);
    else this.#conflicts.delete(text);
    return !isSame(before, endpoint);
  }

  #podEndpoint(text: string, pod: Pod): Endpoint | undefined {
    const address = pod.addresses.find((one) => one.text === text);
    if (!address) return undefined;
    if (pod.node === this.#config.node) return { kind: 'pod', address, pod };
    const tunnel = this.#topology.ways.get(pod.node ?? '');
    return tunnel === undefined ? undefined : { kind: 'remote-pod', address, pod, tunnel };
  }

  #assemble(cluster: Cluster): Desired {
    const { node, peers, tunnels, routes, warnings } = this.#topology;
    return {
      node,
      clusterCIDRs: this.#config.podNetwork.clusterCIDRs,
      localPods: this.#localPods,
      peers,
      tunnels,
      endpoints: this.#endpoints,
      routes,
      policy: this.#compiler.policy,
      services: this.#services,
      warnings: [...cluster.warnings, ...warnings, ...this.#conflicts.values()],
    };
  }
}

function isSame(a: Endpoint | undefined, b: Endpoint | undefined): boolean {
  if (!a || !b) return a === b;
  return a.kind === b.kind && ownerOf(a) === ownerOf(b) && tunnelOf(a) === tunnelOf(b);
}

const ownerOf = (endpoint: Endpoint) => ('pod' in endpoint ? endpoint.pod.key : endpoint.node);
const tunnelOf = (endpoint: Endpoint) => ('tunnel' in endpoint ? endpoint.tunnel : undefined);

const isSameDesired = (a: Desired, b: Desired): boolean =>
  a.localPods === b.localPods &&
  a.tunnels === b.tunnels &&
  a.policy === b.policy &&
  isDeepStrictEqual(a.warnings, b.warnings);

/** MAC of a pod's interface: the same wherever and whenever it is attached, for neighbours may have it cached. */
export const podMac = ({ addresses }: Pod): Mac =>
  derivedMac('pod', ...addresses.map(({ text }) => text).sort());
