/**
 * Source check: nobody speaks for somebody else.
 *
 * Without it policy by identity is void. A pod may send from its own addresses and MAC
 * only; a peer only for addresses that are routed to it.
 */
import { PACKET_FROM_NODE, PACKET_IS_ETHERNET } from '../layout/packet';
import {
  ENDPOINT_FLAGS,
  ENDPOINT_IS_NODE,
  ENDPOINT_PORT,
  ENDPOINT_TUNNEL,
  NO_ENDPOINT_TUNNEL,
  NO_PORT,
  PORT_FORWARD,
  PORT_KIND,
  PORT_MAC,
  PORT_NODE,
  ROUTE_NONE,
  ROUTE_OUTSIDE,
  ROUTE_TUNNEL,
  TABLES_ROUTER_MAC,
  TUNNEL_PEER,
} from '../layout/tables';
import { Packet } from '../packet';
import { endpointFind, portRow, routeFind, tunnelRow } from '../table/snapshot';
import { Verdict } from '../verdict';
import {
  isLinkLocal,
  isMartian6,
  isMartianDestination4,
  isMartianSource4,
  mappedIpv4,
} from '../wire/address';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet } from '../wire/ethernet';
import { REDIRECT, ROUTER_ADVERTISEMENT } from '../wire/neighbor';
import { PROTOCOL_ICMPV6 } from '../wire/protocol';
import { area } from '../worker';

/** What is not an IP packet to one receiver ends here, by name. ARP and ND are gone before. */
function isUnicastIp(packet: Packet): bool {
  if (packet.vlans() !== 0) {
    packet.setVerdict(Verdict.VlanTagged);
    return false;
  }
  if (packet.etherType() !== ETHERTYPE_IPV4 && packet.etherType() !== ETHERTYPE_IPV6) {
    packet.setVerdict(Verdict.NonIp);
    return false;
  }
  if (packet.version() === 4) {
    const destination = mappedIpv4(packet.destination());
    if ((destination & 0xf0) === 0xe0 || destination === 0xffffffff) packet.setVerdict(Verdict.Multicast);
    else if (isMartianSource4(mappedIpv4(packet.source())) || isMartianDestination4(destination))
      packet.setVerdict(Verdict.MartianAddress);
  } else {
    const destination = packet.destination();
    if (packet.protocol() === PROTOCOL_ICMPV6 && isRouterMessage(packet))
      packet.setVerdict(Verdict.RouterAdvertisement);
    else if (load<u8>(destination) === 0xff) packet.setVerdict(Verdict.Multicast);
    else if (
      isMartian6(packet.source()) ||
      isMartian6(destination) ||
      isLinkLocal(packet.source()) ||
      isLinkLocal(destination)
    ) {
      packet.setVerdict(Verdict.MartianAddress);
    }
  }
  if (packet.isInProgress() && packet.has(PACKET_IS_ETHERNET) && Ethernet.at(packet.data()).isGroup()) {
    packet.setVerdict(Verdict.Multicast);
  }
  return packet.isInProgress();
}

function isRouterMessage(packet: Packet): bool {
  if (packet.payload() === packet.l4()) return false;
  const type = <u32>load<u8>(packet.transport());
  return type === ROUTER_ADVERTISEMENT || type === REDIRECT;
}

/** Checks a packet from a TAP of this node; sets FROM. */
export function sourceFromPort(packet: Packet): void {
  if (!isUnicastIp(packet)) return;
  const port = packet.slot();
  const row = portRow(area, port);
  const kind: u32 = row === 0 ? 0 : <u32>load<u8>(row, PORT_KIND);
  if (kind === 0) {
    packet.setVerdict(Verdict.PortDown);
    return;
  }
  const ethernet = Ethernet.at(packet.data());
  if (!ethernet.isTo(area + TABLES_ROUTER_MAC)) {
    packet.setVerdict(Verdict.NotForUs);
    return;
  }
  const from = endpointFind(area, packet.source());
  packet.setFrom(from);
  if (kind === PORT_NODE || kind === PORT_FORWARD) {
    // A node may send from any address of its own or of a network behind it, but not as a pod.
    const isPodNetwork =
      from !== 0 ? !(load<u16>(from, ENDPOINT_FLAGS) & ENDPOINT_IS_NODE) : isInPodNetwork(packet.source());
    if (isPodNetwork) packet.setVerdict(Verdict.SourceSpoofed);
    else if (kind === PORT_NODE) packet.addFlags(PACKET_FROM_NODE);
    return;
  }
  if (from === 0 || <u32>load<u16>(from, ENDPOINT_PORT) !== port || !ethernet.isFrom(row + PORT_MAC)) {
    packet.setVerdict(Verdict.SourceSpoofed);
  }
}

/** Whether an address that no endpoint has lies in a range of pods: it could only be forged. */
export function isInPodNetwork(address: usize): bool {
  const kind = routeFind(area, address) >> 16;
  return kind !== ROUTE_NONE && kind !== ROUTE_OUTSIDE;
}

/** Checks a packet that came through a tunnel; sets FROM. */
export function sourceFromTunnel(packet: Packet): void {
  if (!isUnicastIp(packet)) return;
  const from = endpointFind(area, packet.source());
  packet.setFrom(from);
  if (!belongsToPeer(packet.source(), from, packet.tunnel())) packet.setVerdict(Verdict.InnerSourceSpoofed);
}

/** Whether an address (its endpoint row, or 0) is reached through the peer behind this tunnel. */
export function belongsToPeer(address: usize, endpoint: usize, tunnel: u32): bool {
  const peer = load<u32>(tunnelRow(area, tunnel), TUNNEL_PEER);
  if (endpoint !== 0) {
    if (<u32>load<u16>(endpoint, ENDPOINT_PORT) !== NO_PORT) return false;
    const by = <u32>load<u16>(endpoint, ENDPOINT_TUNNEL);
    if (by === tunnel) return true;
    if (by !== NO_ENDPOINT_TUNNEL) return load<u32>(tunnelRow(area, by), TUNNEL_PEER) === peer;
  }
  const route = routeFind(area, address);
  return route >> 16 === ROUTE_TUNNEL && load<u32>(tunnelRow(area, route & 0xffff), TUNNEL_PEER) === peer;
}
