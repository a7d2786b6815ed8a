/**
 * Neighbours: ARP and neighbour discovery are answered here, never flooded.
 *
 *     from a TAP      who has the gateway?            this router
 *     from a tunnel   who has this pod or node?       this router, into the tunnel
 *
 * Probes for duplicate addresses (an unspecified sender) are never answered (RFC 5227, RFC 4862 §5.4).
 */
import { NO_TUNNEL } from '../layout/burst';
import { VNET_HEADER } from '../layout/memory';
import { PACKET_IS_ETHERNET, PACKET_IS_FRAGMENT } from '../layout/packet';
import {
  ENDPOINT_PORT,
  NO_PORT,
  PORT_KIND,
  PORT_MAC,
  PORT_POD,
  STAT_GENERATED,
  TABLES_GATEWAY4,
  TABLES_GATEWAY6,
  TABLES_NODE4,
  TABLES_NODE6,
  TABLES_ROUTER_MAC,
} from '../layout/tables';
import { Packet } from '../packet';
import { countStat } from '../table/counters';
import { endpointFind, portRow, tunnelRow } from '../table/snapshot';
import { messagePush, messageToPort } from '../transmit/message';
import { transmitFits } from '../transmit/pending';
import { Verdict } from '../verdict';
import { copyAddress, isLinkLocal, isSameAddress, isUnspecified, storeMapped } from '../wire/address';
import { ARP_LEN, ARP_REPLY, ARP_REQUEST, Arp } from '../wire/arp';
import { complement, fold, pseudoSum, sum } from '../wire/checksum';
import { ETHERNET_LEN, ETHERTYPE_ARP, ETHERTYPE_IPV6, Ethernet } from '../wire/ethernet';
import { Icmp } from '../wire/icmp';
import { IPV6_LEN, Ipv6 } from '../wire/ipv6';
import {
  NEIGHBOR_ADVERTISEMENT,
  NEIGHBOR_ADVERTISEMENT_LEN,
  NEIGHBOR_HOP_LIMIT,
  NEIGHBOR_LEN,
  NEIGHBOR_OVERRIDE,
  NEIGHBOR_ROUTER,
  NEIGHBOR_SOLICITATION,
  NEIGHBOR_SOLICITED,
  Neighbor,
  OPTION_TARGET_LINK_LAYER,
} from '../wire/neighbor';
import { PROTOCOL_ICMPV6 } from '../wire/protocol';
import { Vnet } from '../wire/vnet';
import { area, headersAlloc } from '../worker';
import { coalesceClose } from './coalesce';
import { ENCAP_HEADROOM, encapFrame, isEthernetTunnel } from './encap';
import { belongsToPeer } from './source';

/** Whether the packet can be what neighbor() looks for: few are. */
export function mayBeNeighbor(packet: Packet): bool {
  return packet.etherType() === ETHERTYPE_ARP || packet.protocol() === PROTOCOL_ICMPV6;
}

/** Ends the packet's way here if it is ARP or neighbour discovery. */
export function neighbor(packet: Packet): void {
  if (!packet.has(PACKET_IS_ETHERNET) || packet.vlans() !== 0) return;
  if (packet.tunnel() === NO_TUNNEL && portKind(packet) === 0) {
    packet.setVerdict(Verdict.PortDown);
    return;
  }
  if (packet.etherType() === ETHERTYPE_ARP) {
    packet.setVerdict(arp(packet));
  } else if (
    packet.version() === 6 &&
    packet.protocol() === PROTOCOL_ICMPV6 &&
    packet.payload() !== packet.l4()
  ) {
    const type = <u32>load<u8>(packet.transport());
    if (type === NEIGHBOR_SOLICITATION || type === NEIGHBOR_ADVERTISEMENT)
      packet.setVerdict(solicitation(packet));
  }
}

/** PORT_* kind of the TAP that the packet came from, 0: none that these tables know. */
function portKind(packet: Packet): u32 {
  const row = portRow(area, packet.slot());
  return row === 0 ? 0 : <u32>load<u8>(row, PORT_KIND);
}

/** A pod speaks from its own MAC; others may have several. */
function isOwnMac(packet: Packet): bool {
  if (packet.tunnel() !== NO_TUNNEL) return true;
  if (portKind(packet) !== PORT_POD) return true;
  const row = portRow(area, packet.slot());
  const ethernet = Ethernet.at(packet.data());
  return (
    ethernet.sourceLow() === load<u32>(row, PORT_MAC) &&
    ethernet.sourceHigh() === <u32>load<u16>(row, PORT_MAC + 4)
  );
}

/** Whether the 16 bytes at `target` are answered for on this side. */
function isAnswered(packet: Packet, target: usize, gateway: usize, node: usize): bool {
  if (packet.tunnel() === NO_TUNNEL) return isSameAddress(target, gateway);
  if (isSameAddress(target, node)) return true;
  const endpoint = endpointFind(area, target);
  return endpoint !== 0 && <u32>load<u16>(endpoint, ENDPOINT_PORT) !== NO_PORT;
}

/** Whether the address that asks is one of the pod's or the peer's: InProgress, or why not. */
function senderVerdict(packet: Packet): Verdict {
  const sender = endpointFind(area, packet.source());
  if (packet.tunnel() !== NO_TUNNEL) {
    return belongsToPeer(packet.source(), sender, packet.tunnel())
      ? Verdict.InProgress
      : Verdict.InnerSourceSpoofed;
  }
  return portKind(packet) === PORT_POD &&
    (sender === 0 || <u32>load<u16>(sender, ENDPOINT_PORT) !== packet.slot())
    ? Verdict.SourceSpoofed
    : Verdict.InProgress;
}

function arp(packet: Packet): Verdict {
  const request = Arp.at(packet.data() + packet.l3());
  if (
    packet.length() < packet.l3() + ARP_LEN ||
    !request.isEthernetIpv4() ||
    request.operation() !== ARP_REQUEST ||
    request.senderIp() === 0
  ) {
    return Verdict.ArpIgnored;
  }
  if (!isOwnMac(packet)) return Verdict.SourceSpoofed;
  storeMapped(packet.source(), request.senderIp());
  storeMapped(packet.destination(), request.targetIp());
  const verdict = senderVerdict(packet);
  if (verdict !== Verdict.InProgress) return verdict;
  if (!isAnswered(packet, packet.destination(), area + TABLES_GATEWAY4, area + TABLES_NODE4))
    return Verdict.ArpIgnored;
  const frame = replyBegin(packet, ETHERTYPE_ARP, ARP_LEN);
  if (frame === 0) return Verdict.BurstFull;
  const reply = Arp.at(frame + ETHERNET_LEN);
  memory.copy(frame + ETHERNET_LEN, changetype<usize>(request), 8);
  reply.setOperation(ARP_REPLY);
  reply.setSender(
    load<u32>(area, TABLES_ROUTER_MAC),
    <u32>load<u16>(area, TABLES_ROUTER_MAC + 4),
    request.targetIp(),
  );
  reply.setTarget(request.senderMacLow(), request.senderMacHigh(), request.senderIp());
  return replySend(packet, frame, ETHERNET_LEN + ARP_LEN);
}

/** Whether options fill the bytes from `at` to `end`, none of them empty (RFC 4861 §4.6). */
function areOptionsWhole(at: usize, end: usize): bool {
  while (at + 2 <= end) {
    const bytes = (<u32>load<u8>(at, 1)) << 3;
    if (bytes === 0) return false;
    at += bytes;
  }
  return at === end;
}

function solicitation(packet: Packet): Verdict {
  const ip = Ipv6.at(packet.ip());
  const p = packet.transport();
  const bytes = packet.end() - packet.l4();
  // RFC 4861 §7.1.1: hop limit, code, length, checksum.
  if (
    packet.has(PACKET_IS_FRAGMENT) ||
    packet.ttl() !== NEIGHBOR_HOP_LIMIT ||
    Icmp.at(p).code() !== 0 ||
    bytes < NEIGHBOR_LEN ||
    Icmp.at(p).type() !== NEIGHBOR_SOLICITATION ||
    isUnspecified(packet.source()) ||
    !areOptionsWhole(p + NEIGHBOR_LEN, p + bytes) ||
    fold(pseudoSum(packet.ip() + 8, 32, PROTOCOL_ICMPV6, bytes) + sum(p, bytes)) !== 0xffff
  ) {
    return Verdict.NdIgnored;
  }
  if (!isOwnMac(packet)) return Verdict.SourceSpoofed;
  // A link-local address says nothing beyond its link.
  const verdict = isLinkLocal(packet.source()) ? Verdict.InProgress : senderVerdict(packet);
  if (verdict !== Verdict.InProgress) return verdict;
  const target = Neighbor.at(p).target();
  if (!isAnswered(packet, target, area + TABLES_GATEWAY6, area + TABLES_NODE6)) return Verdict.NdIgnored;
  const total = ETHERNET_LEN + IPV6_LEN + NEIGHBOR_ADVERTISEMENT_LEN;
  const frame = replyBegin(packet, ETHERTYPE_IPV6, IPV6_LEN + NEIGHBOR_ADVERTISEMENT_LEN);
  if (frame === 0) return Verdict.BurstFull;
  const reply = Ipv6.at(frame + ETHERNET_LEN);
  reply.setFirstWord(0, 0);
  reply.setPayloadLength(NEIGHBOR_ADVERTISEMENT_LEN);
  reply.setNextHeader(PROTOCOL_ICMPV6);
  reply.setHopLimit(NEIGHBOR_HOP_LIMIT);
  copyAddress(reply.source(), target);
  copyAddress(reply.destination(), ip.source());
  const body = frame + ETHERNET_LEN + IPV6_LEN;
  const icmp = Icmp.at(body);
  icmp.setTypeCode(NEIGHBOR_ADVERTISEMENT, 0);
  icmp.setChecksum(0);
  const advertisement = Neighbor.at(body);
  advertisement.setFlags(NEIGHBOR_ROUTER | NEIGHBOR_SOLICITED | NEIGHBOR_OVERRIDE);
  copyAddress(advertisement.target(), target);
  advertisement.setLinkLayerOption(
    OPTION_TARGET_LINK_LAYER,
    load<u32>(area, TABLES_ROUTER_MAC),
    <u32>load<u16>(area, TABLES_ROUTER_MAC + 4),
  );
  icmp.setChecksum(
    complement(
      pseudoSum(frame + ETHERNET_LEN + 8, 32, PROTOCOL_ICMPV6, NEIGHBOR_ADVERTISEMENT_LEN) +
        sum(body, NEIGHBOR_ADVERTISEMENT_LEN),
    ),
  );
  return replySend(packet, frame, total);
}

/** Room for a frame back to the sender of `packet`, its Ethernet header written; 0: none left. */
function replyBegin(packet: Packet, etherType: u32, bytes: u32): usize {
  if (!transmitFits(1, 1)) return 0;
  const arena = headersAlloc(ENCAP_HEADROOM + ETHERNET_LEN + bytes);
  if (arena === 0) return 0;
  const frame = arena + ENCAP_HEADROOM;
  const asked = Ethernet.at(packet.data());
  const answer = Ethernet.at(frame);
  answer.setDestination(asked.sourceLow(), asked.sourceHigh());
  answer.setSource(load<u32>(area, TABLES_ROUTER_MAC), <u32>load<u16>(area, TABLES_ROUTER_MAC + 4));
  answer.setType(etherType);
  return frame;
}

function replySend(packet: Packet, frame: usize, bytes: u32): Verdict {
  if (packet.tunnel() === NO_TUNNEL) {
    Vnet.at(frame - VNET_HEADER).clear();
    coalesceClose();
    messagePush(messageToPort(packet.slot(), 0, packet.hash()), frame - VNET_HEADER, VNET_HEADER + bytes);
  } else {
    const tunnel = tunnelRow(area, packet.tunnel());
    if (!isEthernetTunnel(tunnel)) return Verdict.ArpIgnored;
    encapFrame(tunnel, packet.tunnel(), frame, bytes, packet.hash());
  }
  countStat(STAT_GENERATED, 1);
  return Verdict.Consumed;
}
