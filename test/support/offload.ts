// What a kernel does with a frame from a TAP, in plain TypeScript: splits superframes (Linux net/ipv4/tcp_offload.c,
// udp_offload.c), completes checksums, reassembles fragments. An oracle: shares nothing with asm/.

import { fromBytes } from '../../src/net/address.ts';
import {
  be,
  CWR,
  checksum,
  concat,
  FIN,
  isIpv4,
  number,
  PSH,
  pseudoHeader,
  withHeaderChecksum,
} from './packets.ts';

const NEEDS_CSUM = 1;
const GSO_NONE = 0;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
const GSO_UDP_L4 = 5;

interface Parsed {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  /** Offset of the transport header. */
  readonly l4: number;
  /** Offset of the payload. */
  readonly payload: number;
  /** Bytes of the IP packet; padding lies behind. */
  readonly total: number;
}

const text = (bytes: Uint8Array): string =>
  fromBytes(bytes.length === 4 ? concat(be(0, 10), be(0xffff, 2), bytes) : bytes.slice()).text;

/** Hop-by-hop, routing and destination options, RFC 8200 §4. */
const extensions = [0, 43, 60];

/** Where the headers of a packet are. */
export function parsed(packet: Uint8Array): Parsed {
  const isV4 = (packet[0] as number) >> 4 === 4;
  let l4 = isV4 ? ((packet[0] as number) & 15) * 4 : 40;
  let protocol = packet[isV4 ? 9 : 6] as number;
  while (!isV4 && extensions.includes(protocol)) {
    protocol = packet[l4] as number;
    l4 += ((packet[l4 + 1] as number) + 1) * 8;
  }
  const header = protocol === 6 ? ((packet[l4 + 12] as number) >> 4) * 4 : protocol === 17 ? 8 : 0;
  return {
    src: text(isV4 ? packet.subarray(12, 16) : packet.subarray(8, 24)),
    dst: text(isV4 ? packet.subarray(16, 20) : packet.subarray(24, 40)),
    protocol,
    l4,
    payload: l4 + header,
    total: isV4 ? number(packet, 2, 2) : 40 + number(packet, 4, 2),
  };
}

/** Whether every checksum of a TCP or UDP packet is right; UDP may have none over IPv4. */
export function isIntact(packet: Uint8Array): boolean {
  const { src, dst, protocol, l4, total } = parsed(packet);
  if (isIpv4(dst) && checksum(packet.subarray(0, l4)) !== 0) return false;
  const transport = packet.subarray(l4, total);
  if (protocol === 17 && number(transport, 6, 2) === 0) return true;
  return checksum(concat(pseudoHeader(src, dst, protocol, transport.length), transport)) === 0;
}

/** The IP packets that a frame from a TAP (vnet header first) stands for, every checksum complete. */
export function packetsOf(frame: Uint8Array): Uint8Array[] {
  const flags = frame[0] as number;
  const gsoType = (frame[1] as number) & 0x7f;
  const gsoSize = number(frame.slice(4, 6).reverse(), 0, 2);
  const start = number(frame.slice(6, 8).reverse(), 0, 2);
  const offset = number(frame.slice(8, 10).reverse(), 0, 2);
  const ethernet = frame.subarray(12);
  const packet = ethernet.slice(14);
  if (gsoType === GSO_NONE) {
    if (!(flags & NEEDS_CSUM)) return [packet];
    const { protocol } = parsed(packet);
    const from = start - 14;
    const value = checksum(packet.subarray(from));
    packet.set(be(value === 0 && protocol === 17 ? 0xffff : value, 2), from + offset);
    return [packet];
  }
  if (!(flags & NEEDS_CSUM)) throw new Error('a superframe without an open checksum');
  const { protocol, l4 } = parsed(packet);
  const isRight =
    (gsoType === GSO_TCPV4 && protocol === 6 && (packet[0] as number) >> 4 === 4) ||
    (gsoType === GSO_TCPV6 && protocol === 6 && (packet[0] as number) >> 4 === 6) ||
    (gsoType === GSO_UDP_L4 && protocol === 17);
  if (!isRight || start !== 14 + l4 || offset !== (protocol === 6 ? 16 : 6)) {
    throw new Error(`vnet header: type ${gsoType} start ${start} offset ${offset} for protocol ${protocol}`);
  }
  return split(packet, gsoSize);
}

/** Splits a TCP or UDP superframe into packets of `size` bytes of payload. */
export function split(packet: Uint8Array, size: number): Uint8Array[] {
  const { src, dst, protocol, l4, payload, total } = parsed(packet);
  if (total !== packet.length) throw new Error(`${packet.length} bytes hold a packet of ${total}`);
  const body = packet.subarray(payload);
  const count = Math.max(1, Math.ceil(body.length / size));
  return Array.from({ length: count }, (_, i) => {
    const slice = body.subarray(i * size, (i + 1) * size);
    const isLast = i === count - 1;
    const segment = concat(packet.subarray(0, payload), slice);
    if (isIpv4(dst)) {
      segment.set(be(segment.length, 2), 2);
      segment.set(be((number(packet, 4, 2) + i) % 0x10000, 2), 4);
      withHeaderChecksum(segment);
    } else {
      segment.set(be(segment.length - 40, 2), 4);
    }
    const field = protocol === 6 ? 16 : 6;
    if (protocol === 6) {
      segment.set(be((number(packet, l4 + 4, 4) + i * size) % 2 ** 32, 4), l4 + 4);
      let flags = packet[l4 + 13] as number;
      if (!isLast) flags &= ~(FIN | PSH);
      if (i > 0) flags &= ~CWR;
      segment[l4 + 13] = flags;
    } else {
      segment.set(be(segment.length - l4, 2), l4 + 4);
    }
    segment.set([0, 0], l4 + field);
    const transport = segment.subarray(l4);
    const value = checksum(concat(pseudoHeader(src, dst, protocol, transport.length), transport));
    segment.set(be(value === 0 && protocol === 17 ? 0xffff : value, 2), l4 + field);
    return segment;
  });
}

/** The IPv4 packet whose fragments these are, RFC 791 §3.2. */
export function reassembled(fragments: readonly Uint8Array[]): Uint8Array {
  const first = fragments[0] as Uint8Array;
  const header = ((first[0] as number) & 15) * 4;
  const parts = fragments
    .map((fragment) => ({
      offset: (number(fragment, 6, 2) & 0x1fff) * 8,
      more: (number(fragment, 6, 2) & 0x2000) !== 0,
      body: fragment.subarray(header, number(fragment, 2, 2)),
    }))
    .sort((a, b) => a.offset - b.offset);
  let at = parts[0]?.offset ?? 0;
  for (const [i, { offset, more, body }] of parts.entries()) {
    if (offset !== at) throw new Error(`a fragment begins at ${offset}, the one before ends at ${at}`);
    if (more !== i < parts.length - 1)
      throw new Error(`more fragments: ${more} in ${i + 1} of ${parts.length}`);
    at += body.length;
  }
  const packet = concat(first.subarray(0, header), ...parts.map(({ body }) => body));
  packet.set(be(packet.length, 2), 2);
  packet.set(be(number(packet, 6, 2) & 0xc000, 2), 6);
  return withHeaderChecksum(packet);
}
