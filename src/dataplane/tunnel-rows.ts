// One row of the tunnel table (asm/layout/tables.ts draws it).
import {
  TUNNEL_DIRECT,
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
  TUNNEL_SIZE,
  TUNNEL_SLOT,
  TUNNEL_SLOTS,
  TUNNEL_SOCKADDR,
  TUNNEL_TOS,
  TUNNEL_TTL,
  TUNNEL_VNI,
  TUNNEL_VXLAN,
} from '../../asm/layout/tables.ts';
import type { Config } from '../config/schema.ts';
import type { Tunnel } from '../control/topology.ts';
import type { Address } from '../net/address.ts';
import type { Mac } from '../net/mac.ts';
import type { AreaWriter } from './area-writer.ts';
import { outerHeader } from './outer-header.ts';
import { tunnelHeader } from './tunnel-header.ts';

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

export const encapsulations = {
  vxlan: TUNNEL_VXLAN,
  geneve: TUNNEL_GENEVE,
  ipip: TUNNEL_IPIP,
  direct: TUNNEL_DIRECT,
};
const AF_INET = 2;
const AF_INET6 = 10;

export const isSameFacts = (a: TunnelFacts | undefined, b: TunnelFacts): boolean =>
  a?.number === b.number &&
  a.mtu === b.mtu &&
  a.slot === b.slot &&
  a.slots === b.slots &&
  a.isInjected === b.isInjected;

/** What a row says beside its tunnel and the facts about it. */
export interface TunnelPlace {
  readonly config: Config;
  /** Of this node. */
  readonly routerMac: Mac;
  /** Number of the peer, the same for all tunnels to it. */
  readonly peer: number;
}

/** @param row absolute */
export function writeTunnel(
  to: AreaWriter,
  row: number,
  tunnel: Tunnel,
  facts: TunnelFacts,
  { config, routerMac, peer }: TunnelPlace,
): void {
  const header = tunnelHeader(tunnel, config);
  to.zero(row, TUNNEL_SIZE);
  to.u8(row + TUNNEL_KIND, encapsulations[tunnel.encapsulation]);
  to.u8(row + TUNNEL_FAMILY, tunnel.family);
  to.u16(row + TUNNEL_HEADER_LENGTH, header.length);
  to.u32(row + TUNNEL_PEER, peer);
  to.u32(row + TUNNEL_MTU, facts.mtu);
  to.u16(row + TUNNEL_SLOT, facts.slot);
  to.u16(row + TUNNEL_SLOTS, facts.slots);
  to.u32(row + TUNNEL_VNI, tunnel.peer.vni);
  to.u8(row + TUNNEL_TOS, config.underlay.dscp << 2);
  to.u8(row + TUNNEL_TTL, config.underlay.ttl);
  to.u16(row + TUNNEL_FLAGS, tunnelFlags(tunnel, config));
  to.bytes(row + TUNNEL_SOCKADDR, socketAddress(tunnel.remote, destinationPort(tunnel, config)));
  to.bytes(row + TUNNEL_INNER_DESTINATION, tunnel.way?.remoteMac ?? tunnel.peer.routerMac);
  to.bytes(row + TUNNEL_INNER_SOURCE, tunnel.way?.localMac ?? routerMac);
  to.bytes(row + TUNNEL_REMOTE, tunnel.remote.bytes);
  to.bytes(row + TUNNEL_LOCAL, tunnel.local.bytes);
  to.bytes(row + TUNNEL_HEADER, header);
  const outer = facts.isInjected ? outerHeader(tunnel, config) : new Uint8Array();
  to.u16(row + TUNNEL_OUTER_LENGTH, outer.length);
  to.bytes(row + TUNNEL_OUTER, outer);
}

function tunnelFlags({ encapsulation }: Tunnel, { geneve, underlay }: Config): number {
  if (encapsulation === 'ipip') return 0;
  if (encapsulation === 'direct') return TUNNEL_IS_ETHERNET;
  const shape =
    encapsulation === 'geneve' && geneve.payload === 'ip' ? TUNNEL_IS_GENEVE_IP : TUNNEL_IS_ETHERNET;
  return underlay.outerChecksum ? shape | TUNNEL_HAS_CHECKSUM : shape;
}

function destinationPort({ encapsulation }: Tunnel, { ports }: Config): number {
  return encapsulation === 'ipip' || encapsulation === 'direct' ? 0 : ports[encapsulation];
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
