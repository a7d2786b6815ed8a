/**
 * ICMP and ICMPv6 echo packets for probes (RFC 792, RFC 4443 §4).
 *
 *     0      1      2          4            6          8
 *     ├ type ┼ code ┼ checksum ┼ identifier ┼ sequence ┼ zeros …
 */
import type { Address } from '../../net/address.ts';
import { checksum } from '../../net/checksum.ts';

const REQUEST = { 4: 8, 6: 128 };
const REPLY = { 4: 0, 6: 129 };
const PROTOCOL = { 4: 1, 6: 58 };
const TTL = 64;

/** Bytes of an ICMP echo header. */
const ECHO_HEADER = 8;
/** Bytes of an IP header without options. */
export const IP_HEADER = { 4: 20, 6: 40 } as const;

export interface Echo {
  readonly identifier: number;
  readonly sequence: number;
}

/** An echo request of `length` bytes, from its ICMP header on. */
export function echoRequest(
  source: Address,
  target: Address,
  { identifier, sequence }: Echo,
  length = ECHO_HEADER,
): Buffer {
  const packet = Buffer.alloc(length);
  packet.writeUInt8(REQUEST[target.family], 0);
  packet.writeUInt16BE(identifier, 4);
  packet.writeUInt16BE(sequence, 6);
  packet.writeUInt16BE(
    checksum(target.family === 4 ? [packet] : [icmpv6PseudoHeader(source, target, length), packet]),
    2,
  );
  return packet;
}

/** The same behind an IP header. */
export function echoRequestIp(source: Address, target: Address, echo: Echo): Buffer {
  const payload = echoRequest(source, target, echo);
  const header = Buffer.alloc(IP_HEADER[target.family]);
  if (target.family === 4) {
    header[0] = 0x45;
    header.writeUInt16BE(header.length + payload.length, 2);
    header[8] = TTL;
    header[9] = PROTOCOL[4];
    header.set(source.bytes.subarray(12), 12);
    header.set(target.bytes.subarray(12), 16);
    header.writeUInt16BE(checksum([header]), 10);
  } else {
    header[0] = 0x60;
    header.writeUInt16BE(payload.length, 4);
    header[6] = PROTOCOL[6];
    header[7] = TTL;
    header.set(source.bytes, 8);
    header.set(target.bytes, 24);
  }
  return Buffer.concat([header, payload]);
}

/** Reads an echo reply as a raw socket gives it: on IPv4 with its IP header. Undefined when it is none. */
export function readEchoReply(family: 4 | 6, packet: Buffer): Echo | undefined {
  const start = family === 4 ? ((packet[0] ?? 0) & 0x0f) * 4 : 0;
  if (packet.length < start + ECHO_HEADER || packet[start] !== REPLY[family]) return undefined;
  return { identifier: packet.readUInt16BE(start + 4), sequence: packet.readUInt16BE(start + 6) };
}

/** What an ICMPv6 checksum covers besides the message of `length` bytes (RFC 8200 §8.1). */
export function icmpv6PseudoHeader(source: Address, target: Address, length: number): Buffer {
  const header = Buffer.alloc(40);
  header.set(source.bytes, 0);
  header.set(target.bytes, 16);
  header.writeUInt32BE(length, 32);
  header[39] = PROTOCOL[6];
  return header;
}
