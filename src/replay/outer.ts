/**
 * Outer headers as a kernel puts them before what a UDP socket sends.
 *
 *     │ IPv4 20 or IPv6 40 │ UDP 8 │ payload │
 */
import type { Address } from '../net/address.ts';

const UDP = 17;
const DONT_FRAGMENT = 0x4000;

export interface OuterFields {
  readonly source: Address;
  readonly destination: Address;
  readonly sport: number;
  readonly dport: number;
  readonly tos: number;
  readonly ttl: number;
  /** UDP checksum. */
  readonly hasChecksum: boolean;
}

/** The datagram of a UDP socket as the IP packet that leaves the host. */
export function withOuterHeaders(payload: Uint8Array, fields: OuterFields): Buffer {
  const { source, destination, sport, dport } = fields;
  const length = 8 + payload.length;
  const ip = source.family === 4 ? ipv4Header(length, fields) : ipv6Header(length, fields);
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(sport, 0);
  udp.writeUInt16BE(dport, 2);
  udp.writeUInt16BE(length, 4);
  if (fields.hasChecksum) {
    const pseudo = Buffer.alloc(4);
    pseudo.writeUInt16BE(length, 0);
    pseudo.writeUInt16BE(UDP, 2);
    // Mapped addresses add ffff each, which is zero in one's complement (RFC 1071).
    const sum = onesComplementSum(source.bytes, destination.bytes, pseudo, udp, payload);
    udp.writeUInt16BE(~sum & 0xffff || 0xffff, 6);
  }
  return Buffer.concat([ip, udp, payload]);
}

function ipv4Header(length: number, { source, destination, tos, ttl }: OuterFields): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45, 0);
  header.writeUInt8(tos, 1);
  header.writeUInt16BE(20 + length, 2);
  header.writeUInt16BE(DONT_FRAGMENT, 6);
  header.writeUInt8(ttl, 8);
  header.writeUInt8(UDP, 9);
  header.set(source.bytes.subarray(12), 12);
  header.set(destination.bytes.subarray(12), 16);
  header.writeUInt16BE(~onesComplementSum(header) & 0xffff, 10);
  return header;
}

function ipv6Header(length: number, { source, destination, tos, ttl }: OuterFields): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32BE((0x60000000 | (tos << 20)) >>> 0, 0);
  header.writeUInt16BE(length, 4);
  header.writeUInt8(UDP, 6);
  header.writeUInt8(ttl, 7);
  header.set(source.bytes, 8);
  header.set(destination.bytes, 24);
  return header;
}

/** RFC 1071; every part but the last has an even length. */
function onesComplementSum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts)
    for (let i = 0; i < part.length; i += 2) sum += ((part[i] as number) << 8) | (part[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum >>> 16) + (sum & 0xffff);
  return sum;
}
