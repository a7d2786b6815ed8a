/**
 * Related: the connection that an ICMP error speaks of.
 *
 *     error: outer IP │ ICMP │ quoted IP │ first bytes of quoted transport │
 *                              └─ a packet that crossed here, from the error's receiver
 */
import { DIRECTION_FORWARD, DIRECTION_REVERSE, FLOW_DECISION } from '../layout/flows';
import { WORKER_PACKETS } from '../layout/memory';
import { PACKET_SCRATCH } from '../layout/packet';
import { POLICY_CELL_ALLOW } from '../layout/tables';
import { Packet } from '../packet';
import { flowFind } from '../table/flow';
import { copyAddress, isSameAddress, storeMapped } from '../wire/address';
import { IPV4_LEN, Ipv4 } from '../wire/ipv4';
import { IPV6_LEN, Ipv6 } from '../wire/ipv6';
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from '../wire/protocol';
import { base } from '../worker';
import { hashFlow } from './parse';

/**
 * Whether the packet quoted by an ICMP error was sent by the error's receiver, in a flow that was admitted. Its
 * DECISION is then the flow's, and DIRECTION that of a packet of the flow to the same receiver.
 */
export function quotedFlow(packet: Packet): bool {
  const quote = packet.data() + packet.payload();
  const bytes = packet.end() - packet.payload();
  const scratch = Packet.at(base + WORKER_PACKETS + PACKET_SCRATCH);
  let header: u32;
  if (packet.version() === 4) {
    if (bytes < IPV4_LEN + 4) return false;
    const ip = Ipv4.at(quote);
    header = ip.headerLength();
    if (ip.version() !== 4 || header < IPV4_LEN || header + 4 > bytes) return false;
    storeMapped(scratch.source(), ip.source());
    storeMapped(scratch.destination(), ip.destination());
    scratch.setProtocol(ip.protocol());
  } else {
    if (bytes < IPV6_LEN + 8) return false;
    const ip = Ipv6.at(quote);
    header = IPV6_LEN;
    if (ip.version() !== 6) return false;
    copyAddress(scratch.source(), ip.source());
    copyAddress(scratch.destination(), ip.destination());
    scratch.setProtocol(ip.nextHeader());
  }
  const transport = quote + header;
  if (scratch.protocol() === PROTOCOL_ICMP || scratch.protocol() === PROTOCOL_ICMPV6) {
    if (header + 8 > bytes) return false;
    const identifier = <u32>bswap<u16>(load<u16>(transport, 4));
    scratch.setPorts(identifier, identifier);
  } else {
    scratch.setPorts(<u32>bswap<u16>(load<u16>(transport)), <u32>bswap<u16>(load<u16>(transport, 2)));
  }
  scratch.setDirection(DIRECTION_FORWARD);
  hashFlow(scratch);
  flowFind(scratch);
  const flow = scratch.flow();
  if (flow === 0 || !isSameAddress(scratch.source(), packet.destination())) return false;
  const decision = load<u32>(flow, FLOW_DECISION);
  if (!(decision & POLICY_CELL_ALLOW)) return false;
  packet.setDecision(decision);
  packet.setDirection(scratch.direction() === DIRECTION_FORWARD ? DIRECTION_REVERSE : DIRECTION_FORWARD);
  return true;
}
