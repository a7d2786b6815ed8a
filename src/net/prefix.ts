// Address blocks in CIDR notation (RFC 4632, RFC 4291 §2.3).
import { type Address, fromBytes, MAPPED_BITS, parseAddress } from './address.ts';

/** A block of addresses. Two blocks are equal when their `text` is. */
export interface Prefix {
  /** First address of the block. */
  readonly address: Address;
  /** Length as written, of 32 or of 128. */
  readonly length: number;
  /** Length counted from the first of the 128 bits: an IPv4 /24 is 120. */
  readonly bits: number;
  /** Canonical CIDR notation. */
  readonly text: string;
}

/** Reads CIDR notation; bits behind the prefix are cleared. Undefined when it is none. */
export function parsePrefix(text: string): Prefix | undefined {
  const [, addressText = '', lengthText = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseAddress(addressText);
  // An IPv4-mapped block would be IPv6 notation for an IPv4 one, and its length ambiguous.
  if (!address || (address.family === 4 && addressText.includes(':'))) return undefined;
  const length = Number(lengthText);
  if (length > (address.family === 4 ? 32 : 128)) return undefined;
  return prefixOf(address, length);
}

/** A block that the program itself wrote. */
export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed) throw new TypeError(`${text} is no CIDR block`);
  return parsed;
}

/** The block of the given length (of 32 or of 128) that holds an address. */
function prefixOf(address: Address, length: number): Prefix {
  const bits = address.family === 4 ? MAPPED_BITS + length : length;
  const bytes = address.bytes.map((byte, i) => byte & byteMask(bits - i * 8));
  const first: Address = address.family === 6 && bits < 128 ? ipv6(bytes) : fromBytes(bytes);
  return { address: first, length, bits, text: `${first.text}/${length}` };
}

/** The block of one address. */
export const single = (address: Address): Prefix => prefixOf(address, address.family === 4 ? 32 : 128);

/** Whether an address lies in a block of its own family. */
export function contains(block: Prefix, { family, bytes }: Address): boolean {
  if (block.address.family !== family) return false;
  const whole = block.bits >> 3;
  for (let i = 0; i < whole; i++) if (block.address.bytes[i] !== bytes[i]) return false;
  const mask = byteMask(block.bits & 7);
  return mask === 0 || (block.address.bytes[whole] ?? 0) === ((bytes[whole] ?? 0) & mask);
}

/** Whether one block lies wholly in another. */
export function covers(outer: Prefix, inner: Prefix): boolean {
  return outer.bits <= inner.bits && contains(outer, inner.address);
}

/** The address `n` steps behind the first one of a block, n < 2³². */
export function nth(block: Prefix, n: number): Address {
  const bytes = block.address.bytes.slice();
  const view = new DataView(bytes.buffer);
  view.setUint32(12, view.getUint32(12) + n);
  return fromBytes(bytes);
}

/** Mask of the first `bits` bits of a byte. */
function byteMask(bits: number): number {
  return bits <= 0 ? 0 : bits >= 8 ? 0xff : (0xff00 >> bits) & 0xff;
}

/** An IPv6 address even where the cleared bits make it look like another kind. */
function ipv6(bytes: Uint8Array): Address {
  const parsed = fromBytes(bytes);
  return parsed.family === 6 ? parsed : { ...parsed, family: 6, text: `::ffff:${parsed.text}` };
}
