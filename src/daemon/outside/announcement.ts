/**
 * What a node tells its neighbours when an address has come to it: that they find it behind another MAC now.
 *
 *     IPv4   ARP announcement (RFC 5227 §2.3), as a request and as a reply: some take only one of the two
 *     IPv6   unsolicited neighbour advertisement that overrides (RFC 4861 §7.2.6)
 *
 *     0             6        12     14
 *     ├ destination ┼ source ┼ type ┼ ARP, or IPv6 and ICMPv6 …
 */
import type { Address } from '../../net/address.ts';
import { checksum } from '../../net/checksum.ts';
import type { Mac } from '../../net/mac.ts';
import { icmpv6PseudoHeader } from '../peers/echo.ts';

const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const ARP_REQUEST = 1;
const ARP_REPLY = 2;

/** All nodes of the link: ff02::1 and its MAC (RFC 4291 §2.7.1, RFC 2464 §7). */
const ALL_NODES: Address = {
  family: 6,
  text: 'ff02::1',
  bytes: Uint8Array.from([0xff, 0x02, ...Array(13).fill(0), 1]),
};
const ALL_NODES_MAC = [0x33, 0x33, 0, 0, 0, 1];

const NEXT_HEADER_ICMPV6 = 58;
const NEIGHBOR_ADVERTISEMENT = 136;
/** The sender routes (RFC 4861 §4.4), and what it says replaces what is known. */
const ROUTER_AND_OVERRIDE = 0xa0;
const OPTION_TARGET_LINK_LAYER = 2;

/** Ethernet frames without checksum. */
export const announcements = (address: Address, mac: Mac): Uint8Array[] =>
  address.family === 4
    ? [arp(ARP_REQUEST, address, mac), arp(ARP_REPLY, address, mac)]
    : [advertisement(address, mac)];

/** RFC 826: hardware 1, protocol 0x0800, lengths 6 and 4, operation; sender, target. */
function arp(operation: number, { bytes }: Address, mac: Mac): Uint8Array {
  const ip = bytes.subarray(12);
  const target = operation === ARP_REPLY ? mac : new Uint8Array(6);
  return Uint8Array.from([
    ...[...BROADCAST, ...mac, 0x08, 0x06],
    ...[0, 1, 0x08, 0, 6, 4, 0, operation],
    ...[...mac, ...ip, ...target, ...ip],
  ]);
}

function advertisement(address: Address, mac: Mac): Uint8Array {
  const message = Buffer.from([
    ...[NEIGHBOR_ADVERTISEMENT, 0, 0, 0, ROUTER_AND_OVERRIDE, 0, 0, 0],
    ...address.bytes,
    ...[OPTION_TARGET_LINK_LAYER, 1, ...mac],
  ]);
  message.writeUInt16BE(checksum([icmpv6PseudoHeader(address, ALL_NODES, message.length), message]), 2);
  return Uint8Array.from([
    ...[...ALL_NODES_MAC, ...mac, 0x86, 0xdd],
    ...[0x60, 0, 0, 0, 0, message.length, NEXT_HEADER_ICMPV6, 255],
    ...address.bytes,
    ...ALL_NODES.bytes,
    ...message,
  ]);
}
