// Two nodes that know each other by one tunnel, as tables for each side.
//
//     node 1   pods 10.244.1.2 (port 2), 10.244.1.3 (port 3)      underlay 192.0.2.1, 2001:db8::1
//     node 2   pods 10.244.2.2 (port 2), 10.244.2.3 (port 3)      underlay 192.0.2.2, 2001:db8::2
//
// and the same in IPv6 (fd00:244:I::2 …). Port 0 is the node's own TAP, port 1 the one for what its kernel forwards.
import { FIRST_SOCKET_SLOT } from '../../asm/layout/memory.ts';
import {
  PORT_FORWARD,
  PORT_NODE,
  PORT_POD,
  ROUTE_EMPTY,
  ROUTE_OUTSIDE,
  ROUTE_TUNNEL,
  SOCKET_GENEVE,
  SOCKET_IPIP4,
  SOCKET_IPIP6_4,
  SOCKET_IPIP6_6,
  SOCKET_VXLAN,
  TUNNEL_GENEVE,
  TUNNEL_HAS_CHECKSUM,
  TUNNEL_IPIP,
  TUNNEL_IS_ECN_COMPATIBILITY,
  TUNNEL_IS_ETHERNET,
  TUNNEL_IS_GENEVE_IP,
  TUNNEL_VXLAN,
} from '../../asm/layout/tables.ts';
import {
  be,
  checksum,
  concat,
  ethernet,
  geneve,
  hex,
  ip,
  ipv4,
  ipv6,
  number,
  vxlan,
} from '../support/packets.ts';
import {
  type DatagramIn,
  type FrameIn,
  type NodeOptions,
  type PortSpec,
  type Tables,
  TestNode,
} from './harness.ts';

export type Encapsulation = 'vxlan' | 'geneve' | 'geneve-ip' | 'ipip';

export interface ClusterOptions {
  readonly encapsulation?: Encapsulation;
  readonly underlay?: 4 | 6;
  /** Of the tunnel; as large as a 1500-byte underlay allows. */
  readonly tunnelMtu?: number;
  readonly podMtu?: number;
  readonly vni?: number;
  /** GENEVE options as on the wire. */
  readonly geneveOptions?: Uint8Array;
  /** Outer DSCP. */
  readonly dscp?: number;
  readonly ecnCompatibility?: boolean;
  /** Ethernet, IP and UDP header of injected superframes. */
  readonly outer?: Uint8Array;
  /** Injected superframes get an outer UDP checksum. */
  readonly outerChecksum?: boolean;
  readonly ports?: Readonly<Record<number, Partial<PortSpec>>>;
  readonly identities?: Readonly<Record<string, number>>;
  readonly cidrs?: Tables['cidrs'];
  readonly services?: Tables['services'];
  readonly sourcePorts?: Tables['sourcePorts'];
  /** The node has an address for what it sends to itself through Services. */
  readonly self?: boolean;
}

export const GATEWAY4 = '169.254.1.1';
export const GATEWAY6 = 'fe80::1';
export const VNI = 4096;
export const VXLAN_SLOT = FIRST_SOCKET_SLOT;
export const GENEVE_SLOT = FIRST_SOCKET_SLOT + 1;
export const IPIP4_SLOT = FIRST_SOCKET_SLOT + 2;
export const IPIP6_4_SLOT = FIRST_SOCKET_SLOT + 3;
export const IPIP6_6_SLOT = FIRST_SOCKET_SLOT + 4;
export const FIRST_ENTROPY_SLOT = FIRST_SOCKET_SLOT + 8;

export const routerMac = (node: number) => `0a:00:00:00:00:0${node}`;
export const portMac = (node: number, port: number) => `02:00:00:0${node}:00:0${port}`;
const pod4 = (node: number, port: number) => `10.244.${node}.${port}`;
const pod6 = (node: number, port: number) => `fd00:244:${node}::${port}`;
export const pod = (family: 4 | 6, node: number, port: number) => (family === 4 ? pod4 : pod6)(node, port);
export const underlay = (family: 4 | 6, node: number) =>
  family === 4 ? `192.0.2.${node}` : `2001:db8::${node}`;

const other = (node: number) => 3 - node;

const OVERHEAD: Record<Encapsulation, number> = { vxlan: 30, geneve: 30, 'geneve-ip': 16, ipip: 0 };

/** Bytes of outer header that the data path writes before an inner packet. */
function templateOf(node: number, options: ClusterOptions): Uint8Array {
  const { encapsulation = 'vxlan', underlay: family = 4, vni = VNI, geneveOptions, dscp = 0 } = options;
  if (encapsulation === 'vxlan') return vxlan(vni, new Uint8Array());
  if (encapsulation !== 'ipip') {
    return geneve({ vni, ...(geneveOptions && { options: geneveOptions }) }, new Uint8Array());
  }
  const between = { src: underlay(family, node), dst: underlay(family, other(node)) };
  if (family === 6) return ipv6({ ...between, protocol: 0, tos: dscp * 4 }, new Uint8Array());
  return concat(
    be(0x45, 1),
    be(dscp * 4, 1),
    be(0, 2),
    be(0, 2),
    be(0x4000, 2),
    be(64, 1),
    be(0, 3),
    ip(between.src),
    ip(between.dst),
  );
}

export function tablesOf(node: number, options: ClusterOptions = {}): Tables {
  const {
    encapsulation = 'vxlan',
    underlay: family = 4,
    vni = VNI,
    geneveOptions,
    dscp = 0,
    podMtu = 1450,
  } = options;
  const peer = other(node);
  const outerIp = family === 4 ? 20 : 40;
  const overhead = outerIp + OVERHEAD[encapsulation] + (geneveOptions?.length ?? 0);
  const kind =
    encapsulation === 'vxlan' ? TUNNEL_VXLAN : encapsulation === 'ipip' ? TUNNEL_IPIP : TUNNEL_GENEVE;
  const shape =
    encapsulation === 'geneve-ip' ? TUNNEL_IS_GENEVE_IP : encapsulation === 'ipip' ? 0 : TUNNEL_IS_ETHERNET;
  const identity = (address: string) => options.identities?.[address] ?? 0;
  const port = (slot: number, portKind: number): PortSpec => ({
    kind: portKind,
    mac: portMac(node, slot),
    mtu: podMtu,
    ...options.ports?.[slot],
  });
  const pods = [2, 3].flatMap((slot) =>
    [pod4(node, slot), pod6(node, slot)].map((address) => ({ address, slot })),
  );
  const own = [pod4(node, 1), pod6(node, 1), underlay(4, node), underlay(6, node)];
  return {
    routerMac: routerMac(node),
    gateway4: GATEWAY4,
    gateway6: GATEWAY6,
    node4: pod4(node, 1),
    node6: pod6(node, 1),
    ...(options.self && { self4: pod4(node, 0), self6: `fd00:244:${node}::` }),
    nodePort: 0,
    endpoints: [
      ...pods.map(({ address, slot }) => ({
        address,
        port: slot,
        mac: portMac(node, slot),
        identity: identity(address),
      })),
      ...own.map((address) => ({ address, port: 0, isNode: true })),
      ...[underlay(4, peer), underlay(6, peer), pod4(peer, 1), pod6(peer, 1)].map((address) => ({
        address,
        isNode: true,
        tunnel: 0,
      })),
      ...[2, 3].flatMap((slot) =>
        [pod4(peer, slot), pod6(peer, slot)].map((address) => ({
          address,
          tunnel: 0,
          identity: identity(address),
        })),
      ),
    ],
    routes: [
      { prefix: `10.244.${node}.0/24`, kind: ROUTE_EMPTY },
      { prefix: `fd00:244:${node}::/64`, kind: ROUTE_EMPTY },
      { prefix: `10.244.${peer}.0/24`, kind: ROUTE_TUNNEL, target: 0 },
      { prefix: `fd00:244:${peer}::/64`, kind: ROUTE_TUNNEL, target: 0 },
      { prefix: '10.244.0.0/16', kind: ROUTE_EMPTY },
      { prefix: 'fd00:244::/32', kind: ROUTE_EMPTY },
      { prefix: '0.0.0.0/0', kind: ROUTE_OUTSIDE },
      { prefix: '::/0', kind: ROUTE_OUTSIDE },
    ],
    ...(options.cidrs && { cidrs: options.cidrs }),
    ...(options.services && { services: options.services }),
    ...(options.sourcePorts && { sourcePorts: options.sourcePorts }),
    peers: [{ address: underlay(family, peer), kind, tunnel: 0 }],
    tunnels: [
      {
        kind,
        family,
        peer,
        mtu: options.tunnelMtu ?? 1500 - overhead,
        slot: FIRST_ENTROPY_SLOT,
        slots: encapsulation === 'ipip' ? 1 : 32,
        vni,
        tos: dscp * 4,
        flags:
          shape |
          (options.ecnCompatibility ? TUNNEL_IS_ECN_COMPATIBILITY : 0) |
          (options.outerChecksum ? TUNNEL_HAS_CHECKSUM : 0),
        innerDestination: routerMac(peer),
        innerSource: routerMac(node),
        local: underlay(family, node),
        remote: underlay(family, peer),
        header: templateOf(node, options),
        ...(options.outer && { outer: options.outer }),
      },
    ],
    ports: { 0: port(0, PORT_NODE), 1: port(1, PORT_FORWARD), 2: port(2, PORT_POD), 3: port(3, PORT_POD) },
  };
}

/** One of the two nodes. */
export function nodeOf(node: number, options: ClusterOptions = {}, more: NodeOptions = {}): TestNode {
  const made = new TestNode(tablesOf(node, options), more);
  sockets(made);
  return made;
}

export function sockets(node: TestNode): void {
  node.socket(VXLAN_SLOT, SOCKET_VXLAN);
  node.socket(GENEVE_SLOT, SOCKET_GENEVE);
  node.socket(IPIP4_SLOT, SOCKET_IPIP4);
  node.socket(IPIP6_4_SLOT, SOCKET_IPIP6_4);
  node.socket(IPIP6_6_SLOT, SOCKET_IPIP6_6);
}

/** The frame in which a pod (or the node's TAP) of `node` sends an IP packet to its router. */
export const fromPod = (node: number, port: number, packet: Uint8Array, vnet?: Uint8Array): FrameIn => ({
  port,
  frame: ethernet({ dst: routerMac(node), src: portMac(node, port) }, packet),
  ...(vnet && { vnet }),
});

/** What stands in a datagram from the peer of `node` that carries an IP packet. */
export function tunnelled(node: number, packet: Uint8Array, options: ClusterOptions = {}): Uint8Array {
  const { encapsulation = 'vxlan', underlay: family = 4, vni = VNI, geneveOptions } = options;
  const peer = other(node);
  const isV6 = (packet[0] as number) >> 4 === 6;
  const frame = ethernet({ dst: routerMac(node), src: routerMac(peer) }, packet);
  const extra = geneveOptions && { options: geneveOptions };
  switch (encapsulation) {
    case 'vxlan':
      return vxlan(vni, frame);
    case 'geneve':
      return geneve({ vni, ...extra }, frame);
    case 'geneve-ip':
      return geneve({ vni, protocol: isV6 ? 0x86dd : 0x0800, ...extra }, packet);
    case 'ipip':
      // Raw IPv4 sockets give the outer header, raw IPv6 sockets do not.
      return family === 6
        ? packet
        : ipv4({ src: underlay(4, peer), dst: underlay(4, node), protocol: isV6 ? 41 : 4, df: true }, packet);
  }
}

/** Socket at which such a datagram arrives. */
function socketOf(
  packet: Uint8Array,
  { encapsulation = 'vxlan', underlay: family = 4 }: ClusterOptions = {},
): number {
  if (encapsulation === 'vxlan') return VXLAN_SLOT;
  if (encapsulation !== 'ipip') return GENEVE_SLOT;
  return family === 4 ? IPIP4_SLOT : (packet[0] as number) >> 4 === 6 ? IPIP6_6_SLOT : IPIP6_4_SLOT;
}

/** A datagram from the peer of `node` with this IP packet inside. */
export const fromPeer = (
  node: number,
  packet: Uint8Array,
  options: ClusterOptions = {},
  more: Partial<DatagramIn> = {},
): DatagramIn => ({
  slot: socketOf(packet, options),
  source: underlay(options.underlay ?? 4, other(node)),
  bytes: tunnelled(node, packet, options),
  ...more,
});

/** The frame in which `node` hands an IP packet to the TAP of `port`, without vnet header. */
export const toPod = (node: number, port: number, packet: Uint8Array): Uint8Array =>
  ethernet({ dst: portMac(node, port), src: routerMac(node) }, packet);

/** The inner packet of a datagram as it is sent; an outer IP header that contradicts it is an error. */
export function innerOf(
  datagram: Uint8Array,
  { encapsulation = 'vxlan', underlay: family = 4 }: ClusterOptions,
): Uint8Array {
  if (encapsulation !== 'ipip') return datagram.slice(encapsulation === 'geneve-ip' ? 8 : 22);
  const header = family === 4 ? 20 : 40;
  const inner = datagram.slice(header);
  const length = family === 4 ? number(datagram, 2, 2) : 40 + number(datagram, 4, 2);
  const protocol = datagram[family === 4 ? 9 : 6];
  const isRight = length === datagram.length && protocol === ((inner[0] as number) >> 4 === 6 ? 41 : 4);
  if (!isRight || (family === 4 && checksum(datagram.subarray(0, 20)) !== 0)) {
    throw new Error(`${datagram.length} bytes behind the outer header ${hex(datagram.subarray(0, header))}`);
  }
  return inner;
}
