// Ethernet addresses.
import { createHash } from 'node:crypto';

/** Six bytes in wire order. */
export type Mac = Uint8Array;

/** Reads colon notation; undefined when it is none. */
export function parseMac(text: string): Mac | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return undefined;
  return Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16));
}

export function formatMac(mac: Mac): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** A locally administered unicast address (IEEE 802 §8.2) that every node derives alike from the same words. */
export function derivedMac(...names: string[]): Mac {
  const mac = new Uint8Array(createHash('sha256').update(names.join('\n')).digest()).slice(0, 6);
  mac[0] = ((mac[0] ?? 0) & 0xfc) | 0x02;
  return mac;
}
