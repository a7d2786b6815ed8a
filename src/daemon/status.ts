// The status document: what the daemon has, as plain JSON. `overweft status` and /metrics are made of it.
import { MAX_PORTS } from '../../asm/layout/memory.ts';
import {
  PORT_DROPS,
  PORT_RX_BYTES,
  PORT_RX_PACKETS,
  PORT_TX_BYTES,
  PORT_TX_PACKETS,
  TUNNEL_DROPS,
  TUNNEL_RX_BYTES,
  TUNNEL_RX_PACKETS,
  TUNNEL_TX_BYTES,
  TUNNEL_TX_PACKETS,
} from '../../asm/layout/tables.ts';
import type { Config } from '../config/schema.ts';
import type { CounterRows } from '../dataplane/counters.ts';
import type { WorkerCounters } from '../dataplane/messages.ts';
import type { WorkerFacts } from '../dataplane/pool.ts';
import type { Bandwidth } from '../dataplane/rates.ts';
import { type Statistics, statisticsOf } from '../dataplane/statistics.ts';
import type { DnsState } from '../dns/messages.ts';
import type { DnsThread } from '../dns/thread.ts';
import type { Ledger, PoolUse } from '../ipam/ledger.ts';
import { formatMac } from '../net/mac.ts';
import type { TapOffloads } from '../phy/addon.ts';
import type { Decision } from '../policy/compiled.ts';
import { type HostPortReport, hostPortReports } from '../service/report.ts';
import type { Store, StoreState } from '../store/store.ts';
import type { UnderlayState, UnderlayWatch } from '../underlay/watch.ts';
import type { Controller } from './controller.ts';
import type { FlowLog } from './flow-log.ts';
import type { Masquerade, MasqueradeState } from './outside/masquerade.ts';
import { nodeTapMac, nodeTaps } from './outside/node-ports.ts';
import type { ServicesOutside } from './outside/services-outside.ts';
import type { DirectPeers, DirectState, Indirect } from './peers/direct.ts';
import type { Fallback, PeerFallback } from './peers/fallback.ts';
import type { Liveness, PeerLiveness } from './peers/liveness.ts';
import type { PathMtu, PathMtus } from './peers/path-mtu.ts';
import type { Registrar, RegistrationState } from './peers/registrar.ts';
import type { Injection, InjectionState } from './ports/injection.ts';
import type { OffloadName, Offloads } from './ports/offloads.ts';
import type { Ports } from './ports/ports.ts';
import type { UnderlaySockets } from './ports/sockets.ts';

interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

export interface TunnelStatus {
  readonly number: number;
  readonly encapsulation: string;
  readonly family: 4 | 6;
  readonly local: string;
  readonly remote: string;
  readonly vni: number;
  /** Largest inner IP packet. */
  readonly mtu: number;
  /** Routes lead into it; the others only receive. */
  readonly preferred: boolean;
  readonly path: PathMtu;
  /** Whether the node's kernel splits superframes for it. */
  readonly injection: InjectionState;
  readonly received: Traffic;
  readonly sent: Traffic;
  readonly dropped: number;
}

export interface PeerStatus extends PeerLiveness {
  readonly name: string;
  readonly static: boolean;
  readonly podCIDRs: readonly string[];
  /** Of its daemon, as it says; null: it says nothing. */
  readonly version: string | null;
  /** Whether its daemon holds a lease in the store; null: the store has none. */
  readonly registered: boolean | null;
  /** Reached otherwise than by its preferred tunnel; null: by that one, or by none. */
  readonly fallback: PeerFallback | null;
  /** Why it is not reached without encapsulation, where the configuration asks for that; null: it is. */
  readonly indirect: Indirect | null;
  readonly tunnels: readonly TunnelStatus[];
}

export interface PortStatus {
  readonly name: string;
  readonly kind: 'pod' | 'node' | 'forward';
  readonly slot: number;
  readonly interface: string;
  readonly netns: string | null;
  readonly mac: string;
  readonly mtu: number | null;
  readonly addresses: readonly string[];
  /** Policy isolates it for these directions; null while its policies are not known. */
  readonly isolated: readonly string[] | null;
  readonly offloads: TapOffloads | null;
  /** Rates in bits a second and bursts in bits, by direction; null: none. */
  readonly bandwidth: Bandwidth | null;
  /** What it sent into the data path, */
  readonly received: Traffic;
  /** and what was delivered to it. */
  readonly sent: Traffic;
  readonly dropped: number;
}

interface StoreStatus extends Pick<StoreState, 'faults' | 'ignored'> {
  readonly type: Config['store']['type'];
  /** A directory, servers. */
  readonly source: string;
  /** Whether what is known is what the source holds, but for what is on its way. */
  readonly current: boolean;
  /** How long it has been so, or not. */
  readonly sinceSeconds: number;
  /** The last time that the source could not be read or followed. */
  readonly lastError: { readonly message: string; readonly secondsAgo: number } | null;
  /** Known objects by kind. */
  readonly objects: Readonly<Record<string, number>>;
  /** What the store says of this node by this daemon's word. */
  readonly registration: RegistrationState;
}

export interface Status {
  readonly version: string;
  readonly node: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly epoch: number;
  /** Why the newest snapshot is not live; null when it is. */
  readonly fault: string | null;
  readonly store: StoreStatus;
  readonly warnings: readonly string[];
  readonly peers: readonly PeerStatus[];
  readonly ports: readonly PortStatus[];
  readonly sockets: UnderlaySockets['list'];
  readonly addresses: readonly PoolUse[];
  readonly underlay: UnderlayState;
  /** How pods reach the world outside. */
  readonly masquerade: MasqueradeState;
  /** Peers without encapsulation; null: the configuration asks for none. */
  readonly direct: DirectState | null;
  readonly tables: Readonly<Record<string, { readonly used: number; readonly capacity: number }>>;
  readonly flows: {
    readonly used: number;
    readonly capacity: number;
    /** The flow file of a predecessor was taken up. */
    readonly kept: boolean;
  };
  /** Null: off. Events that found a ring full are counters.events.events-lost. */
  readonly flowLog: { readonly file: string; readonly unwritten: number } | null;
  /** The resolver; null: there is none. */
  readonly dns: (DnsState & { readonly domain: string; readonly addresses: readonly string[] }) | null;
  readonly counters: Statistics;
  readonly decisions: readonly (Decision & { readonly dropped: number })[];
  readonly offloads: Readonly<Record<OffloadName, { readonly used: boolean; readonly reason: string }>>;
  /** Microseconds that a worker looks again before it sleeps; 0: never. */
  readonly polling: { readonly spin: number };
  readonly probes: { readonly available: boolean; readonly reason: string | null };
  readonly capabilities: { readonly control: string; readonly workers: readonly string[] };
  readonly outside: ServicesOutside['state'];
  /** Ports of the node that lead to its pods. */
  readonly hostPorts: readonly HostPortReport[];
}

export interface StatusParts {
  readonly version: string;
  readonly config: Config;
  readonly controller: Controller;
  readonly ports: Ports;
  readonly ledger: Ledger;
  readonly sockets: UnderlaySockets;
  readonly counters: {
    readonly ports: CounterRows;
    readonly tunnels: CounterRows;
    readonly decisions: CounterRows;
  };
  readonly liveness: Liveness;
  readonly pathMtus: PathMtus;
  readonly fallback: Fallback;
  readonly direct: DirectPeers;
  readonly injection: Injection;
  readonly masquerade: Masquerade;
  readonly watch: UnderlayWatch;
  readonly outside: ServicesOutside;
  readonly offloads: Offloads;
  readonly flowsKept: boolean;
  readonly flowsUsed: () => number;
  readonly flowLog: FlowLog | undefined;
  readonly dns: DnsThread | undefined;
  readonly probeFault: string | undefined;
  readonly controlCapabilities: bigint;
  readonly store: Store;
  readonly registrar: Registrar;
  readonly epoch: () => number;
  readonly workers: () => readonly WorkerFacts[];
  readonly workerCounters: () => Promise<readonly WorkerCounters[]>;
}

export async function statusOf(parts: StatusParts): Promise<Status> {
  const { controller, config } = parts;
  const counters = statisticsOf(await parts.workerCounters());
  return {
    version: parts.version,
    node: config.node,
    pid: process.pid,
    uptimeSeconds: Math.floor(process.uptime()),
    epoch: parts.epoch(),
    fault: controller.fault ?? null,
    store: storeStatus(parts),
    warnings: controller.live?.desired.warnings ?? [],
    peers: peers(parts),
    ports: ports(parts),
    sockets: parts.sockets.list,
    addresses: controller.live?.desired.node.podCIDRs.map((block) => parts.ledger.use(block)) ?? [],
    underlay: parts.watch.state,
    masquerade: parts.masquerade.state,
    direct: parts.config.direct === 'off' ? null : parts.direct.state,
    tables: tables(parts),
    flows: { used: parts.flowsUsed(), capacity: config.tables.flows, kept: parts.flowsKept },
    flowLog: parts.flowLog ? { file: parts.flowLog.file, unwritten: parts.flowLog.unwritten } : null,
    dns: await dns(parts),
    counters,
    decisions: [...controller.decisions].map(([number, decision]) => ({
      ...decision,
      dropped: Number(parts.counters.decisions.read(number, 0)),
    })),
    offloads: parts.offloads,
    polling: config.polling,
    outside: parts.outside.state,
    hostPorts: controller.live ? hostPortReports(controller.live.desired.services) : [],
    probes: { available: parts.probeFault === undefined, reason: parts.probeFault ?? null },
    capabilities: {
      control: hex(parts.controlCapabilities),
      workers: parts.workers().map(({ capabilities }) => hex(capabilities)),
    },
  };
}

function storeStatus({ config, registrar, store: { source, state } }: StatusParts): StoreStatus {
  const { faults, ignored, counts, isCurrent, since, lastError } = state;
  const secondsSince = (time: number) => Math.max(0, Math.round((Date.now() - time) / 1000));
  return {
    type: config.store.type,
    source,
    current: isCurrent,
    sinceSeconds: secondsSince(since),
    lastError: lastError ? { message: lastError.message, secondsAgo: secondsSince(lastError.at) } : null,
    objects: counts,
    registration: registrar.state,
    faults,
    ignored,
  };
}

function peers({
  controller,
  counters,
  liveness,
  pathMtus,
  fallback,
  direct,
  injection,
  store,
}: StatusParts): PeerStatus[] {
  const { live } = controller;
  if (!live) return [];
  const count = (number: number, field: number) => Number(counters.tunnels.read(number, field));
  return live.desired.peers.map((peer) => ({
    name: peer.name,
    static: peer.isStatic,
    podCIDRs: peer.podCIDRs.map(({ text }) => text),
    version: peer.version ?? null,
    registered: peer.isStatic ? null : (store.leases?.has(peer.name) ?? null),
    fallback: fallback.of(peer.name) ?? null,
    indirect: direct.reason(peer.name) ?? null,
    ...liveness.of(peer.name),
    tunnels: live.desired.tunnels
      .filter((tunnel) => tunnel.peer.name === peer.name)
      .map((tunnel): TunnelStatus => {
        const { number = 0, mtu = 0 } = live.tunnels.get(tunnel.key) ?? {};
        return {
          number,
          encapsulation: tunnel.encapsulation,
          family: tunnel.family,
          local: tunnel.local.text,
          remote: tunnel.remote.text,
          vni: peer.vni,
          mtu,
          preferred: tunnel.isPreferred,
          path: pathMtus.of(tunnel.remote.text),
          injection: injection.of(tunnel.key),
          received: { packets: count(number, TUNNEL_RX_PACKETS), bytes: count(number, TUNNEL_RX_BYTES) },
          sent: { packets: count(number, TUNNEL_TX_PACKETS), bytes: count(number, TUNNEL_TX_BYTES) },
          dropped: count(number, TUNNEL_DROPS),
        };
      }),
  }));
}

function ports({ controller, counters, ports, config }: StatusParts): PortStatus[] {
  const { live } = controller;
  const mtu = live?.interfaceMtu ?? null;
  const count = (slot: number, field: number) => Number(counters.ports.read(slot, field));
  const traffic = (slot: number) => ({
    received: { packets: count(slot, PORT_RX_PACKETS), bytes: count(slot, PORT_RX_BYTES) },
    sent: { packets: count(slot, PORT_TX_PACKETS), bytes: count(slot, PORT_TX_BYTES) },
    dropped: count(slot, PORT_DROPS),
  });
  const texts = (addresses: readonly { text: string }[] = []) => addresses.map(({ text }) => text);
  return [
    ...nodeTaps.map(
      ({ kind, device, slot }): PortStatus => ({
        name: device,
        kind,
        slot,
        interface: device,
        netns: null,
        mac: formatMac(nodeTapMac(kind, config.node)),
        mtu,
        addresses: kind === 'node' ? texts(live?.desired.node.podNetworkAddresses) : [],
        isolated: [],
        offloads: ports.nodeOffloads(device) ?? null,
        bandwidth: null,
        ...traffic(slot),
      }),
    ),
    ...ports.list.map((port): PortStatus => {
      const name = `${port.namespace}/${port.pod}`;
      const sets = live?.desired.policy.pods.get(name);
      const isolated = (['ingress', 'egress'] as const).filter((direction) => sets?.[direction]?.isIsolated);
      return {
        name,
        kind: 'pod',
        slot: port.slot,
        interface: port.interface,
        netns: port.netns,
        mac: formatMac(port.mac),
        mtu,
        addresses: texts(live?.desired.localPods.get(name)?.addresses),
        isolated: sets ? isolated : null,
        offloads: port.offloads,
        bandwidth: port.bandwidth ?? null,
        ...traffic(port.slot),
      };
    }),
  ];
}

function tables({ controller, config, ports }: StatusParts): Status['tables'] {
  const use = controller.live?.use;
  const { endpoints, routes, cidrs, tunnels, frontends, serviceBytes, policyBytes } = config.tables;
  return {
    ports: { used: ports.open().length, capacity: MAX_PORTS },
    endpoints: { used: use?.endpoints ?? 0, capacity: endpoints },
    routes: { used: use?.routes ?? 0, capacity: routes },
    cidrs: { used: use?.cidrs ?? 0, capacity: cidrs },
    tunnels: { used: use?.tunnels ?? 0, capacity: tunnels },
    frontends: { used: use?.frontends ?? 0, capacity: frontends },
    serviceBytes: { used: use?.serviceBytes ?? 0, capacity: serviceBytes },
    policyBytes: { used: use?.policyBytes ?? 0, capacity: policyBytes },
  };
}

const hex = (mask: bigint) => `0x${mask.toString(16)}`;

async function dns({ dns, config, controller }: StatusParts): Promise<Status['dns']> {
  if (!dns || !config.dns) return null;
  const addresses = controller.live?.desired.node.resolverAddresses.map(({ text }) => text) ?? [];
  return { domain: config.dns.domain, addresses, ...(await dns.state()) };
}
