// IP addresses of both families in one form: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
import { isIPv4, isIPv6 } from 'node:net';

/** An address, already validated. Two addresses are equal when their `text` is. */
export interface Address {
  readonly family: 4 | 6;
  /** Canonical: dotted quad, or RFC 5952. */
  readonly text: string;
  /** 16 bytes, network order. */
  readonly bytes: Uint8Array;
}

/** Number of leading bits of the 128 that every IPv4 address shares. */
export const MAPPED_BITS = 96;

/** Reads an address as it is written in a configuration or manifest; undefined when it is none. Zones are refused. */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return fromBytes(mapped(text));
  if (!isIPv6(text) || text.includes('%')) return undefined;
  return fromBytes(ipv6Bytes(text));
}

/** An address that the program itself wrote. */
export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (!parsed) throw new TypeError(`${text} is no IP address`);
  return parsed;
}

/** The address that 16 bytes in network order stand for; the bytes are kept, not copied. */
export function fromBytes(bytes: Uint8Array): Address {
  const family = isMapped(bytes) ? 4 : 6;
  return { family, bytes, text: family === 4 ? bytes.subarray(12).join('.') : formatIPv6(bytes) };
}

/** The same bytes as four words loaded little-endian, as the data path's table builder takes an address. */
export function words({ bytes }: Pick<Address, 'bytes'>): [number, number, number, number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  return [
    view.getUint32(0, true),
    view.getUint32(4, true),
    view.getUint32(8, true),
    view.getUint32(12, true),
  ];
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((byte) => byte === 0);
}

function mapped(text: string): Uint8Array {
  return Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...text.split('.').map(Number)]);
}

function ipv6Bytes(text: string): Uint8Array {
  const [head = '', tail] = text.split('::');
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = new Array<number>(8 - before.length - after.length).fill(0);
  const bytes = new Uint8Array(16);
  [...before, ...zeros, ...after].forEach((group, i) => {
    bytes[i * 2] = group >> 8;
    bytes[i * 2 + 1] = group & 0xff;
  });
  return bytes;
}

function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

/** RFC 5952 §4: lower case, no leading zeros, the first longest run of zero groups shortened. */
function formatIPv6(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const parts = Array.from({ length: 8 }, (_, i) => view.getUint16(i * 2));
  let start = -1;
  let length = 1;
  for (let from = 0; from < 8; from++) {
    let to = from;
    while (to < 8 && parts[to] === 0) to++;
    if (to - from > length) [start, length] = [from, to - from];
  }
  const hex = (list: number[]) => list.map((part) => part.toString(16)).join(':');
  return start < 0 ? hex(parts) : `${hex(parts.slice(0, start))}::${hex(parts.slice(start + length))}`;
}
