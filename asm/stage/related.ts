/**
 * Related: the connection that an ICMP error speaks of.
 *
 *     error: outer IP │ ICMP │ quoted IP │ first bytes of quoted transport │
 *                              └─ a packet that crossed here, from the error's receiver
 */
import { DIRECTION_FORWARD, FLOW_FLAG_FROM_NODE, FLOW_FLAGS } from '../layout/flows';
import { WORKER_PACKETS } from '../layout/memory';
import { PACKET_FROM_NODE, PACKET_HAS_PORTS, PACKET_SCRATCH } from '../layout/packet';
import { Packet } from '../packet';
import { flowFind } from '../table/flow';
import { copyAddress, isSameAddress, storeMapped } from '../wire/address';
import { Icmp } from '../wire/icmp';
import { IPV4_LEN, Ipv4 } from '../wire/ipv4';
import { IPV6_LEN, Ipv6 } from '../wire/ipv6';
import {
  PROTOCOL_DESTINATION_OPTIONS,
  PROTOCOL_FRAGMENT,
  PROTOCOL_HOP_BY_HOP,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_ROUTING,
} from '../wire/protocol';
import { base } from '../worker';
import { hashFlow, isEcho } from './parse';

/** Extension headers of a quoted IPv6 packet that are walked over. */
const MAX_EXTENSIONS: u32 = 4;

/**
 * Finds the flow that an ICMP error speaks of, where the packet that it quotes was sent by the error's receiver.
 * @returns the scratch row with where the quoted packet lies, its addresses, ports, FLOW, DIRECTION and, of its
 * flags, PACKET_FROM_NODE and PACKET_HAS_PORTS; 0 where there is no such flow
 */
export function quotedFlow(packet: Packet): usize {
  const quote = packet.data() + packet.payload();
  const bytes = packet.end() - packet.payload();
  const row = base + WORKER_PACKETS + PACKET_SCRATCH;
  const scratch = Packet.at(row);
  const header: u32 =
    packet.version() === 4 ? quotedIpv4(scratch, quote, bytes) : quotedIpv6(scratch, quote, bytes);
  // At least eight bytes of it are quoted (RFC 792, RFC 4443 §2.4).
  if (header === 0 || header + 8 > bytes) return 0;
  const transport = quote + header;
  scratch.setData(quote);
  scratch.setLength(bytes);
  scratch.setL3(0);
  scratch.setL4(header);
  scratch.setVersion(packet.version());
  const protocol = scratch.protocol();
  if (protocol === (packet.version() === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6)) {
    if (!isEcho(protocol, Icmp.at(transport).type())) return 0;
    const identifier = Icmp.at(transport).identifier();
    scratch.setPorts(identifier, identifier);
    scratch.setFlags(0);
  } else {
    scratch.setPorts(<u32>bswap<u16>(load<u16>(transport)), <u32>bswap<u16>(load<u16>(transport, 2)));
    scratch.setFlags(PACKET_HAS_PORTS);
  }
  hashFlow(scratch);
  const flow = flowFind(scratch);
  if (flow === 0 || !isSameAddress(scratch.source(), packet.destination())) return 0;
  const isOwn =
    scratch.direction() === DIRECTION_FORWARD &&
    (<u32>load<u16>(flow, FLOW_FLAGS) & FLOW_FLAG_FROM_NODE) !== 0;
  if (isOwn) scratch.addFlags(PACKET_FROM_NODE);
  return row;
}

/** @returns bytes before the transport header, 0 where the quote has none */
function quotedIpv4(scratch: Packet, quote: usize, bytes: u32): u32 {
  if (bytes < IPV4_LEN) return 0;
  const ip = Ipv4.at(quote);
  const header = ip.headerLength();
  // Behind a later fragment's header stand no ports.
  if (ip.version() !== 4 || header < IPV4_LEN || ip.fragmentOffset() !== 0) return 0;
  storeMapped(scratch.source(), ip.source());
  storeMapped(scratch.destination(), ip.destination());
  scratch.setProtocol(ip.protocol());
  scratch.setEnd(ip.totalLength());
  return header;
}

/** @returns bytes before the transport header, 0 where the quote has none */
function quotedIpv6(scratch: Packet, quote: usize, bytes: u32): u32 {
  if (bytes < IPV6_LEN) return 0;
  const ip = Ipv6.at(quote);
  if (ip.version() !== 6) return 0;
  copyAddress(scratch.source(), ip.source());
  copyAddress(scratch.destination(), ip.destination());
  let header = IPV6_LEN;
  let next = ip.nextHeader();
  for (let i: u32 = 0; i < MAX_EXTENSIONS; i++) {
    const isFragment = next === PROTOCOL_FRAGMENT;
    if (
      !isFragment &&
      next !== PROTOCOL_HOP_BY_HOP &&
      next !== PROTOCOL_ROUTING &&
      next !== PROTOCOL_DESTINATION_OPTIONS
    )
      break;
    if (header + 8 > bytes) return 0;
    const extension = quote + header;
    if (isFragment && (bswap<u16>(load<u16>(extension, 2)) & 0xfff8) !== 0) return 0;
    next = <u32>load<u8>(extension);
    header += isFragment ? 8 : (<u32>load<u8>(extension, 1) + 1) << 3;
  }
  scratch.setProtocol(next);
  scratch.setEnd(IPV6_LEN + ip.payloadLength());
  return header;
}
