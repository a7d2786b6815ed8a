// Names as lists of labels, and addresses in names.
import { type Address, fromBytes, parseAddress } from '../net/address.ts';
import type { Prefix } from '../net/prefix.ts';

/** Labels from left to right, without the root. */
export type Labels = readonly string[];

/** Of a name that people have written; a dot at its end is left out. */
export const labelsOf = (name: string): Labels => name.replace(/\.$/, '').split('.').filter(Boolean);

/** ASCII only: other bytes are what they are (RFC 4343 §3). */
export const lowerCase = (text: string): string =>
  /[A-Z]/.test(text) ? text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : text;

export const endsWith = (labels: Labels, suffix: Labels): boolean =>
  labels.length >= suffix.length &&
  suffix.every((label, i) => labels[labels.length - suffix.length + i] === label);

/** How an address is written in a label, as an endpoint without a hostname has it and as `pod` names do. */
export const dashed = ({ text }: Address): string => text.replace(/[.:]/g, '-');

/** Reads `10-244-1-5` or `fd00-244-1--5`; undefined when it is none. */
export const parseDashed = (label: string): Address | undefined =>
  parseAddress(label.replaceAll('-', '.')) ?? parseAddress(label.replaceAll('-', ':'));

/** Part of an address that a reverse name stands for, its first `bits` of 128 bits; IPv4 begins at bit 96. */
export interface Reverse {
  readonly address: Address;
  readonly bits: number;
}

/** Reads a name below in-addr.arpa (RFC 1035 §3.5) or ip6.arpa (RFC 3596 §2.5), lower case; undefined when it is none. */
export function parseReverse(labels: Labels): Reverse | undefined {
  const parts = labels.slice(0, -2).reverse();
  if (labels.at(-1) !== 'arpa') return undefined;
  if (labels.at(-2) === 'in-addr') {
    if (parts.length > 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
      return undefined;
    const bytes = new Uint8Array(16);
    bytes.fill(0xff, 10, 12);
    parts.forEach((part, i) => {
      bytes[12 + i] = Number(part);
    });
    return { address: { ...fromBytes(bytes), family: 4 }, bits: 96 + parts.length * 8 };
  }
  if (labels.at(-2) !== 'ip6' || parts.length > 32 || !parts.every((part) => /^[0-9a-f]$/.test(part)))
    return undefined;
  const bytes = new Uint8Array(16);
  parts.forEach((part, i) => {
    bytes[i >> 1] = (bytes[i >> 1] ?? 0) | (Number.parseInt(part, 16) << (i & 1 ? 0 : 4));
  });
  return { address: fromBytes(bytes), bits: parts.length * 4 };
}

/**
 * Labels of the reverse zone of a block that an address lies in: of the block itself where it ends at a label, otherwise
 * of one of those that it is cut into (RFC 2317 §2).
 */
export function reverseZone({ bits, address: { family } }: Prefix, { bytes }: Address): Labels {
  if (family === 4) {
    const octets = Math.ceil((bits - 96) / 8);
    return [...[...bytes.subarray(12, 12 + octets)].reverse().map(String), 'in-addr', 'arpa'];
  }
  const nibbles = [...bytes].flatMap((byte) => [byte >> 4, byte & 15]).slice(0, Math.ceil(bits / 4));
  return [...nibbles.reverse().map((nibble) => nibble.toString(16)), 'ip6', 'arpa'];
}
