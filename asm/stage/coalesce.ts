/**
 * Coalescing: packets of one flow that came one by one leave for the TAP as one superframe.
 *
 *     packets      │ h₀ │ p₀ │   │ h₁ │ p₁ │   │ h₂ │ p₂ │
 *     superframe   │ vnet │ h₀, patched │ → p₀ │ → p₁ │ → p₂ │      a gather list
 *
 * One group is open at a time and a packet joins the last one only, so nothing is
 * reordered. What may join follows Linux' GRO (net/ipv4/tcp_offload.c): splitting the
 * superframe again must give the very packets that came in.
 *
 *     TCP   flags exactly ACK or ACK and PSH, payload, next in sequence, headers equal but for
 *           sequence, length, identification and checksum; a short segment or PSH ends the group
 *     UDP   checksum present, equal size, a shorter one ends the group
 */

import { TX_FRAMES } from '../layout/burst';
import { CHECKSUM_OK } from '../layout/decoded';
import { OFFLOAD_COALESCE, OFFLOAD_TSO, OFFLOAD_USO, VNET_HEADER } from '../layout/memory';
import { PACKET_HAS_OPTIONS, PACKET_IS_DF, PACKET_IS_FRAGMENT } from '../layout/packet';
import { STAT_COALESCED, STAT_COALESCED_PACKETS } from '../layout/tables';
import { Packet } from '../packet';
import { countStat } from '../table/counters';
import { messageGrow, messagePush, messages, messageToPort } from '../transmit/message';
import { transmitFits } from '../transmit/pending';
import { fold, pseudoSum } from '../wire/checksum';
import { copyShort } from '../wire/copy';
import { ETHERNET_LEN } from '../wire/ethernet';
import { IPV4_LEN, Ipv4 } from '../wire/ipv4';
import { Ipv6 } from '../wire/ipv6';
import { PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/protocol';
import { TCP_ACK, TCP_CHECKSUM, TCP_PSH, Tcp } from '../wire/tcp';
import { UDP_CHECKSUM, UDP_LEN, Udp } from '../wire/udp';
import { VNET_GSO_TCPV4, VNET_GSO_TCPV6, VNET_GSO_UDP_L4, VNET_NEEDS_CSUM, Vnet } from '../wire/vnet';
import { headersAlloc, maxBatch, offloads } from '../worker';
import { etherWrite } from './ether';

/** Most bytes of a superframe's IP packet. */
const MAX_SUPERFRAME: u32 = 65000;
/** Payloads up to this size are copied together; a gather entry costs more. */
const MAX_PACKED: u32 = 128;
/** Most gather entries of one write (UIO_MAXIOV), the headers' own counted in. */
const MAX_GATHER: u32 = 1000;

/** Protocol of the open group, 0: none is open. */
let protocol: u32 = 0;
let port: u32 = 0;
/** Message of the group, and how many there were when it was the last. */
let message: usize = 0;
let messageNumber: u32 = 0;
/** vnet header of the group; Ethernet, IP and transport header follow. */
let vnet: usize = 0;
/** Bytes of IP and transport header. */
let headerBytes: u32 = 0;
let ipBytes: u32 = 0;
let version: u32 = 0;
/** Payload of each packet but the last. */
let size: u32 = 0;
let count: u32 = 0;
let payloadBytes: u32 = 0;
let nextSequence: u32 = 0;
let isClosed: bool = false;
/** End of packed payloads, 0: gathered. */
let packed: usize = 0;
let packedEnd: usize = 0;

/** Whether the packet may open or join a group; its checksum has been looked at. */
export function mayCoalesce(packet: Packet, checksum: u32): bool {
  if (checksum !== CHECKSUM_OK || !(offloads & OFFLOAD_COALESCE)) return false;
  if (packet.has(PACKET_HAS_OPTIONS | PACKET_IS_FRAGMENT) || packet.end() === packet.payload()) return false;
  if (packet.protocol() === PROTOCOL_TCP)
    return (offloads & OFFLOAD_TSO) !== 0 && (packet.tcpFlags() & ~TCP_PSH) === TCP_ACK;
  return (
    packet.protocol() === PROTOCOL_UDP &&
    (offloads & OFFLOAD_USO) !== 0 &&
    Udp.at(packet.transport()).length() === packet.end() - packet.l4()
  );
}

/** Puts a packet that mayCoalesce() into the open group, or opens one. @returns false: no room */
export function coalesce(packet: Packet, target: u32): bool {
  if (joins(packet, target)) return join(packet);
  coalesceClose();
  return open(packet, target);
}

function joins(packet: Packet, target: u32): bool {
  if (protocol !== packet.protocol() || port !== target || isClosed || messages !== messageNumber)
    return false;
  const bytes = packet.end() - packet.payload();
  if (version !== packet.version() || headerBytes !== packet.payload() - packet.l3() || bytes > size)
    return false;
  if (headerBytes + payloadBytes + bytes > MAX_SUPERFRAME) return false;
  const ip = packet.ip();
  const head = vnet + VNET_HEADER + ETHERNET_LEN;
  if (version === 4) {
    // TOS, TTL, flags and addresses.
    if (
      load<u16>(ip) !== load<u16>(head) ||
      load<u8>(ip, 8) !== load<u8>(head, 8) ||
      load<u16>(ip, 6) !== load<u16>(head, 6)
    )
      return false;
    if (load<u64>(ip, 12) !== load<u64>(head, 12)) return false;
    // Without DF the identification matters, and splitting counts it up (RFC 6864 §4).
    if (!packet.has(PACKET_IS_DF) && Ipv4.at(ip).id() !== ((Ipv4.at(head).id() + count) & 0xffff))
      return false;
  } else {
    if (load<u32>(ip) !== load<u32>(head) || load<u8>(ip, 7) !== load<u8>(head, 7)) return false;
    const addresses = v128.or(
      v128.xor(v128.load(ip, 8), v128.load(head, 8)),
      v128.xor(v128.load(ip, 24), v128.load(head, 24)),
    );
    if (v128.any_true(addresses)) return false;
  }
  const t = ip + ipBytes;
  const h = head + ipBytes;
  if (load<u32>(t) !== load<u32>(h)) return false;
  if (protocol === PROTOCOL_UDP) return count < maxBatch;
  if (Tcp.at(t).sequence() !== nextSequence || load<u32>(t, 8) !== load<u32>(h, 8)) return false;
  // Data offset, flags and window; PSH may come with the last packet only. Then the options.
  if (
    ((load<u32>(t, 12) ^ load<u32>(h, 12)) & ~(TCP_PSH << 8)) !== 0 ||
    load<u16>(t, 18) !== load<u16>(h, 18)
  )
    return false;
  if (count + 1 >= MAX_GATHER) return false;
  const end = headerBytes - ipBytes;
  for (let i: u32 = 20; i < end; i += 4) if (load<u32>(t + i) !== load<u32>(h + i)) return false;
  return true;
}

function join(packet: Packet): bool {
  const bytes = packet.end() - packet.payload();
  const payload = packet.data() + packet.payload();
  if (packed !== 0) {
    copyShort(packed, payload, bytes);
    packed += bytes;
    messageGrow(message, bytes);
  } else {
    if (!transmitFits(0, 1)) return false;
    messagePush(message, payload, bytes);
  }
  count++;
  payloadBytes += bytes;
  if (bytes < size || (packed !== 0 && packed + size > packedEnd)) isClosed = true;
  store<u16>(message, load<u16>(message, TX_FRAMES) + 1, TX_FRAMES);
  if (protocol === PROTOCOL_TCP) {
    nextSequence += bytes;
    if (packet.tcpFlags() & TCP_PSH) {
      const tcp = Tcp.at(vnet + VNET_HEADER + ETHERNET_LEN + ipBytes);
      tcp.setFlags(tcp.flags() | TCP_PSH);
      isClosed = true;
    }
  }
  return true;
}

function open(packet: Packet, target: u32): bool {
  const bytes = packet.end() - packet.payload();
  const isPacked = packet.protocol() === PROTOCOL_UDP && bytes <= MAX_PACKED;
  headerBytes = packet.payload() - packet.l3();
  const room = VNET_HEADER + ETHERNET_LEN + headerBytes;
  if (!transmitFits(1, 2)) return false;
  const arena = headersAlloc(isPacked ? room + bytes * maxBatch : room);
  if (arena === 0) return false;
  vnet = arena;
  Vnet.at(vnet).clear();
  etherWrite(vnet + VNET_HEADER, packet.version(), target);
  copyShort(vnet + VNET_HEADER + ETHERNET_LEN, packet.ip(), headerBytes);
  message = messageToPort(target, 1, packet.hash());
  messageNumber = messages;
  if (isPacked) {
    copyShort(vnet + room, packet.data() + packet.payload(), bytes);
    packed = vnet + room + bytes;
    packedEnd = vnet + room + bytes * maxBatch;
    messagePush(message, vnet, room + bytes);
  } else {
    packed = 0;
    messagePush(message, vnet, room);
    messagePush(message, packet.data() + packet.payload(), bytes);
  }
  protocol = packet.protocol();
  port = target;
  version = packet.version();
  ipBytes = packet.l4() - packet.l3();
  size = bytes;
  count = 1;
  payloadBytes = bytes;
  isClosed = (packet.tcpFlags() & TCP_PSH) !== 0 || (isPacked && maxBatch === 1);
  if (protocol === PROTOCOL_TCP) nextSequence = Tcp.at(packet.transport()).sequence() + bytes;
  return true;
}

/** Finishes the open group: the headers of a superframe speak of all of it. */
export function coalesceClose(): void {
  if (protocol !== 0 && count > 1) {
    const ip = vnet + VNET_HEADER + ETHERNET_LEN;
    const transport = ip + ipBytes;
    const length = headerBytes - ipBytes + payloadBytes;
    let pseudo: u64;
    if (version === 4) {
      Ipv4.at(ip).setTotalLength(IPV4_LEN + length);
      Ipv4.at(ip).completeChecksum();
      pseudo = pseudoSum(ip + 12, 8, protocol, length);
    } else {
      Ipv6.at(ip).setPayloadLength(length);
      pseudo = pseudoSum(ip + 8, 32, protocol, length);
    }
    const start = ETHERNET_LEN + ipBytes;
    const header = Vnet.at(vnet);
    if (protocol === PROTOCOL_TCP) {
      Tcp.at(transport).setChecksum(fold(pseudo));
      header.set(
        VNET_NEEDS_CSUM,
        version === 4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6,
        ETHERNET_LEN + headerBytes,
        size,
        start,
        TCP_CHECKSUM,
      );
    } else {
      Udp.at(transport).setLength(length);
      Udp.at(transport).setChecksum(fold(pseudo));
      header.set(VNET_NEEDS_CSUM, VNET_GSO_UDP_L4, start + UDP_LEN, size, start, UDP_CHECKSUM);
    }
    countStat(STAT_COALESCED, 1);
    countStat(STAT_COALESCED_PACKETS, count);
  }
  protocol = 0;
}
