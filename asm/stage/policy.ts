/**
 * Policy: whether the connection that a packet belongs to may be.
 *
 *     originator ──► egress set of its port ──► ingress set of the responder's port ──► responder
 *
 * Each node judges its own pods: the sender's node what the originator may send, the
 * receiver's node what the responder may receive, one node both where both live there. A
 * reply is judged as the packet that it answers.
 */

import {
  DIRECTION_FORWARD,
  FLOW_DECISION,
  FLOW_EPOCH,
  FLOW_FLAG_FROM_NODE,
  FLOW_FLAGS,
} from '../layout/flows';
import { PACKET_FROM_NODE, PACKET_IS_ICMP_ERROR, PACKET_IS_LATER_FRAGMENT } from '../layout/packet';
import {
  ENDPOINT_FLAGS,
  ENDPOINT_IDENTITY,
  ENDPOINT_IS_NODE,
  ENDPOINT_PORT,
  NO_PORT,
  POLICY_CELL_ALLOW,
  PORT_EGRESS_SET,
  PORT_FLAGS,
  PORT_INGRESS_SET,
  PORT_IS_PENDING,
  PORT_KIND,
  PORT_NODE_SET,
  PORT_POD,
} from '../layout/tables';
import { Packet } from '../packet';
import { policyCell } from '../table/policy';
import { cidrFind, portRow } from '../table/snapshot';
import { Verdict } from '../verdict';
import { ICMP_FRAGMENTATION_NEEDED, ICMP_UNREACHABLE, ICMPV6_TOO_BIG, Icmp } from '../wire/icmp';
import { PROTOCOL_ICMP, PROTOCOL_SCTP, PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/protocol';
import { area, epoch } from '../worker';
import { quotedFlow } from './related';
import { trackDecided } from './track';

/** Judges a packet whose flow has not been judged under these tables; TO, ROUTE and TARGET are set. */
export function policy(packet: Packet): void {
  if (isPending(packet)) {
    packet.setVerdict(Verdict.PolicyPending);
    return;
  }
  if (packet.has(PACKET_IS_ICMP_ERROR)) {
    // Path MTU discovery must work under any policy; other errors belong to the connection they quote.
    if (!isTooBig(packet) && !quotedFlow(packet)) judge(packet, true);
    return;
  }
  judge(packet, false);
}

/** Egress of the originator, then ingress of the responder; either may be on another node. */
function judge(packet: Packet, untracked: bool): void {
  const forward = packet.direction() === DIRECTION_FORWARD;
  const flow = packet.flow();
  const fromNode =
    flow === 0 || forward
      ? packet.has(PACKET_FROM_NODE)
      : (load<u16>(flow, FLOW_FLAGS) & FLOW_FLAG_FROM_NODE) !== 0;
  const originator = forward ? packet.from() : packet.to();
  const responder = forward ? packet.to() : packet.from();
  const originatorAddress = forward ? packet.source() : packet.destination();
  const responderAddress = forward ? packet.destination() : packet.source();
  const port = forward ? packet.dport() : packet.sport();
  const protocol = packet.protocol();
  let cell: u32 = POLICY_CELL_ALLOW;
  // What a pod and its own node say to each other no NetworkPolicy judges, and what a pod says to itself no policy.
  const egress = setOf(originator, isOwnNode(responder) ? PORT_NODE_SET : PORT_EGRESS_SET);
  const ingress = setOf(responder, PORT_INGRESS_SET);
  if ((egress !== 0 || ingress !== 0) && needsPorts(packet)) {
    packet.setVerdict(Verdict.FragmentWithoutFirst);
    return;
  }
  const isHairpin = isSamePort(originator, responder);
  if (egress !== 0 && !isHairpin) {
    cell = policyCell(egress, classOf(responder, responderAddress), protocol, port);
    if (!(cell & POLICY_CELL_ALLOW)) packet.setVerdict(Verdict.PolicyEgress);
  }
  if (packet.isInProgress() && ingress !== 0 && !isHairpin && !fromNode) {
    cell = policyCell(ingress, classOf(originator, originatorAddress), protocol, port);
    if (!(cell & POLICY_CELL_ALLOW)) packet.setVerdict(Verdict.PolicyIngress);
  }
  packet.setDecision(cell);
  if (packet.isInProgress()) {
    if (!untracked && !needsPorts(packet)) trackDecided(packet, cell);
    return;
  }
  // A connection that policy has cut stays cut in both directions for as long as it is remembered.
  if (flow !== 0) {
    store<u32>(flow, cell, FLOW_DECISION);
    store<u32>(flow, epoch, FLOW_EPOCH);
  }
}

/** A later fragment whose first one was not seen: its ports are not known. */
function needsPorts(packet: Packet): bool {
  if (!packet.has(PACKET_IS_LATER_FRAGMENT) || packet.ports() !== 0) return false;
  const protocol = packet.protocol();
  return protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP || protocol === PROTOCOL_SCTP;
}

/** Policy set of a local pod, 0: no policy applies to it there, or it is not of this node. */
function setOf(endpoint: usize, direction: u32): usize {
  if (endpoint === 0) return 0;
  const row = portRow(area, <u32>load<u16>(endpoint, ENDPOINT_PORT));
  return row === 0 || <u32>load<u8>(row, PORT_KIND) !== PORT_POD ? 0 : <usize>load<u32>(row + direction);
}

/** Both ends are the same port of this node. */
function isSamePort(a: usize, b: usize): bool {
  if (a === 0 || b === 0) return false;
  const port = <u32>load<u16>(a, ENDPOINT_PORT);
  return port !== NO_PORT && port === <u32>load<u16>(b, ENDPOINT_PORT);
}

function isOwnNode(endpoint: usize): bool {
  return (
    endpoint !== 0 &&
    (load<u16>(endpoint, ENDPOINT_FLAGS) & ENDPOINT_IS_NODE) !== 0 &&
    <u32>load<u16>(endpoint, ENDPOINT_PORT) !== NO_PORT
  );
}

/** Policy class of an address: its pod's identity, or the class of the blocks around it. */
function classOf(endpoint: usize, address: usize): u32 {
  if (endpoint !== 0 && !(load<u16>(endpoint, ENDPOINT_FLAGS) & ENDPOINT_IS_NODE))
    return load<u32>(endpoint, ENDPOINT_IDENTITY);
  return cidrFind(area, address);
}

/** Either end is a pod here whose policies are not known yet. */
function isPending(packet: Packet): bool {
  return isPendingEnd(packet.from()) || isPendingEnd(packet.to());
}

function isPendingEnd(endpoint: usize): bool {
  if (endpoint === 0) return false;
  const row = portRow(area, <u32>load<u16>(endpoint, ENDPOINT_PORT));
  return row !== 0 && (<u32>load<u8>(row, PORT_FLAGS) & PORT_IS_PENDING) !== 0;
}

function isTooBig(packet: Packet): bool {
  const icmp = Icmp.at(packet.transport());
  return packet.protocol() === PROTOCOL_ICMP
    ? icmp.type() === ICMP_UNREACHABLE && icmp.code() === ICMP_FRAGMENTATION_NEEDED
    : icmp.type() === ICMPV6_TOO_BIG;
}
