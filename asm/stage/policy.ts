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
  FLOW_FLAG_FROM_NODE,
  FLOW_FLAGS,
  FLOW_JUDGED,
  FLOW_ORIGINATOR,
  FLOW_RESPONDER,
  FLOW_RPORT,
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
import { cidrFind, endpointFind, portRow } from '../table/snapshot';
import { Verdict } from '../verdict';
import { ICMP_FRAGMENTATION_NEEDED, ICMP_UNREACHABLE, ICMPV6_TOO_BIG, Icmp } from '../wire/icmp';
import { PROTOCOL_ICMP, PROTOCOL_SCTP, PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/protocol';
import { area, epoch } from '../worker';
import { quotedFlow } from './related';
import { quotedBehind } from './service-error';
import { trackDecided, trackDenied } from './track';

/** Policy cell of the last judgement. */
let cell: u32 = 0;

/** Judges a packet whose flow has not been judged under these tables; TO, ROUTE and TARGET are set. */
export function policy(packet: Packet): void {
  if (isPending(packet)) {
    packet.setVerdict(Verdict.PolicyPending);
    return;
  }
  const isError = packet.has(PACKET_IS_ICMP_ERROR);
  // Path MTU discovery must work under any policy; other errors belong to the connection they quote.
  if (isError && (isTooBig(packet) || isRelated(packet))) return;
  packet.setVerdict(judgement(packet));
  packet.setDecision(cell);
  if (!packet.isInProgress()) {
    // A connection that policy has cut stays cut in both directions for as long as it is remembered.
    trackDenied(packet, cell);
  } else if (!isError && !needsPorts(packet) && !trackDecided(packet, cell) && !isAnswerAdmitted(packet)) {
    packet.setVerdict(Verdict.ConnectionTableFull);
  }
}

/**
 * Whether an ICMP error speaks of a connection that is admitted under these tables. Its DECISION is then the
 * connection's, and DIRECTION that of a packet of the connection to the same receiver.
 */
function isRelated(packet: Packet): bool {
  const row = quotedFlow(packet);
  if (row === 0) return false;
  const quoted = Packet.at(row);
  if (!quotedBehind(quoted)) return false;
  const judged = load<u64>(quoted.flow(), FLOW_JUDGED);
  if (<u32>(judged >> 32) === (epoch ^ quoted.hash())) {
    cell = <u32>judged;
  } else {
    quoted.setFrom(endpointFind(area, quoted.source()));
    quoted.setTo(endpointFind(area, quoted.destination()));
    judgement(quoted);
  }
  if (!(cell & POLICY_CELL_ALLOW)) return false;
  packet.setDecision(cell);
  packet.setDirection(quoted.direction() ^ 1);
  return true;
}

/** The verdict on the connection that a packet belongs to or asks for, InProgress where it may be. */
function judgement(packet: Packet): Verdict {
  const forward = packet.direction() === DIRECTION_FORWARD;
  cell = 0;
  if (needsPorts(packet) && isIsolated(packet)) return Verdict.FragmentWithoutFirst;
  return forward
    ? judge(
        packet.from(),
        packet.to(),
        packet.source(),
        packet.destination(),
        packet.protocol(),
        packet.dport(),
        packet.has(PACKET_FROM_NODE),
      )
    : judge(
        packet.to(),
        packet.from(),
        // A reply's own ends are those that the client of a Service knows.
        packet.flow() + FLOW_ORIGINATOR,
        packet.flow() + FLOW_RESPONDER,
        packet.protocol(),
        <u32>load<u16>(packet.flow(), FLOW_RPORT),
        (<u32>load<u16>(packet.flow(), FLOW_FLAGS) & FLOW_FLAG_FROM_NODE) !== 0,
      );
}

/** Whether an answer that belongs to no flow would be admitted for itself. */
function isAnswerAdmitted(packet: Packet): bool {
  const fromNode = isOwnNode(packet.to());
  return (
    judge(
      packet.to(),
      packet.from(),
      packet.destination(),
      packet.source(),
      packet.protocol(),
      packet.sport(),
      fromNode,
    ) === Verdict.InProgress
  );
}

/** Egress of the originator, then ingress of the responder; either may be on another node. */
function judge(
  originator: usize,
  responder: usize,
  originatorAddress: usize,
  responderAddress: usize,
  protocol: u32,
  port: u32,
  fromNode: bool,
): Verdict {
  cell = POLICY_CELL_ALLOW;
  // What a pod and its own node say to each other no NetworkPolicy judges, and what a pod says to itself no policy.
  const egress = setOf(originator, egressTo(responder));
  const ingress = setOf(responder, PORT_INGRESS_SET);
  const isHairpin = isSamePort(originator, responder);
  if (egress !== 0 && !isHairpin) {
    cell = policyCell(egress, classOf(responder, responderAddress), protocol, port);
    if (!(cell & POLICY_CELL_ALLOW)) return Verdict.PolicyEgress;
  }
  if (ingress !== 0 && !isHairpin && !fromNode) {
    cell = policyCell(ingress, classOf(originator, originatorAddress), protocol, port);
    if (!(cell & POLICY_CELL_ALLOW)) return Verdict.PolicyIngress;
  }
  return Verdict.InProgress;
}

/** Whether policy has a say in what may pass this way. */
function isIsolated(packet: Packet): bool {
  const forward = packet.direction() === DIRECTION_FORWARD;
  const originator = forward ? packet.from() : packet.to();
  const responder = forward ? packet.to() : packet.from();
  return setOf(originator, egressTo(responder)) !== 0 || setOf(responder, PORT_INGRESS_SET) !== 0;
}

/** Which of a pod's sets judges what it sends there. */
function egressTo(responder: usize): u32 {
  return isOwnNode(responder) ? PORT_NODE_SET : PORT_EGRESS_SET;
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
