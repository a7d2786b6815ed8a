/**
 * Parse: from bytes to a packet row.
 *
 *     Ethernet │ tags … │ IPv4 or IPv6 │ extensions … │ TCP, UDP, SCTP, ICMP │ payload │ padding
 *     DATA              L3                            L4                     PAYLOAD   END
 *
 * Says whether a packet is well formed, nothing about whether it is welcome. Everything
 * behind this stage may read up to END without another look at lengths.
 */
import {
  PACKET_HAS_MORE,
  PACKET_HAS_OPTIONS,
  PACKET_HAS_PORTS,
  PACKET_IS_DF,
  PACKET_IS_ETHERNET,
  PACKET_IS_FRAGMENT,
  PACKET_IS_ICMP_ERROR,
  PACKET_IS_LATER_FRAGMENT,
} from '../layout/packet';
import { Packet } from '../packet';
import { hashWords } from '../table/hash';
import { Verdict } from '../verdict';
import { copyAddress, storeMapped } from '../wire/address';
import {
  ETHERNET_LEN,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_QINQ,
  ETHERTYPE_QINQ_OLD,
  ETHERTYPE_VLAN,
  Ethernet,
  VLAN_LEN,
} from '../wire/ethernet';
import {
  ICMP_ECHO,
  ICMP_ECHO_REPLY,
  ICMP_LEN,
  ICMPV6_ECHO,
  ICMPV6_ECHO_REPLY,
  ICMPV6_INFORMATIONAL,
  Icmp,
  isIcmpv4Error,
} from '../wire/icmp';
import { IPV4_LEN, Ipv4 } from '../wire/ipv4';
import { IPV6_LEN, Ipv6 } from '../wire/ipv6';
import {
  PROTOCOL_AH,
  PROTOCOL_DESTINATION_OPTIONS,
  PROTOCOL_FRAGMENT,
  PROTOCOL_HIP,
  PROTOCOL_HOP_BY_HOP,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_MOBILITY,
  PROTOCOL_ROUTING,
  PROTOCOL_SCTP,
  PROTOCOL_SHIM6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from '../wire/protocol';
import { SCTP_LEN, Sctp } from '../wire/sctp';
import { TCP_LEN, Tcp } from '../wire/tcp';
import { UDP_LEN, Udp } from '../wire/udp';
import { seed } from '../worker';

/** Most tags before the network header. */
const MAX_VLANS: u32 = 4;
/** Most IPv6 extension headers, so that a chain cannot cost without bound. */
const MAX_EXTENSIONS: u32 = 16;

/**
 * Parses the packet at DATA: an Ethernet frame where PACKET_IS_ETHERNET is set, otherwise
 * an IP packet. Fills the row; a malformed packet gets its verdict.
 */
export function parse(packet: Packet): void {
  if (packet.has(PACKET_IS_ETHERNET)) parseEthernet(packet);
  else parseIp(packet, 0);
}

function parseEthernet(packet: Packet): void {
  const length = packet.length();
  if (length < ETHERNET_LEN) {
    packet.setVerdict(Verdict.FrameTooShort);
    return;
  }
  const data = packet.data();
  let type = Ethernet.at(data).type();
  let l3 = ETHERNET_LEN;
  let tags: u32 = 0;
  while (type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ || type === ETHERTYPE_QINQ_OLD) {
    if (l3 + VLAN_LEN > length || tags === MAX_VLANS) {
      packet.setVerdict(Verdict.FrameTooShort);
      return;
    }
    type = <u32>bswap<u16>(load<u16>(data + l3, 2));
    l3 += VLAN_LEN;
    tags++;
  }
  packet.setVlans(tags);
  packet.setEtherType(type);
  packet.setL3(l3);
  if (type === ETHERTYPE_IPV4) {
    parseIpv4(packet, l3);
  } else if (type === ETHERTYPE_IPV6) {
    parseIpv6(packet, l3);
  } else {
    packet.setVersion(0);
    packet.setEnd(length);
  }
}

/** An IP packet at `l3` whose first four bits say which. */
export function parseIp(packet: Packet, l3: u32): void {
  packet.setVlans(0);
  packet.setL3(l3);
  if (packet.length() <= l3) {
    packet.setVerdict(Verdict.FrameTooShort);
    return;
  }
  if (load<u8>(packet.data() + l3) >> 4 === 6) {
    packet.setEtherType(ETHERTYPE_IPV6);
    parseIpv6(packet, l3);
  } else {
    packet.setEtherType(ETHERTYPE_IPV4);
    parseIpv4(packet, l3);
  }
}

function parseIpv4(packet: Packet, l3: u32): void {
  const available = packet.length() - l3;
  const ip = Ipv4.at(packet.data() + l3);
  if (available < IPV4_LEN || ip.version() !== 4) {
    packet.setVerdict(Verdict.Ipv4Header);
    return;
  }
  const header = ip.headerLength();
  if (header < IPV4_LEN || header > available) {
    packet.setVerdict(Verdict.Ipv4Header);
    return;
  }
  const total = ip.totalLength();
  if (total < header || total > available) {
    packet.setVerdict(Verdict.Ipv4Length);
    return;
  }
  if (!ip.isChecksumOk()) {
    packet.setVerdict(Verdict.Ipv4Checksum);
    return;
  }
  const end = l3 + total;
  const protocol = ip.protocol();
  packet.setVersion(4);
  packet.setEnd(end);
  packet.setTosTtl(ip.tos(), ip.ttl());
  packet.setProtocol(protocol);
  packet.setNextHeaderAt(l3 + 9);
  storeMapped(packet.source(), ip.source());
  storeMapped(packet.destination(), ip.destination());
  let flags = packet.flags();
  if (ip.isDontFragment()) flags |= PACKET_IS_DF;
  if (header > IPV4_LEN) flags |= PACKET_HAS_OPTIONS;
  packet.setFragment(0, ip.id());
  if (ip.isFragment()) {
    const offset = ip.fragmentOffset();
    const more = ip.hasMoreFragments();
    const bytes = total - header;
    if (offset + bytes > 0xffff || (more && (bytes & 7) !== 0) || bytes === 0) {
      packet.setVerdict(Verdict.FragmentMalformed);
      return;
    }
    packet.setFragment(offset, ip.id());
    flags |=
      PACKET_IS_FRAGMENT | (offset !== 0 ? PACKET_IS_LATER_FRAGMENT : 0) | (more ? PACKET_HAS_MORE : 0);
  }
  parseTransport(packet, l3 + header, end, 4, protocol, flags);
}

function parseIpv6(packet: Packet, l3: u32): void {
  const available = packet.length() - l3;
  const data = packet.data();
  const ip = Ipv6.at(data + l3);
  if (available < IPV6_LEN || ip.version() !== 6) {
    packet.setVerdict(Verdict.Ipv6Header);
    return;
  }
  const total = IPV6_LEN + ip.payloadLength();
  if (total > available) {
    packet.setVerdict(Verdict.Ipv6Length);
    return;
  }
  const end = l3 + total;
  packet.setVersion(6);
  packet.setEnd(end);
  packet.setTosTtl(ip.trafficClass(), ip.hopLimit());
  packet.setFragment(0, 0);
  copyAddress(packet.source(), ip.source());
  copyAddress(packet.destination(), ip.destination());
  let next = ip.nextHeader();
  let nextAt = l3 + 6;
  let at = l3 + IPV6_LEN;
  let flags = packet.flags() | PACKET_IS_DF;
  let chain: u32 = 0;
  while (isExtension(next)) {
    if (at + 8 > end || chain++ === MAX_EXTENSIONS) {
      packet.setVerdict(Verdict.Ipv6Extension);
      return;
    }
    flags |= PACKET_HAS_OPTIONS;
    const header = data + at;
    let bytes: u32 = (<u32>load<u8>(header, 1) + 1) << 3;
    if (next === PROTOCOL_AH) bytes = (<u32>load<u8>(header, 1) + 2) << 2;
    if (next === PROTOCOL_FRAGMENT) {
      bytes = 8;
      const field = <u32>bswap<u16>(load<u16>(header, 2));
      const offset = field & 0xfff8;
      const more = (field & 1) !== 0;
      const rest = end - at - 8;
      if (offset + rest > 0xffff || (more && (rest & 7) !== 0) || ((offset !== 0 || more) && rest === 0)) {
        packet.setVerdict(Verdict.FragmentMalformed);
        return;
      }
      packet.setFragment(offset, bswap<u32>(load<u32>(header, 4)));
      if (offset !== 0 || more) {
        flags |=
          PACKET_IS_FRAGMENT | (offset !== 0 ? PACKET_IS_LATER_FRAGMENT : 0) | (more ? PACKET_HAS_MORE : 0);
      }
    }
    if (at + bytes > end) {
      packet.setVerdict(Verdict.Ipv6Extension);
      return;
    }
    next = <u32>load<u8>(header);
    nextAt = at;
    at += bytes;
    // Behind the header of a later fragment stands data, not another header (RFC 8200 §4.5).
    if (flags & PACKET_IS_LATER_FRAGMENT) break;
  }
  packet.setProtocol(next);
  packet.setNextHeaderAt(nextAt);
  parseTransport(packet, at, end, 6, next, flags);
}

/** Next headers below 64 that are extensions. */
const EXTENSIONS: u64 =
  (1 << (<u64>PROTOCOL_HOP_BY_HOP)) |
  (1 << (<u64>PROTOCOL_ROUTING)) |
  (1 << (<u64>PROTOCOL_FRAGMENT)) |
  (1 << (<u64>PROTOCOL_AH)) |
  (1 << (<u64>PROTOCOL_DESTINATION_OPTIONS));

function isExtension(next: u32): bool {
  return next < 64
    ? ((EXTENSIONS >> <u64>next) & 1) !== 0
    : next === PROTOCOL_MOBILITY || next === PROTOCOL_HIP || next === PROTOCOL_SHIM6;
}

/** What was learned before is handed on and not read back: a row's field just written is slow to load. */
function parseTransport(
  packet: Packet,
  l4: u32,
  end: u32,
  version: u32,
  protocol: u32,
  networkFlags: u32,
): void {
  const bytes = end - l4;
  const p = packet.data() + l4;
  let flags = networkFlags;
  let payload = l4;
  let ports: u32 = 0;
  let tcpFlags: u32 = 0;
  if (flags & PACKET_IS_LATER_FRAGMENT) {
    // Data: the first one must hold the whole transport header, so that none may begin within it, and lay other bytes
    // over those that policy and connections have seen (RFC 1858 §4, RFC 3128).
    if (packet.fragmentOffset() < leastHeaderOf(protocol)) {
      packet.setVerdict(Verdict.FragmentMalformed);
      return;
    }
  } else if (protocol === PROTOCOL_TCP) {
    const tcp = Tcp.at(p);
    if (bytes < TCP_LEN || tcp.headerLength() < TCP_LEN || tcp.headerLength() > bytes) {
      packet.setVerdict(Verdict.TcpHeader);
      return;
    }
    ports = portsOf(tcp.sourcePort(), tcp.destinationPort());
    tcpFlags = tcp.flags();
    payload += tcp.headerLength();
    flags |= PACKET_HAS_PORTS;
  } else if (protocol === PROTOCOL_UDP) {
    const udp = Udp.at(p);
    if (
      bytes < UDP_LEN ||
      udp.length() < UDP_LEN ||
      (udp.length() > bytes && !(flags & PACKET_IS_FRAGMENT))
    ) {
      packet.setVerdict(Verdict.UdpHeader);
      return;
    }
    ports = portsOf(udp.sourcePort(), udp.destinationPort());
    payload += UDP_LEN;
    flags |= PACKET_HAS_PORTS;
  } else if (protocol === PROTOCOL_SCTP) {
    if (bytes < SCTP_LEN) {
      packet.setVerdict(Verdict.SctpHeader);
      return;
    }
    ports = portsOf(Sctp.at(p).sourcePort(), Sctp.at(p).destinationPort());
    payload += SCTP_LEN;
    flags |= PACKET_HAS_PORTS;
  } else if (
    (protocol === PROTOCOL_ICMP && version === 4) ||
    (protocol === PROTOCOL_ICMPV6 && version === 6)
  ) {
    if (bytes < ICMP_LEN) {
      packet.setVerdict(Verdict.IcmpHeader);
      return;
    }
    const icmp = Icmp.at(p);
    const type = icmp.type();
    payload += ICMP_LEN;
    if (isEcho(protocol, type)) ports = portsOf(icmp.identifier(), icmp.identifier());
    else if (protocol === PROTOCOL_ICMP ? isIcmpv4Error(type) : type < ICMPV6_INFORMATIONAL)
      flags |= PACKET_IS_ICMP_ERROR;
  }
  packet.setL4(l4);
  packet.setPayload(payload);
  packet.setTcpFlags(tcpFlags);
  packet.setFlags(flags);
  packet.setPortPair(ports);
  packet.setHash(flowHash(packet.source(), packet.destination(), ports, protocol));
}

function leastHeaderOf(protocol: u32): u32 {
  return protocol === PROTOCOL_TCP ? TCP_LEN : protocol === PROTOCOL_SCTP ? SCTP_LEN : 0;
}

function portsOf(sport: u32, dport: u32): u32 {
  return sport | (dport << 16);
}

/** Whether the type is an echo's, request or reply. */
export function isEcho(protocol: u32, type: u32): bool {
  return protocol === PROTOCOL_ICMP
    ? type === ICMP_ECHO || type === ICMP_ECHO_REPLY
    : type === ICMPV6_ECHO || type === ICMPV6_ECHO_REPLY;
}

/** Hashes a row whose addresses, ports and protocol are set. */
export function hashFlow(packet: Packet): void {
  packet.setHash(flowHash(packet.source(), packet.destination(), packet.ports(), packet.protocol()));
}

/** The same for both directions, so that either finds the other's flow; keyed, so that a stranger cannot aim. */
function flowHash(s: usize, d: usize, ports: u32, protocol: u32): u32 {
  const sourceHigh = load<u64>(s, 8);
  const destinationHigh = load<u64>(d, 8);
  const low = load<u64>(s) ^ load<u64>(d);
  const high = sourceHigh ^ destinationHigh;
  // The sum beside the exclusive-or keeps neighbours that talk to each other apart.
  const both = sourceHigh + destinationHigh;
  const sport = ports & 0xffff;
  const dport = ports >> 16;
  const mixed = sport ^ dport ^ ((sport + dport) << 16);
  return hashWords(
    low + (both << 7),
    ((<u64>seed) << 32) ^ high ^ ((<u64>(mixed ^ (protocol << 8))) << 13) ^ both,
  );
}
