/**
 * Tunnel encapsulation limit, RFC 2473 §4.1.1: how many tunnels a packet may still enter.
 *
 *     IPv6 │ options header: next │ length │ … 4 │ 1 │ limit … │ …
 *
 * A packet that carries the option passes it on, one less, in an options header of the outer
 * packet; at 0 it enters no further tunnel. Only IPv6 tunnels know it, and only IPv6 packets ask for it.
 */
import { PACKET_HAS_OPTIONS } from '../layout/packet';
import { TUNNEL_FAMILY, TUNNEL_IPIP, TUNNEL_KIND } from '../layout/tables';
import { Packet } from '../packet';
import { IPV6_LEN, Ipv6 } from '../wire/ipv6';
import { PROTOCOL_DESTINATION_OPTIONS, PROTOCOL_HOP_BY_HOP } from '../wire/protocol';

/** Bytes of an options header that holds nothing but the limit. */
const LIMIT_HEADER_LEN: u32 = 8;
const OPTION_PAD1: u32 = 0;
const OPTION_LIMIT: u32 = 4;

/** Limit that an inner packet came with and that outer headers carry on, one less; 0: none. */
let innerLimit: u32 = 0;

/** Says with which limit, from 1, the packet at hand came; 0: with none. */
export function setInnerLimit(limit: u32): void {
  innerLimit = limit;
}

/** Bytes that an outer header is longer by for its limit. */
export function limitLength(): u32 {
  return innerLimit === 0 ? 0 : LIMIT_HEADER_LEN;
}

/**
 * Offset of the limit's octet from the start of the IPv6 packet, for one that is about to enter this
 * tunnel; 0: it carries none, or the tunnel does not know limits.
 */
export function limitAt(packet: Packet, tunnel: usize): u32 {
  if (packet.version() !== 6 || !packet.has(PACKET_HAS_OPTIONS)) return 0;
  if (<u32>load<u8>(tunnel, TUNNEL_KIND) !== TUNNEL_IPIP || <u32>load<u8>(tunnel, TUNNEL_FAMILY) !== 6)
    return 0;
  const ip = packet.ip();
  let next = Ipv6.at(ip).nextHeader();
  let at = IPV6_LEN;
  const end = packet.l4() - packet.l3();
  while ((next === PROTOCOL_HOP_BY_HOP || next === PROTOCOL_DESTINATION_OPTIONS) && at + 8 <= end) {
    const bytes = (<u32>load<u8>(ip + at, 1) + 1) << 3;
    let option = at + 2;
    while (option + 2 < at + bytes && at + bytes <= end) {
      const type = <u32>load<u8>(ip + option);
      if (next === PROTOCOL_DESTINATION_OPTIONS && type === OPTION_LIMIT) return option + 2;
      option += type === OPTION_PAD1 ? 1 : <u32>load<u8>(ip + option, 1) + 2;
    }
    next = <u32>load<u8>(ip + at);
    at += bytes;
  }
  return 0;
}

/** Writes the options header behind an outer IPv6 header; `protocol` is what follows. */
export function limitWrite(at: usize, protocol: u32): void {
  store<u8>(at, <u8>protocol);
  store<u8>(at, 0, 1);
  store<u8>(at, <u8>OPTION_LIMIT, 2);
  store<u8>(at, 1, 3);
  store<u8>(at, <u8>(innerLimit - 1), 4);
  // PadN of three bytes.
  store<u16>(at, 0x0101, 5);
  store<u8>(at, 0, 7);
}
