/**
 * Forward: the last stage. TTL, MTU, and out: to a TAP of this node or into a tunnel.
 *
 *                        to a TAP                          to a tunnel
 *     from a TAP         whole, superframes too            split or injected, fragmented, encapsulated;
 *                                                          to a direct peer as to a TAP
 *     from a tunnel      coalesced; a peer's superframe    (never)
 *                        handed on as one
 *
 * What a direct peer sends is a frame like a TAP's.
 */
import { CHECKSUM_NONE, CHECKSUM_PARTIAL } from '../layout/decoded';
import { OFFLOAD_TSO, VNET_HEADER } from '../layout/memory';
import { PACKET_IS_DF, PACKET_IS_PARTIAL } from '../layout/packet';
import {
  PORT_KIND,
  PORT_MTU,
  PORT_POD,
  PORT_TX_PACKETS,
  ROUTE_TUNNEL,
  TUNNEL_LOCAL,
  TUNNEL_MTU,
  TUNNEL_REMOTE,
} from '../layout/tables';
import { Packet } from '../packet';
import { countPort } from '../table/counters';
import { portRow, tunnelRow } from '../table/snapshot';
import { messagePush, messageToPort } from '../transmit/message';
import { transmitFits } from '../transmit/pending';
import { Verdict } from '../verdict';
import { isSameAddress } from '../wire/address';
import { copyShort } from '../wire/copy';
import { ETHERNET_LEN } from '../wire/ethernet';
import { IPV4_MIN_MTU, Ipv4 } from '../wire/ipv4';
import { Ipv6 } from '../wire/ipv6';
import { PROTOCOL_TCP } from '../wire/protocol';
import { TCP_CHECKSUM } from '../wire/tcp';
import { VNET_GSO_TCPV4, VNET_GSO_TCPV6, VNET_NEEDS_CSUM, Vnet } from '../wire/vnet';
import { area, headersAlloc, offloads } from '../worker';
import { checksumField, checksumLength, checksumState, completePartial, isOpenChecksum } from './checksum';
import { coalesce, coalesceClose, mayCoalesce } from './coalesce';
import { isDirect, sendDirect } from './direct';
import { encap } from './encap';
import { limitAt, limitLength, setInnerLimit } from './encapsulation-limit';
import { etherAddress, etherWrite } from './ether';
import { fragment } from './fragment';
import { inject, mayInject } from './inject';
import { segment } from './segment';

/** Packets up to this size are copied behind their new header; longer ones are gathered. */
const MAX_COPIED: u32 = 256;

/** Sends a packet that came as a frame and whose ROUTE and TARGET are set. */
export function forwardFromPort(packet: Packet): void {
  const isTunnel = packet.route() === ROUTE_TUNNEL;
  const target = packet.target();
  const to = isTunnel ? 0 : portRow(area, target);
  if (!isTunnel && (to === 0 || <u32>load<u8>(to, PORT_KIND) === 0)) {
    packet.setVerdict(Verdict.PortDown);
    return;
  }
  const tunnel = isTunnel ? tunnelRow(area, target) : 0;
  if (isTunnel && (tunnel === 0 || isLoop(packet, tunnel))) {
    packet.setVerdict(tunnel === 0 ? Verdict.NoRoute : Verdict.TunnelLoop);
    return;
  }
  const limit: u32 = isTunnel ? limitAt(packet, tunnel) : 0;
  if (limit !== 0) {
    const left = <u32>load<u8>(packet.ip() + limit);
    if (left === 0) {
      packet.setMtu(limit);
      packet.setVerdict(Verdict.EncapsulationLimit);
      return;
    }
    setInnerLimit(left);
  }
  toTarget(packet, target, to, tunnel);
  setInnerLimit(0);
}

/** `to` is the port's row, or 0 and `tunnel` the tunnel's. */
function toTarget(packet: Packet, target: u32, to: usize, tunnel: usize): void {
  const isTunnel = tunnel !== 0;
  const from = portRow(area, packet.slot());
  const mtu: u32 = isTunnel ? load<u32>(tunnel, TUNNEL_MTU) - limitLength() : <u32>load<u16>(to, PORT_MTU);
  const isRouted =
    <u32>load<u8>(from, PORT_KIND) === PORT_POD && (isTunnel || <u32>load<u8>(to, PORT_KIND) === PORT_POD);
  // What needs no hop here may still have none (RFC 2003 §3.1).
  if (packet.ttl() <= (isRouted ? 1 : 0)) {
    packet.setVerdict(Verdict.TtlExpired);
    return;
  }
  const size = packet.gsoSize();
  const longest = size === 0 ? packet.ipLength() : packet.payload() - packet.l3() + size;
  const isTooLong = longest > mtu;
  if (isTooLong && (packet.has(PACKET_IS_DF) || size !== 0)) {
    packet.setMtu(mtu);
    packet.setVerdict(Verdict.MtuExceeded);
    return;
  }
  if (isTooLong && mtu < IPV4_MIN_MTU) {
    packet.setVerdict(Verdict.Unsplittable);
    return;
  }
  if (isRouted) decrementTtl(packet);
  if (isTunnel && !isTooLong && isDirect(tunnel)) {
    packet.setVerdict(sendDirect(packet, tunnel, target) ? Verdict.Forward : Verdict.BurstFull);
    return;
  }
  if (!isTunnel && !isTooLong) {
    packet.setVerdict(toPortWhole(packet, target) ? Verdict.Forward : Verdict.BurstFull);
    return;
  }
  let sent: bool;
  if (size !== 0) {
    sent = mayInject(packet, tunnel)
      ? inject(packet, tunnel, target)
      : segment(packet, size, tunnel, target, 1);
  } else {
    if (packet.has(PACKET_IS_PARTIAL)) completeFromVnet(packet);
    sent = isTooLong
      ? fragment(packet, tunnel, target, mtu)
      : encap(
          tunnel,
          target,
          packet.ip(),
          packet.ipLength(),
          packet.version(),
          packet.tos(),
          packet.hash(),
          1,
        );
  }
  packet.setVerdict(sent ? Verdict.Forward : Verdict.BurstFull);
}

/** A packet between the two ends of the tunnel itself would be tunnelled for ever. */
function isLoop(packet: Packet, tunnel: usize): bool {
  return (
    isSameAddress(packet.destination(), tunnel + TUNNEL_REMOTE) &&
    isSameAddress(packet.source(), tunnel + TUNNEL_LOCAL)
  );
}

function decrementTtl(packet: Packet): void {
  if (packet.version() === 4) Ipv4.at(packet.ip()).decrementTtl();
  else Ipv6.at(packet.ip()).setHopLimit(packet.ttl() - 1);
}

/** The checksum that the sending kernel left open, as its vnet header describes it. */
function completeFromVnet(packet: Packet): void {
  const vnet = Vnet.at(packet.data() - VNET_HEADER);
  const start = vnet.checksumStart();
  completePartial(packet.data() + start, packet.end() - start, vnet.checksumOffset());
}

/** Hands a frame from one TAP to another as it is, vnet header and all. */
function toPortWhole(packet: Packet, port: u32): bool {
  if (!transmitFits(1, 1)) return false;
  const frame = packet.data();
  etherAddress(frame, port);
  coalesceClose();
  messagePush(messageToPort(port, 1, packet.hash()), frame - VNET_HEADER, VNET_HEADER + packet.length());
  countPort(port, PORT_TX_PACKETS, packet.length());
  return true;
}

/** Sends a packet that came through a tunnel; its ROUTE is local. */
export function forwardFromTunnel(packet: Packet): void {
  const port = packet.target();
  const to = portRow(area, port);
  if (to === 0 || <u32>load<u8>(to, PORT_KIND) === 0) {
    packet.setVerdict(Verdict.PortDown);
    return;
  }
  if (packet.ttl() === 0) {
    packet.setVerdict(Verdict.TtlExpired);
    return;
  }
  const mtu = <u32>load<u16>(to, PORT_MTU);
  if (packet.ipLength() > mtu) {
    const isSuperframe = packet.gsoSize() === 0 && isOpenChecksum(packet);
    const isSplit = !isSuperframe && !packet.has(PACKET_IS_DF) && mtu >= IPV4_MIN_MTU;
    if (isSplit) packet.setVerdict(fragment(packet, 0, port, mtu) ? Verdict.Forward : Verdict.BurstFull);
    else superframeToPort(packet, port, mtu, isSuperframe);
    return;
  }
  const state = packet.gsoSize() === 0 ? checksumState(packet) : CHECKSUM_NONE;
  if (state === CHECKSUM_PARTIAL) {
    completePartial(packet.transport(), checksumLength(packet), checksumField(packet.protocol()));
  }
  const sent = mayCoalesce(packet, state) ? coalesce(packet, port) : toPortAlone(packet, port);
  packet.setVerdict(sent ? Verdict.Forward : Verdict.BurstFull);
  if (sent) countPort(port, PORT_TX_PACKETS, ETHERNET_LEN + packet.ipLength());
}

/**
 * A peer whose interface offloads segmentation sends a superframe as one datagram, without
 * saying how to cut it: it is cut to what the receiver takes.
 */
function superframeToPort(packet: Packet, port: u32, mtu: u32, isSuperframe: bool): void {
  const headers = packet.payload() - packet.l3();
  if (!isSuperframe || headers >= mtu) {
    packet.setMtu(mtu);
    packet.setVerdict(Verdict.MtuExceeded);
    return;
  }
  if (packet.protocol() !== PROTOCOL_TCP) {
    packet.setVerdict(Verdict.Unsplittable);
    return;
  }
  const size = mtu - headers;
  let sent: bool;
  if (offloads & OFFLOAD_TSO) {
    sent = toPortGathered(
      packet,
      port,
      VNET_NEEDS_CSUM,
      packet.version() === 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6,
      size,
    );
  } else {
    coalesceClose();
    // The segments' Ethernet header is copied from the packet's own, which an IP tunnel does not give.
    const ether = headersAlloc(ETHERNET_LEN);
    sent = ether !== 0 && segmentToPort(packet, ether, size, port);
  }
  packet.setVerdict(sent ? Verdict.Forward : Verdict.BurstFull);
  if (sent) countPort(port, PORT_TX_PACKETS, ETHERNET_LEN + packet.ipLength());
}

function segmentToPort(packet: Packet, ether: usize, size: u32, port: u32): bool {
  etherWrite(ether, packet.version(), port);
  return segment(packet, size, 0, port, 1, ether);
}

/** Hands one packet to a TAP. */
function toPortAlone(packet: Packet, port: u32): bool {
  if (packet.ipLength() > MAX_COPIED) return toPortGathered(packet, port, 0, 0, 0);
  if (!transmitFits(1, 1)) return false;
  const bytes = packet.ipLength();
  const arena = headersAlloc(VNET_HEADER + ETHERNET_LEN + bytes);
  if (arena === 0) return false;
  Vnet.at(arena).clear();
  etherWrite(arena + VNET_HEADER, packet.version(), port);
  copyShort(arena + VNET_HEADER + ETHERNET_LEN, packet.ip(), bytes);
  coalesceClose();
  messagePush(messageToPort(port, 1, packet.hash()), arena, VNET_HEADER + ETHERNET_LEN + bytes);
  return true;
}

/** Hands a packet to a TAP without copying it: new headers, then the packet where it lies. */
function toPortGathered(packet: Packet, port: u32, flags: u32, gsoType: u32, size: u32): bool {
  if (!transmitFits(1, 2)) return false;
  const arena = headersAlloc(VNET_HEADER + ETHERNET_LEN);
  if (arena === 0) return false;
  const vnet = Vnet.at(arena);
  vnet.clear();
  if (gsoType !== 0) {
    const start = ETHERNET_LEN + packet.l4() - packet.l3();
    vnet.set(flags, gsoType, start + packet.payload() - packet.l4(), size, start, TCP_CHECKSUM);
  }
  etherWrite(arena + VNET_HEADER, packet.version(), port);
  coalesceClose();
  const message = messageToPort(port, 1, packet.hash());
  messagePush(message, arena, VNET_HEADER + ETHERNET_LEN);
  messagePush(message, packet.ip(), packet.ipLength());
  return true;
}
