/**
 * Decapsulation: from a datagram of the underlay to the packet inside.
 *
 *     VXLAN   │ VXLAN 8 │ Ethernet frame
 *     GENEVE  │ GENEVE 8 │ options │ Ethernet frame or IP packet
 *     IPIP    │ outer IPv4 (raw IPv4 sockets only) │ IP packet
 */
import { RX_DATAGRAM_SOURCE } from '../layout/burst';
import { PACKET_IS_ETHERNET } from '../layout/packet';
import {
  NO_ENDPOINT_TUNNEL,
  PEER_TUNNELS,
  SOCKET_GENEVE,
  SOCKET_IPIP4,
  SOCKET_IPIP6_4,
  SOCKET_NONE,
  SOCKET_VXLAN,
  TUNNEL_GENEVE,
  TUNNEL_IPIP,
  TUNNEL_VNI,
  TUNNEL_VXLAN,
} from '../layout/tables';
import { Packet } from '../packet';
import { peerFind } from '../table/snapshot';
import { Verdict } from '../verdict';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_TEB } from '../wire/ethernet';
import { GENEVE_LEN, GENEVE_OPTION_CRITICAL, GENEVE_OPTION_LEN, Geneve, GeneveOption } from '../wire/geneve';
import { IPV4_LEN, Ipv4 } from '../wire/ipv4';
import { Ipv6 } from '../wire/ipv6';
import { PROTOCOL_IPIP, PROTOCOL_IPV6 } from '../wire/protocol';
import { VXLAN_LEN, Vxlan } from '../wire/vxlan';
import { area } from '../worker';

/**
 * Tunnel by which a datagram of this socket kind comes from its outer source.
 * @returns NO_ENDPOINT_TUNNEL, and the verdict in the row, where the source is no peer
 */
export function tunnelOf(packet: Packet, datagram: usize, kind: u32): u32 {
  const peer = peerFind(area, datagram + RX_DATAGRAM_SOURCE);
  if (peer === 0) {
    packet.setVerdict(Verdict.UnknownPeer);
    return NO_ENDPOINT_TUNNEL;
  }
  const encapsulation =
    kind === SOCKET_VXLAN ? TUNNEL_VXLAN : kind === SOCKET_GENEVE ? TUNNEL_GENEVE : TUNNEL_IPIP;
  const tunnel =
    kind === SOCKET_NONE
      ? NO_ENDPOINT_TUNNEL
      : <u32>load<u16>(peer + ((encapsulation - 1) << 1), PEER_TUNNELS);
  if (tunnel === NO_ENDPOINT_TUNNEL) packet.setVerdict(Verdict.WrongEncapsulation);
  return tunnel;
}

/** Points the row at the packet inside the datagram of `bytes` at `data`, or says what is wrong with it. */
export function decap(packet: Packet, tunnel: usize, kind: u32, data: usize, bytes: u32): void {
  if (kind === SOCKET_VXLAN) decapVxlan(packet, tunnel, data, bytes);
  else if (kind === SOCKET_GENEVE) decapGeneve(packet, tunnel, data, bytes);
  else decapIpip(packet, kind, data, bytes);
}

/** The packet inside: what follows `header` bytes. */
function inside(packet: Packet, data: usize, bytes: u32, header: u32): void {
  packet.setData(data + header);
  packet.setLength(bytes - header);
}

function decapVxlan(packet: Packet, tunnel: usize, data: usize, bytes: u32): void {
  const verdict = checkVxlan(data, bytes);
  if (verdict !== Verdict.InProgress) {
    packet.setVerdict(verdict);
  } else if (Vxlan.at(data).vni() !== load<u32>(tunnel, TUNNEL_VNI)) {
    packet.setVerdict(Verdict.VxlanWrongVni);
  } else {
    inside(packet, data, bytes, VXLAN_LEN);
    packet.addFlags(PACKET_IS_ETHERNET);
  }
}

function decapGeneve(packet: Packet, tunnel: usize, data: usize, bytes: u32): void {
  const geneve = Geneve.at(data);
  const verdict = checkGeneve(data, bytes);
  if (verdict !== Verdict.InProgress) {
    packet.setVerdict(verdict);
  } else if (geneve.vni() !== load<u32>(tunnel, TUNNEL_VNI)) {
    packet.setVerdict(Verdict.GeneveWrongVni);
  } else {
    if (geneve.protocol() === ETHERTYPE_TEB) packet.addFlags(PACKET_IS_ETHERNET);
    inside(packet, data, bytes, GENEVE_LEN + geneve.optionsLength());
  }
}

function decapIpip(packet: Packet, kind: u32, data: usize, bytes: u32): void {
  let protocol = kind === SOCKET_IPIP6_4 ? PROTOCOL_IPIP : PROTOCOL_IPV6;
  let header: u32 = 0;
  if (kind === SOCKET_IPIP4) {
    const outer = Ipv4.at(data);
    header = outer.headerLength();
    if (bytes < IPV4_LEN || header < IPV4_LEN || header > bytes) {
      packet.setVerdict(Verdict.OuterLength);
      return;
    }
    protocol = outer.protocol();
    packet.setOuterTos(outer.tos());
  }
  inside(packet, data, bytes, header);
  packet.setVerdict(checkIpip(data + header, bytes - header, protocol));
}

/** Whether a VXLAN header is one that may be opened: InProgress, or why not (RFC 7348 §5). */
export function checkVxlan(p: usize, bytes: u32): Verdict {
  if (bytes < VXLAN_LEN) return Verdict.VxlanTooShort;
  return Vxlan.at(p).hasVni() ? Verdict.InProgress : Verdict.VxlanNoVni;
}

/** Whether a GENEVE header and its options may be opened: InProgress, or why not (RFC 8926 §3.4, §3.5). */
export function checkGeneve(p: usize, bytes: u32): Verdict {
  const geneve = Geneve.at(p);
  if (bytes < GENEVE_LEN) return Verdict.GeneveTooShort;
  if (geneve.version() !== 0) return Verdict.GeneveVersion;
  const end = GENEVE_LEN + geneve.optionsLength();
  if (end > bytes) return Verdict.GeneveOptions;
  let critical = false;
  let at = GENEVE_LEN;
  while (at < end) {
    const option = GeneveOption.at(p + at);
    if (at + GENEVE_OPTION_LEN + option.dataLength() > end) return Verdict.GeneveOptions;
    // No option is understood here, so every critical one is unknown.
    critical = critical || (option.type() & GENEVE_OPTION_CRITICAL) !== 0;
    at += GENEVE_OPTION_LEN + option.dataLength();
  }
  if (critical) return Verdict.GeneveCriticalOption;
  if (geneve.isOam()) return Verdict.GeneveOam;
  const protocol = geneve.protocol();
  if (protocol === ETHERTYPE_TEB) return Verdict.InProgress;
  if (protocol !== ETHERTYPE_IPV4 && protocol !== ETHERTYPE_IPV6) return Verdict.GeneveProtocol;
  const version: u32 = protocol === ETHERTYPE_IPV4 ? 4 : 6;
  return end === bytes || Ipv6.at(p + end).version() === version
    ? Verdict.InProgress
    : Verdict.GeneveProtocol;
}

/** Whether the packet behind an outer IP header is of the version that its protocol field says. */
export function checkIpip(p: usize, bytes: u32, protocol: u32): Verdict {
  if (protocol !== PROTOCOL_IPIP && protocol !== PROTOCOL_IPV6) return Verdict.IpipProtocol;
  if (bytes === 0) return Verdict.OuterLength;
  const version: u32 = protocol === PROTOCOL_IPIP ? 4 : 6;
  return Ipv6.at(p).version() === version ? Verdict.InProgress : Verdict.IpipProtocol;
}
