/**
 * What the data path of one node should know, by name. Pure: (cluster, settings) → Desired.
 *
 *     objects ─► Cluster ─► Desired ─┬─► tables
 *                  settings ─┘       │
 *                  numbering, MTUs, ports ─┘
 */
import type { Config, Encapsulation } from '../config/schema.ts';
import type { Address } from '../net/address.ts';
import { derivedMac, type Mac } from '../net/mac.ts';
import { nth, type Prefix, prefix } from '../net/prefix.ts';
import { compilePolicy } from '../policy/compile.ts';
import type { CompiledPolicy } from '../policy/compiled.ts';
import type { Cluster, Pod } from './cluster.ts';

/** Another VTEP: a node of the cluster, or a static peer. */
export interface Peer {
  readonly name: string;
  readonly isStatic: boolean;
  readonly addresses: readonly Address[];
  readonly podCIDRs: readonly Prefix[];
  readonly routerMac: Mac;
  readonly encapsulation: Encapsulation;
  readonly vni: number;
  /** Answers pings inside the tunnel. */
  readonly probes: readonly Address[];
}

/** A peer over one underlay family. */
export interface Tunnel {
  /** Stays the same as long as peer, encapsulation and family do. */
  readonly key: string;
  readonly peer: Peer;
  readonly family: 4 | 6;
  readonly encapsulation: Encapsulation;
  readonly local: Address;
  readonly remote: Address;
  /** Whether routes lead into it; otherwise it only receives. */
  readonly isPreferred: boolean;
}

export type Endpoint =
  | { readonly kind: 'pod'; readonly address: Address; readonly pod: Pod }
  | { readonly kind: 'remote-pod'; readonly address: Address; readonly pod: Pod; readonly tunnel: string }
  | { readonly kind: 'node'; readonly address: Address; readonly node: string }
  | {
      readonly kind: 'remote-node';
      readonly address: Address;
      readonly node: string;
      readonly tunnel: string;
    };

type Route =
  | { readonly kind: 'tunnel'; readonly prefix: Prefix; readonly tunnel: string }
  | { readonly kind: 'empty' | 'outside' | 'none'; readonly prefix: Prefix };

export interface Desired {
  readonly node: {
    readonly name: string;
    readonly routerMac: Mac;
    readonly podCIDRs: readonly Prefix[];
    /** The node in the pod network: first address of each podCIDR. */
    readonly podNetworkAddresses: readonly Address[];
  };
  readonly clusterCIDRs: readonly Prefix[];
  /** Live pods of this node by key. */
  readonly localPods: ReadonlyMap<string, Pod>;
  readonly peers: readonly Peer[];
  readonly tunnels: readonly Tunnel[];
  readonly endpoints: readonly Endpoint[];
  readonly routes: readonly Route[];
  readonly policy: CompiledPolicy;
  readonly warnings: readonly string[];
}

export function desiredOf(cluster: Cluster, config: Config): Desired {
  const warnings = [...cluster.warnings];
  const own = cluster.nodes.find(({ name }) => name === config.node);
  const podCIDRs = own && own.podCIDRs.length > 0 ? own.podCIDRs : (config.podNetwork.podCIDRs ?? []);
  if (podCIDRs.length === 0) {
    warnings.push(
      `Node ${config.node}: neither the Node object nor podNetwork.podCIDRs names this node's range of pod addresses`,
    );
  }
  const podNetworkAddresses = podCIDRs.map((block) => nth(block, 1));
  const ownAddresses = unique([
    ...config.underlay.addresses,
    ...(own?.addresses ?? []),
    ...podNetworkAddresses,
  ]);

  const peers = peersOf(cluster, config, warnings);
  const tunnels = peers.flatMap((peer) => tunnelsOf(peer, config, warnings));
  const preferred = new Map(
    tunnels.filter(({ isPreferred }) => isPreferred).map(({ peer, key }) => [peer.name, key]),
  );

  const endpoints: Endpoint[] = ownAddresses.map((address) => ({ kind: 'node', address, node: config.node }));
  for (const peer of peers) {
    const tunnel = preferred.get(peer.name);
    if (tunnel === undefined) continue;
    const addresses = peer.isStatic
      ? peer.addresses
      : [...peer.addresses, ...peer.podCIDRs.map((block) => nth(block, 1))];
    for (const address of addresses)
      endpoints.push({ kind: 'remote-node', address, node: peer.name, tunnel });
  }
  const localPods = new Map<string, Pod>();
  for (const pod of cluster.pods) {
    if (pod.node === config.node) {
      localPods.set(pod.key, pod);
      for (const address of pod.addresses) endpoints.push({ kind: 'pod', address, pod });
      continue;
    }
    const tunnel = preferred.get(pod.node ?? '');
    if (tunnel === undefined) continue;
    for (const address of pod.addresses) endpoints.push({ kind: 'remote-pod', address, pod, tunnel });
  }

  const routes: Route[] = [
    { kind: 'outside', prefix: prefix('0.0.0.0/0') },
    { kind: 'outside', prefix: prefix('::/0') },
    ...podCIDRs.map((block): Route => ({ kind: 'empty', prefix: block })),
    ...peers.flatMap((peer) => {
      const tunnel = preferred.get(peer.name);
      return tunnel === undefined
        ? []
        : peer.podCIDRs.map((block): Route => ({ kind: 'tunnel', prefix: block, tunnel }));
    }),
  ];
  // What no node owns must not leave by the node's kernel, which would route it straight back.
  const owned = new Set(routes.map((route) => route.prefix.text));
  for (const block of config.podNetwork.clusterCIDRs) {
    if (!owned.has(block.text)) routes.push({ kind: 'none', prefix: block });
  }

  return {
    node: {
      name: config.node,
      routerMac: config.podNetwork.routerMAC ?? own?.routerMac ?? routerMac(config.node),
      podCIDRs,
      podNetworkAddresses,
    },
    clusterCIDRs: config.podNetwork.clusterCIDRs,
    localPods,
    peers,
    tunnels,
    endpoints: firstOfEach(endpoints, warnings),
    routes: firstRoutes(routes, warnings),
    policy: compilePolicy({
      cluster,
      node: config.node,
      others: endpoints.filter(isNode).map(({ address }) => address),
    }),
    warnings,
  };
}

/** MAC of a node's router unless it is configured: every node derives it from the name alike. */
const routerMac = (node: string): Mac => derivedMac('router', node);

/** MAC of a pod's interface: the same wherever and whenever it is attached, for neighbours may have it cached. */
export const podMac = ({ addresses }: Pod): Mac =>
  derivedMac('pod', ...addresses.map(({ text }) => text).sort());

function peersOf(cluster: Cluster, config: Config, warnings: string[]): Peer[] {
  const statics = config.peers.map(
    (peer): Peer => ({
      name: peer.name,
      isStatic: true,
      addresses: peer.addresses,
      podCIDRs: peer.podCIDRs,
      routerMac: peer.routerMAC ?? routerMac(peer.name),
      encapsulation: peer.encapsulation ?? config.encapsulation,
      vni: peer.vni ?? config.vni,
      probes: peer.probe ? [peer.probe] : [],
    }),
  );
  const taken = new Set(statics.map(({ name }) => name));
  const nodes = cluster.nodes
    .filter(({ name }) => name !== config.node)
    .flatMap((node): Peer[] => {
      if (taken.has(node.name)) {
        warnings.push(`Node ${node.name}: ignored, the configuration has a static peer of that name`);
        return [];
      }
      return [
        {
          name: node.name,
          isStatic: false,
          addresses: node.addresses,
          podCIDRs: node.podCIDRs,
          routerMac: node.routerMac ?? routerMac(node.name),
          encapsulation: node.encapsulation ?? config.encapsulation,
          vni: config.vni,
          probes: node.podCIDRs.map((block) => nth(block, 1)),
        },
      ];
    });
  const owners = new Map<string, string>();
  return [...statics, ...nodes].map((peer) => ({
    ...peer,
    addresses: peer.addresses.filter(({ text }) => {
      const owner = owners.get(text) ?? peer.name;
      if (owner !== peer.name) warnings.push(`Node ${peer.name}: address ${text} is that of ${owner}, too`);
      owners.set(text, owner);
      return owner === peer.name;
    }),
  }));
}

function tunnelsOf(peer: Peer, { underlay }: Config, warnings: string[]): Tunnel[] {
  const families: (4 | 6)[] = underlay.family === 'ipv4' ? [4, 6] : [6, 4];
  const tunnels = families.flatMap((family): Omit<Tunnel, 'isPreferred'>[] => {
    const local = underlay.addresses.find((address) => address.family === family);
    const remote = peer.addresses.find((address) => address.family === family);
    if (!local || !remote) return [];
    const { encapsulation } = peer;
    return [
      { key: `${peer.name}/${encapsulation}/ipv${family}`, peer, family, encapsulation, local, remote },
    ];
  });
  if (tunnels.length === 0) warnings.push(`Node ${peer.name}: has no address of a family that this node has`);
  return tunnels.map((tunnel, i) => ({ ...tunnel, isPreferred: i === 0 }));
}

const isNode = ({ kind }: Endpoint) => kind === 'node' || kind === 'remote-node';

function firstOfEach(endpoints: readonly Endpoint[], warnings: string[]): Endpoint[] {
  const seen = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const first = seen.get(endpoint.address.text);
    if (!first) seen.set(endpoint.address.text, endpoint);
    else if (ownerOf(first) !== ownerOf(endpoint)) {
      warnings.push(`${ownerOf(endpoint)}: address ${endpoint.address.text} is taken by ${ownerOf(first)}`);
    }
  }
  return [...seen.values()];
}

function firstRoutes(routes: readonly Route[], warnings: string[]): Route[] {
  const seen = new Map<string, Route>();
  for (const route of routes) {
    if (!seen.has(route.prefix.text)) seen.set(route.prefix.text, route);
    else warnings.push(`${route.prefix.text}: is the range of more than one node`);
  }
  return [...seen.values()];
}

const ownerOf = (endpoint: Endpoint) =>
  'pod' in endpoint ? `Pod ${endpoint.pod.key}` : `Node ${endpoint.node}`;

const unique = (addresses: readonly Address[]) => [
  ...new Map(addresses.map((one) => [one.text, one])).values(),
];
