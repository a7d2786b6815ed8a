/**
 * Who the nodes are, and the ways to them: everything that follows from Node objects and the configuration alone. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Config, Encapsulation } from '../config/schema.ts';
import type { Address } from '../net/address.ts';
import { derivedMac, type Mac } from '../net/mac.ts';
import { nth, type Prefix, prefix } from '../net/prefix.ts';
import type { ClusterNode } from './cluster.ts';
import { encapsulationsBetween, type Registration } from './registration.ts';
import type { Labels } from './selectors.ts';

/** Another VTEP: a node of the cluster, or a static peer. */
export interface Peer {
  readonly name: string;
  readonly isStatic: boolean;
  /** Of its Node object. */
  readonly labels: Labels;
  /** Where its tunnels end. */
  readonly addresses: readonly Address[];
  /** All that it is reached at, but for the pod network. */
  readonly nodeAddresses: readonly Address[];
  readonly podCIDRs: readonly Prefix[];
  readonly routerMac: Mac;
  /** The first one is for sending; on the others something may still arrive. */
  readonly encapsulations: readonly Encapsulation[];
  /** Takes packets without encapsulation from nodes of its subnet. */
  readonly takesDirect: boolean;
  readonly vni: number;
  /** Of its underlay; undefined: it does not say. */
  readonly mtu: number | undefined;
  /** Of its daemon; undefined: it does not say. */
  readonly version: string | undefined;
  /** Answers pings inside the tunnel. */
  readonly probes: readonly Address[];
}

/** How packets go to a peer: encapsulated, or as they are to one on the same subnet. */
type Carriage = Encapsulation | 'direct';

/** Devices at both ends of a way without a tunnel. */
export interface DirectWay {
  readonly local: Address;
  readonly remote: Address;
  readonly localMac: Mac;
  readonly remoteMac: Mac;
  /** Both ends have had time to learn of each other; before, the way only receives. */
  readonly isSettled: boolean;
}

/** A peer over one underlay family. */
export interface Tunnel {
  /** Stays the same as long as peer, encapsulation and family do. */
  readonly key: string;
  readonly peer: Peer;
  readonly family: 4 | 6;
  readonly encapsulation: Carriage;
  /** Of `direct` alone. */
  readonly way?: DirectWay;
  readonly local: Address;
  readonly remote: Address;
  /** Whether routes lead into it; otherwise it only receives. */
  readonly isPreferred: boolean;
}

/** An address of a node, of this one or of another behind a tunnel. */
export type NodeEndpoint =
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

export interface Topology {
  readonly node: {
    readonly name: string;
    readonly routerMac: Mac;
    readonly podCIDRs: readonly Prefix[];
    /** The node in the pod network: first address of each podCIDR. */
    readonly podNetworkAddresses: readonly Address[];
    /** What the Node object says of its underlay. */
    readonly internalIPs: readonly Address[];
    /** Where the node's resolver is asked. */
    readonly resolverAddresses: readonly Address[];
  };
  readonly peers: readonly Peer[];
  readonly tunnels: readonly Tunnel[];
  /** Key of the tunnel that leads to a node, by its name. */
  readonly ways: ReadonlyMap<string, string>;
  /** By address text. */
  readonly endpoints: ReadonlyMap<string, NodeEndpoint>;
  readonly routes: readonly Route[];
  readonly warnings: readonly string[];
}

/** What probes and the host say of the ways to peers, by their names. Live. */
export interface Found {
  /** Key of the tunnel to use instead of the first. */
  readonly choices: ReadonlyMap<string, string>;
  /** Ways without a tunnel. */
  readonly ways: ReadonlyMap<string, DirectWay>;
  /** Why no sockets can be opened, by the encapsulation for which there are none. */
  readonly unusable: ReadonlyMap<Encapsulation, string>;
}

/** Peers and tunnels of nodes that have not changed: so are these, and the same objects. */
export class Known {
  peers = new WeakMap<ClusterNode, Peer>();
  readonly tunnels = new WeakMap<
    Peer,
    {
      readonly choice: string | undefined;
      readonly way: DirectWay | undefined;
      readonly list: readonly Tunnel[];
    }
  >();
  readonly found: Found;
  statics: readonly Peer[] | undefined;
  /** What this node says of itself: the choice between it and each peer depends on it. */
  registration: Registration | undefined;

  constructor(found: Found = { choices: new Map(), ways: new Map(), unusable: new Map() }) {
    this.found = found;
  }
}

/**
 * @param resolverIPs cluster IPs that the node's resolver stands for, where it has one
 * @param known of the same configuration
 */
export function topologyOf(
  nodes: readonly ClusterNode[],
  config: Config,
  resolverIPs: readonly Address[],
  known = new Known(),
): Topology {
  const warnings: string[] = [];
  const own = nodes.find(({ name }) => name === config.node);
  const podCIDRs = own && own.podCIDRs.length > 0 ? own.podCIDRs : (config.podNetwork.podCIDRs ?? []);
  if (podCIDRs.length === 0) {
    warnings.push(
      `Node ${config.node}: neither the Node object nor podNetwork.podCIDRs names this node's range of pod addresses`,
    );
  }
  const podNetworkAddresses = podCIDRs.map((block) => nth(block, 1));
  if (!isDeepStrictEqual(known.registration, own?.registration)) known.peers = new WeakMap();
  known.registration = own?.registration;
  const peers = peersOf(nodes, config, known, warnings);
  const tunnels = peers.flatMap((peer) => tunnelsOf(peer, config, known, warnings));
  const ways = new Map(
    tunnels.filter(({ isPreferred }) => isPreferred).map(({ peer, key }) => [peer.name, key]),
  );
  const resolverAddresses = config.dns ? [...config.dns.addresses, ...resolverIPs] : [];
  const ownAddresses = [
    ...config.underlay.addresses,
    ...(own?.addresses ?? []),
    ...podNetworkAddresses,
    ...resolverAddresses,
  ];
  return {
    node: {
      name: config.node,
      routerMac: config.podNetwork.routerMAC ?? own?.registration.routerMac ?? routerMac(config.node),
      podCIDRs,
      podNetworkAddresses,
      internalIPs: own?.addresses ?? [],
      resolverAddresses,
    },
    peers,
    tunnels,
    ways,
    endpoints: endpointsOf(config.node, ownAddresses, peers, ways, warnings),
    routes: routesOf(podCIDRs, peers, ways, config, warnings),
    warnings,
  };
}

function endpointsOf(
  node: string,
  ownAddresses: readonly Address[],
  peers: readonly Peer[],
  ways: ReadonlyMap<string, string>,
  warnings: string[],
): Map<string, NodeEndpoint> {
  const endpoints = new Map<string, NodeEndpoint>();
  const add = (endpoint: NodeEndpoint) => {
    const { text } = endpoint.address;
    const first = endpoints.get(text);
    if (!first) endpoints.set(text, endpoint);
    else if (first.node !== endpoint.node)
      warnings.push(`Node ${endpoint.node}: address ${text} is taken by Node ${first.node}`);
  };
  for (const address of ownAddresses) add({ kind: 'node', address, node });
  for (const { name, isStatic, nodeAddresses, podCIDRs } of peers) {
    const tunnel = ways.get(name);
    if (tunnel === undefined) continue;
    const all = isStatic ? nodeAddresses : [...nodeAddresses, ...podCIDRs.map((block) => nth(block, 1))];
    for (const address of all) add({ kind: 'remote-node', address, node: name, tunnel });
  }
  return endpoints;
}

function routesOf(
  podCIDRs: readonly Prefix[],
  peers: readonly Peer[],
  ways: ReadonlyMap<string, string>,
  { podNetwork }: Config,
  warnings: string[],
): Route[] {
  const routes: Route[] = [
    { kind: 'outside', prefix: prefix('0.0.0.0/0') },
    { kind: 'outside', prefix: prefix('::/0') },
    ...podCIDRs.map((block): Route => ({ kind: 'empty', prefix: block })),
    ...peers.flatMap((peer) => {
      const tunnel = ways.get(peer.name);
      return tunnel === undefined
        ? []
        : peer.podCIDRs.map((block): Route => ({ kind: 'tunnel', prefix: block, tunnel }));
    }),
  ];
  // What no node owns and what is no Service must not leave by the node's kernel, which would route it straight back.
  const owned = new Set(routes.map((route) => route.prefix.text));
  for (const block of [...podNetwork.clusterCIDRs, ...podNetwork.serviceCIDRs]) {
    if (!owned.has(block.text)) routes.push({ kind: 'none', prefix: block });
  }
  return firstRoutes(routes, warnings);
}

/** MAC of a node's router unless it is configured: every node derives it from the name alike. */
export const routerMac = (node: string): Mac => derivedMac('router', node);

function peersOf(all: readonly ClusterNode[], config: Config, known: Known, warnings: string[]): Peer[] {
  known.statics ??= config.peers.map(
    (peer): Peer => ({
      name: peer.name,
      isStatic: true,
      labels: {},
      addresses: peer.addresses,
      nodeAddresses: peer.addresses,
      podCIDRs: peer.podCIDRs,
      routerMac: peer.routerMAC ?? routerMac(peer.name),
      encapsulations: [peer.encapsulation ?? config.encapsulation],
      takesDirect: false,
      vni: peer.vni ?? config.vni,
      mtu: undefined,
      version: undefined,
      probes: peer.probe ? [peer.probe] : [],
    }),
  );
  const { statics } = known;
  const taken = new Set(statics.map(({ name }) => name));
  const nodes = all
    .filter(({ name }) => name !== config.node)
    .flatMap((node): Peer[] => {
      if (taken.has(node.name)) {
        warnings.push(`Node ${node.name}: ignored, the configuration has a static peer of that name`);
        return [];
      }
      const peer = known.peers.get(node) ?? peerOf(node, config, known.registration);
      known.peers.set(node, peer);
      return [peer];
    });
  const owners = new Map<string, string>();
  return [...statics, ...nodes].map((peer) => {
    const addresses = peer.addresses.filter(({ text }) => {
      const owner = owners.get(text) ?? peer.name;
      if (owner !== peer.name) warnings.push(`Node ${peer.name}: address ${text} is that of ${owner}, too`);
      owners.set(text, owner);
      return owner === peer.name;
    });
    return addresses.length === peer.addresses.length ? peer : { ...peer, addresses };
  });
}

function peerOf(node: ClusterNode, config: Config, own: Registration | undefined): Peer {
  const { name, labels, podCIDRs, registration } = node;
  const addresses = registration.addresses ?? node.addresses;
  const others = node.addresses.filter(({ text }) => addresses.every((one) => one.text !== text));
  return {
    name,
    isStatic: false,
    labels,
    addresses,
    nodeAddresses: [...addresses, ...others],
    podCIDRs,
    routerMac: registration.routerMac ?? routerMac(name),
    encapsulations: encapsulationsBetween(
      { ...own, name: config.node },
      { ...registration, name },
      config.encapsulation,
      config.fallbackEncapsulations,
    ),
    takesDirect: registration.direct === 'subnet',
    vni: config.vni,
    mtu: registration.mtu,
    version: registration.version,
    probes: podCIDRs.map((block) => nth(block, 1)),
  };
}

function tunnelsOf(peer: Peer, config: Config, known: Known, warnings: string[]): readonly Tunnel[] {
  const choice = known.found.choices.get(peer.name);
  const way = peer.takesDirect ? known.found.ways.get(peer.name) : undefined;
  const before = known.tunnels.get(peer);
  const tunnels = before?.choice === choice && before?.way === way ? before?.list : undefined;
  const { unusable } = known.found;
  const list = tunnels ?? newTunnels(peer, config, choice, way, unusable);
  known.tunnels.set(peer, { choice, way, list });
  const [agreed] = peer.encapsulations;
  const reason = agreed && unusable.get(agreed);
  if (agreed === undefined) warnings.push(`Node ${peer.name}: takes no encapsulation that this node takes`);
  else if (reason !== undefined)
    warnings.push(
      `Node ${peer.name}: is reached by ${agreed} alone, which this daemon cannot use: ${reason}`,
    );
  else if (list.length === 0)
    warnings.push(`Node ${peer.name}: has no address of a family that this node has`);
  return list;
}

function newTunnels(
  peer: Peer,
  { underlay }: Config,
  choice: string | undefined,
  way: DirectWay | undefined,
  unusable: Found['unusable'],
): Tunnel[] {
  const [agreed] = peer.encapsulations;
  // The peer sends and listens by that one: another would lead nowhere.
  if (agreed !== undefined && unusable.has(agreed)) return [];
  const usable = peer.encapsulations.filter((one) => !unusable.has(one));
  const families: (4 | 6)[] = underlay.family === 'ipv4' ? [4, 6] : [6, 4];
  const encapsulated = families.flatMap((family): Omit<Tunnel, 'isPreferred'>[] => {
    const local = underlay.addresses.find((address) => address.family === family);
    const remote = peer.addresses.find((address) => address.family === family);
    if (!local || !remote) return [];
    return usable.map((encapsulation) => ({
      key: `${peer.name}/${encapsulation}/ipv${family}`,
      peer,
      family,
      encapsulation,
      local,
      remote,
    }));
  });
  const tunnels = withDirect(encapsulated, peer, way);
  const chosen = Math.max(
    0,
    tunnels.findIndex(({ key }) => key === choice),
  );
  return tunnels.map((tunnel, i) => ({ ...tunnel, isPreferred: i === chosen }));
}

/** Without encapsulation first, once that is settled. */
function withDirect(
  encapsulated: readonly Omit<Tunnel, 'isPreferred'>[],
  peer: Peer,
  way: DirectWay | undefined,
): readonly Omit<Tunnel, 'isPreferred'>[] {
  // With nothing to fall back on and nothing agreed there is no way at all.
  if (!way || encapsulated.length === 0) return encapsulated;
  const { local, remote } = way;
  const { family } = remote;
  const direct = {
    key: `${peer.name}/direct/ipv${family}`,
    peer,
    family,
    encapsulation: 'direct' as const,
    way,
    local,
    remote,
  };
  return way.isSettled ? [direct, ...encapsulated] : [...encapsulated, direct];
}

function firstRoutes(routes: readonly Route[], warnings: string[]): Route[] {
  const seen = new Map<string, Route>();
  for (const route of routes) {
    if (!seen.has(route.prefix.text)) seen.set(route.prefix.text, route);
    else warnings.push(`${route.prefix.text}: is the range of more than one node`);
  }
  return [...seen.values()];
}
