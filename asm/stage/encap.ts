/**
 * Encapsulation: a packet and its tunnel's header template become one datagram.
 *
 *     headroom … │ template │ Ethernet │ IP packet       VXLAN, GENEVE: behind a UDP socket
 *     headroom … │ template │ IP packet                  GENEVE with IP payload; IPIP: all of the outer header
 *                  └ copied, then patched: lengths, TOS, checksum, protocol
 */
import {
  TUNNEL_FAMILY,
  TUNNEL_FLAGS,
  TUNNEL_HEADER,
  TUNNEL_HEADER_LENGTH,
  TUNNEL_INNER_DESTINATION,
  TUNNEL_INNER_SOURCE,
  TUNNEL_IPIP,
  TUNNEL_IS_ETHERNET,
  TUNNEL_IS_GENEVE_IP,
  TUNNEL_KIND,
  TUNNEL_SLOT,
  TUNNEL_SLOTS,
} from '../layout/tables';
import { pendingSingle, transmitFits } from '../transmit/pending';
import { complement, word } from '../wire/checksum';
import { ETHERNET_LEN, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet } from '../wire/ethernet';
import { Geneve } from '../wire/geneve';
import { Ipv4 } from '../wire/ipv4';
import { IPV6_LEN, Ipv6 } from '../wire/ipv6';
import { PROTOCOL_DESTINATION_OPTIONS, PROTOCOL_IPIP, PROTOCOL_IPV6 } from '../wire/protocol';
import { outerTos } from './ecn';
import { limitLength, limitWrite } from './encapsulation-limit';

/** Most bytes of template, Ethernet header included, that can stand before an IP packet. */
export const ENCAP_HEADROOM: u32 = 112;

/** Whether packets through this tunnel carry an Ethernet header. */
export function isEthernetTunnel(tunnel: usize): bool {
  return (<u32>load<u16>(tunnel, TUNNEL_FLAGS) & TUNNEL_IS_ETHERNET) !== 0;
}

/** Bytes that stand before an IP packet in this tunnel. */
export function encapLength(tunnel: usize): u32 {
  return (
    <u32>load<u16>(tunnel, TUNNEL_HEADER_LENGTH) +
    (isEthernetTunnel(tunnel) ? ETHERNET_LEN : 0) +
    limitLength()
  );
}

/** Socket slot of a flow: its source port. */
export function encapSlot(tunnel: usize, hash: u32): u32 {
  return <u32>load<u16>(tunnel, TUNNEL_SLOT) + ((hash >> 16) & (<u32>load<u16>(tunnel, TUNNEL_SLOTS) - 1));
}

/**
 * Writes everything that stands before the IP packet at `ip`, encapLength() bytes.
 * @param bytes length of the IP packet
 * @returns where it begins
 */
export function encapWrite(tunnel: usize, ip: usize, bytes: u32, version: u32, tos: u32, hash: u32): usize {
  const header = <u32>load<u16>(tunnel, TUNNEL_HEADER_LENGTH);
  const flags = <u32>load<u16>(tunnel, TUNNEL_FLAGS);
  const etherType = version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
  let at = ip;
  if (flags & TUNNEL_IS_ETHERNET) {
    at -= ETHERNET_LEN;
    Ethernet.at(at).write(tunnel + TUNNEL_INNER_DESTINATION, tunnel + TUNNEL_INNER_SOURCE, etherType);
  }
  at -= header + limitLength();
  templateWrite(tunnel, at, header);
  if (flags & TUNNEL_IS_GENEVE_IP) Geneve.at(at).setProtocol(etherType);
  else if (<u32>load<u8>(tunnel, TUNNEL_KIND) === TUNNEL_IPIP)
    outerIpWrite(tunnel, at, header, bytes, version, tos, hash);
  return at;
}

/** Copies the template of `header` bytes; 8 bytes is by far the most usual length. */
function templateWrite(tunnel: usize, at: usize, header: u32): void {
  store<u64>(at, load<u64>(tunnel, TUNNEL_HEADER));
  for (let i: u32 = 8; i < header; i += 4) store<u32>(at + i, load<u32>(tunnel + i, TUNNEL_HEADER));
}

/** Patches an outer IP header copied from the template. */
function outerIpWrite(
  tunnel: usize,
  at: usize,
  header: u32,
  bytes: u32,
  version: u32,
  tos: u32,
  hash: u32,
): void {
  const protocol = version === 4 ? PROTOCOL_IPIP : PROTOCOL_IPV6;
  if (<u32>load<u8>(tunnel, TUNNEL_FAMILY) === 4) {
    const outer = Ipv4.at(at);
    const template = Ipv4.at(tunnel + TUNNEL_HEADER);
    const total = header + bytes;
    store<u8>(at, <u8>tos, 1);
    outer.setTotalLength(total);
    store<u8>(at, <u8>protocol, 9);
    // What was just written bytewise is slow to load in words: sum the template, and add what differs from it.
    const patched = ((tos - template.tos()) << 8) + (protocol << 8);
    store<u16>(at, <u16>complement(template.sum() + <u64>patched + word(total)), 10);
  } else {
    const outer = Ipv6.at(at);
    outer.setFirstWord(tos, hash);
    outer.setPayloadLength(header - IPV6_LEN + limitLength() + bytes);
    if (limitLength() === 0) {
      outer.setNextHeader(protocol);
    } else {
      outer.setNextHeader(PROTOCOL_DESTINATION_OPTIONS);
      limitWrite(at + header, protocol);
    }
  }
}

/**
 * Encapsulates the IP packet at `ip` as one datagram. ENCAP_HEADROOM bytes before it are free.
 * @param frames received frames whose fate it decides
 * @returns false when the burst has no room left
 */
export function encap(
  tunnel: usize,
  index: u32,
  ip: usize,
  bytes: u32,
  version: u32,
  tos: u32,
  hash: u32,
  frames: u32,
): bool {
  if (!transmitFits(1, 1)) return false;
  const outer = outerTos(tunnel, tos);
  const at = encapWrite(tunnel, ip, bytes, version, outer, hash);
  pendingSingle(encapSlot(tunnel, hash), outer, index, at, <u32>(ip - at) + bytes, frames);
  return true;
}

/** Sends an Ethernet frame that is no IP packet (an ARP reply) by an Ethernet tunnel. */
export function encapFrame(tunnel: usize, index: u32, frame: usize, bytes: u32, hash: u32): bool {
  if (!transmitFits(1, 1)) return false;
  const header = <u32>load<u16>(tunnel, TUNNEL_HEADER_LENGTH);
  templateWrite(tunnel, frame - header, header);
  pendingSingle(encapSlot(tunnel, hash), outerTos(tunnel, 0), index, frame - header, header + bytes, 0);
  return true;
}
