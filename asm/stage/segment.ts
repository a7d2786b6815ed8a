/**
 * Segmentation: a TCP or UDP superframe becomes packets that fit, without copying payload.
 *
 *     superframe   │ headers │ payload ─────────────────────────────┐
 *                             │ gso size │ gso size │ … │ rest      │
 *     segment i    │ prefix │ headers, patched │ → slice i of it    a gather list of two
 *
 * The prefix is a tunnel's encapsulation, or an empty vnet header towards a TAP. IPv4
 * identification counts up, sequence numbers advance, FIN and PSH stay on the last segment
 * and CWR on the first (Linux net/ipv4/tcp_offload.c); every checksum is complete.
 */
import { OFFLOAD_UDP_SEGMENT, VNET_HEADER } from '../layout/memory';
import { STAT_SEGMENTS, TUNNEL_IPIP, TUNNEL_KIND } from '../layout/tables';
import { Packet } from '../packet';
import { countStat } from '../table/counters';
import { messagePush, messageToPort } from '../transmit/message';
import { pendingBegin, pendingDatagram, pendingPush, transmitFits } from '../transmit/pending';
import { complement, pseudoSum, sum, word } from '../wire/checksum';
import { copyShort } from '../wire/copy';
import { ETHERNET_LEN } from '../wire/ethernet';
import { Ipv4 } from '../wire/ipv4';
import { IPV6_LEN, Ipv6 } from '../wire/ipv6';
import { PROTOCOL_TCP } from '../wire/protocol';
import { TCP_CHECKSUM, TCP_CWR, TCP_FIN, TCP_PSH, Tcp } from '../wire/tcp';
import { UDP_CHECKSUM, UDP_LEN, Udp } from '../wire/udp';
import { Vnet } from '../wire/vnet';
import { headersAlloc, maxBatch, offloads } from '../worker';
import { outerTos } from './ecn';
import { encapLength, encapSlot, encapWrite } from './encap';

const MAX_MESSAGE_BYTES: u32 = 65000;

/**
 * Splits `packet` into segments of `size` bytes of payload.
 * @param tunnel tunnel row, or 0: towards the TAP of `index`
 * @param index tunnel number or port
 * @param ether Ethernet header of each segment towards a TAP
 * @returns false when the burst has no room for all of it; then nothing was sent
 */
export function segment(
  packet: Packet,
  size: u32,
  tunnel: usize,
  index: u32,
  frames: u32,
  ether: usize = 0,
): bool {
  const l3 = packet.l3();
  // Headers that every segment repeats: from the Ethernet header towards a TAP, from the IP header otherwise.
  const repeated = packet.payload() - l3;
  const prefix: u32 = tunnel !== 0 ? encapLength(tunnel) : VNET_HEADER + ETHERNET_LEN;
  const head = prefix + repeated;
  const stride = (head + 63) & ~63;
  const payload = packet.end() - packet.payload();
  const count: u32 = payload === 0 ? 1 : (payload + size - 1) / size;
  if (!transmitFits(count, count << 1)) return false;
  const arena = headersAlloc(count * stride);
  if (arena === 0) return false;

  const isTcp = packet.protocol() === PROTOCOL_TCP;
  const first = arena + prefix;
  copyShort(first, packet.ip(), repeated);
  const tos: u32 = tunnel !== 0 ? outerTos(tunnel, packet.tos()) : 0;
  const l4 = packet.l4() - l3;
  const version = packet.version();
  const transportHeader = repeated - l4;

  // Everything of the headers that is the same in all segments is summed once.
  let id: u32 = 0;
  let ipSum: u64 = 0;
  let pseudo: u64;
  if (version === 4) {
    const ip = Ipv4.at(first);
    id = ip.id();
    ip.setTotalLength(0);
    ip.setId(0);
    store<u16>(first, 0, 10);
    ipSum = sum(first, l4);
    pseudo = pseudoSum(first + 12, 8, packet.protocol(), 0);
  } else {
    pseudo = pseudoSum(first + 8, 32, packet.protocol(), 0);
  }
  const transport = first + l4;
  let sequence: u32 = 0;
  let flags: u32 = 0;
  let lastFlags: u32 = 0;
  if (isTcp) {
    const tcp = Tcp.at(transport);
    sequence = tcp.sequence();
    lastFlags = tcp.flags() & (TCP_FIN | TCP_PSH);
    flags = tcp.flags() & ~(TCP_FIN | TCP_PSH | TCP_CWR);
    const cwr = tcp.flags() & TCP_CWR;
    tcp.setSequence(0);
    tcp.setChecksum(0);
    tcp.setFlags(0);
    pseudo += sum(transport, transportHeader);
    tcp.setFlags(flags | cwr);
  } else {
    Udp.at(transport).setLength(0);
    Udp.at(transport).setChecksum(0);
    pseudo += sum(transport, UDP_LEN);
  }
  const firstFlags: u32 = isTcp ? Tcp.at(transport).flags() : 0;
  if (tunnel === 0) {
    Vnet.at(arena).clear();
    copyShort(arena + VNET_HEADER, ether, ETHERNET_LEN);
  } else {
    encapWrite(tunnel, first, repeated + min(size, payload), version, tos, packet.hash());
  }

  const isRaw = tunnel !== 0 && <u32>load<u8>(tunnel, TUNNEL_KIND) === TUNNEL_IPIP;
  const limit: u32 =
    isRaw || !(offloads & OFFLOAD_UDP_SEGMENT) ? 1 : min(maxBatch, max(1, MAX_MESSAGE_BYTES / (head + size)));
  const slot: u32 = tunnel !== 0 ? encapSlot(tunnel, packet.hash()) : index;
  let row: usize = 0;
  let inRow: u32 = 0;
  let from = packet.data() + packet.payload();
  let left = payload;
  for (let i: u32 = 0; i < count; i++) {
    const bytes = min(size, left);
    const isLast = i === count - 1;
    const at = arena + i * stride;
    if (i !== 0) copyShort(at, arena, head);
    const ip = at + prefix;
    const length = transportHeader + bytes;
    if (version === 4) {
      const total = l4 + length;
      Ipv4.at(ip).setTotalLength(total);
      Ipv4.at(ip).setId(id + i);
      store<u16>(ip, <u16>complement(ipSum + word(total) + word(id + i)), 10);
    } else {
      Ipv6.at(ip).setPayloadLength(l4 - IPV6_LEN + length);
    }
    const t = ip + l4;
    let s = pseudo + <u64>bswap<u32>(length) + sum(from, bytes);
    if (isTcp) {
      const tcp = Tcp.at(t);
      const own = (i === 0 ? firstFlags : flags) | (isLast ? lastFlags : 0);
      tcp.setFlags(own);
      tcp.setSequence(sequence);
      s += <u64>bswap<u32>(sequence) + ((<u64>own) << 8);
      store<u16>(t, <u16>complement(s), TCP_CHECKSUM);
      sequence += bytes;
    } else {
      Udp.at(t).setLength(length);
      const value = complement(s + word(length));
      store<u16>(t, <u16>(value === 0 ? 0xffff : value), UDP_CHECKSUM);
    }
    if (tunnel === 0) {
      const message = messageToPort(index, i === 0 ? frames : 0, packet.hash());
      messagePush(message, at, head);
      if (bytes !== 0) messagePush(message, from, bytes);
    } else {
      if (isRaw && i !== 0) encapWrite(tunnel, ip, repeated + bytes, version, tos, packet.hash());
      if (inRow === 0) row = pendingBegin(slot, tos, index, head + min(size, left), i === 0 ? frames : 0);
      pendingPush(row, at, head);
      if (bytes !== 0) pendingPush(row, from, bytes);
      pendingDatagram(row);
      inRow = inRow + 1 === limit ? 0 : inRow + 1;
    }
    from += bytes;
    left -= bytes;
  }
  countStat(STAT_SEGMENTS, count);
  return true;
}
