/**
 * Connection tracking: the flow of a packet, and what it already decided.
 *
 * A packet of a flow that was decided under the present tables needs no more than this:
 * its way out stands in the flow.
 *
 * Only what asks for a connection opens one, and is judged for itself even where the ports are
 * those of a connection that the other side opened: a SYN, an INIT, an echo request is nobody's
 * reply. Any other packet without a flow is judged as if it asked, and leaves nothing behind
 * that its answer could pass by. The exception is a connection older than its entry: a segment
 * from its middle takes it up again where policy would let the sender open it, and where the
 * ports show that it did.
 */

import {
  DIRECTION_FORWARD,
  DIRECTION_REVERSE,
  FLOW_BYTES_FORWARD,
  FLOW_IS_CLOSED,
  FLOW_IS_ESTABLISHED,
  FLOW_IS_NEW,
  FLOW_JUDGED,
  FLOW_PACKETS_FORWARD,
  FLOW_PATH_FORWARD,
  FLOW_SEEN,
  FLOW_STATE,
} from '../layout/flows';
import {
  PACKET_IS_ALONE,
  PACKET_IS_FOR_SERVICE,
  PACKET_IS_FRAGMENT,
  PACKET_IS_ICMP_ERROR,
  PACKET_IS_LATER_FRAGMENT,
  PACKET_SIZE,
} from '../layout/packet';
import { STAT_FLOW_HITS } from '../layout/tables';
import { Packet } from '../packet';
import { countStat } from '../table/counters';
import { eventClosed, eventOpened } from '../table/events';
import { firstFragmentFind, firstFragmentPut } from '../table/first-fragment';
import {
  flowClaim,
  flowFind,
  flowPrefetch,
  flowPrefetchBehind,
  flowPrefetchTags,
  flowPublish,
  flowStart,
  flowsAreMany,
  isExpired,
  isForward,
  isTranslated,
  translationOf,
} from '../table/flow';
import { Verdict } from '../verdict';
import { ICMP_ECHO, ICMPV6_ECHO, Icmp } from '../wire/icmp';
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_SCTP, PROTOCOL_TCP } from '../wire/protocol';
import { TCP_LEN } from '../wire/tcp';
import { epoch, isLogging, now } from '../worker';
import { hashFlow, isEcho } from './parse';
import { mayBeForService, service } from './service';
import { serviceError } from './service-error';
import { serviceFront, serviceStart } from './service-flow';
import { isSctpInit, isSctpMiddle, isSctpPossible, sctpSeen, sctpStart } from './track-sctp';
import { isFromClient, isTcpMiddle, isTcpPossible, isTcpSyn, tcpSeen, tcpStart } from './track-tcp';
import { translateReply } from './translate';

/** Has at hand what `track` will look at, for a whole vector of parsed packets, where that is not in a cache anyway. */
export function prefetchFlows(first: usize, end: usize): void {
  if (!flowsAreMany()) return;
  for (let p = first; p < end; p += PACKET_SIZE) flowPrefetchTags(Packet.at(p));
  for (let p = first; p < end; p += PACKET_SIZE) flowPrefetch(Packet.at(p));
  for (let p = first; p < end; p += PACKET_SIZE) flowPrefetchBehind(Packet.at(p));
}

/** Finds the packet's flow. Where that is settled under the present tables, sets ROUTE and TARGET, too. */
export function track(packet: Packet): void {
  packet.setUndecided();
  packet.setDirection(DIRECTION_FORWARD);
  const protocol = packet.protocol();
  let asks: bool = false;
  if (packet.has(PACKET_IS_FRAGMENT) && !trackFragment(packet)) return;
  if (!packet.has(PACKET_IS_LATER_FRAGMENT)) {
    if (protocol === PROTOCOL_TCP) {
      asks = isTcpSyn(packet.tcpFlags());
      if (!isTcpPossible(packet.tcpFlags())) packet.setVerdict(Verdict.ConnectionInvalid);
    } else if (protocol === PROTOCOL_SCTP) {
      asks = isSctpInit(packet);
      if (!isSctpPossible(packet)) packet.setVerdict(Verdict.ConnectionInvalid);
    } else if (isIcmp(packet)) {
      // Only echoes make connections; an error belongs to the one that it quotes.
      const type = Icmp.at(packet.transport()).type();
      packet.setFlow(0);
      if (packet.has(PACKET_IS_ICMP_ERROR)) serviceError(packet);
      if (!isEcho(protocol, type)) return;
      asks = isEchoRequest(type);
    }
    if (!packet.isInProgress()) return;
  }
  flowFind(packet);
  if (mayBeForService(packet, packet.flow(), asks)) {
    service(packet, packet.flow(), asks);
    if (!packet.isInProgress()) return;
  }
  const flow = packet.flow();
  if (flow === 0) return;
  const direction = packet.direction();
  // A pod asks by echo again and again, and for a connection once.
  if (isExpired(flow) || (asks && (direction === DIRECTION_REVERSE || !isIcmp(packet)))) {
    packet.addFlags(PACKET_IS_ALONE);
    packet.setDirection(DIRECTION_FORWARD);
    return;
  }
  if (direction === DIRECTION_REVERSE && isTranslated(flow)) {
    translateReply(packet, translationOf(flow));
    if (!packet.isInProgress()) return;
  }
  const path = load<u64>(flow + (direction << 3), FLOW_PATH_FORWARD);
  const out = <u32>path;
  if (<u32>(path >> 32) !== (epoch ^ packet.hash()) || out === 0) return;
  packet.setRoute(out >> 16, out & 0xffff);
  countStat(STAT_FLOW_HITS, 1);
}

/** Gives a later fragment the ports of its first one. @returns false where the fragment has met its fate */
function trackFragment(packet: Packet): bool {
  if (!packet.has(PACKET_IS_LATER_FRAGMENT)) {
    firstFragmentPut(packet);
    return true;
  }
  // It would be put over the flags that were judged (RFC 1858 §4.2, RFC 3128).
  if (packet.protocol() === PROTOCOL_TCP && packet.fragmentOffset() < TCP_LEN) {
    packet.setVerdict(Verdict.FragmentMalformed);
    return false;
  }
  if (firstFragmentFind(packet)) hashFlow(packet);
  return true;
}

function isIcmp(packet: Packet): bool {
  return packet.protocol() === (packet.version() === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6);
}

function isEchoRequest(type: u32): bool {
  return type === ICMP_ECHO || type === ICMPV6_ECHO;
}

/** Whether an admitted packet that belongs to no flow makes one. */
export function mayOpen(packet: Packet): bool {
  const protocol = packet.protocol();
  const isLater = packet.has(PACKET_IS_LATER_FRAGMENT);
  if (protocol === PROTOCOL_TCP) {
    const flags = packet.tcpFlags();
    return !isLater && (isTcpSyn(flags) || (isTcpMiddle(flags) && isFromClient(packet)));
  }
  if (protocol === PROTOCOL_SCTP)
    return !isLater && (isSctpInit(packet) || (isSctpMiddle(packet) && isFromClient(packet)));
  if (isIcmp(packet)) return !isLater && isEchoRequest(Icmp.at(packet.transport()).type());
  return true;
}

/** Whether a packet that was judged for itself begins the flow anew that it found. */
function mayRestart(flow: usize, packet: Packet): bool {
  if (!mayOpen(packet)) return false;
  const state = <u32>load<u8>(flow, FLOW_STATE);
  // A SYN that is sent again may have another sequence number.
  return isExpired(flow) || state >= FLOW_IS_CLOSED || (state === FLOW_IS_NEW && isForward(flow, packet));
}

/**
 * Writes down what was decided: makes the flow of an admitted packet that has none, and keeps its way out.
 * `cell` is the policy cell that decided.
 * @returns false where there is no room for the flow that the packet asks for
 */
export function trackDecided(packet: Packet, cell: u32): bool {
  let flow = packet.flow();
  let isNew: bool = false;
  if (packet.has(PACKET_IS_ALONE)) {
    if (!mayRestart(flow, packet)) {
      packet.setFlow(0);
      return true;
    }
    const hasExpired = isExpired(flow);
    isNew = hasExpired || <u32>load<u8>(flow, FLOW_STATE) !== FLOW_IS_NEW;
    if (isNew && isLogging) eventClosed(flow, hasExpired);
    start(flow, packet);
  } else if (flow === 0) {
    if (!mayOpen(packet)) return true;
    flow = flowClaim(packet);
    if (flow === 0) return false;
    start(flow, packet);
    const published = flowPublish(flow, packet);
    isNew = published === flow;
    flow = published;
  }
  if (packet.has(PACKET_IS_FOR_SERVICE)) serviceFront(flow, packet);
  if (isNew && isLogging) eventOpened(flow, cell);
  const stamp = (<u64>(epoch ^ packet.hash())) << 32;
  store<u64>(flow, stamp | cell, FLOW_JUDGED);
  store<u64>(
    flow + (packet.direction() << 3),
    stamp | ((packet.route() << 16) | packet.target()),
    FLOW_PATH_FORWARD,
  );
  return true;
}

/** Makes the packet's source the originator. */
function start(flow: usize, packet: Packet): void {
  flowStart(flow, packet);
  if (packet.has(PACKET_IS_FOR_SERVICE)) serviceStart(flow, packet);
  if (packet.protocol() === PROTOCOL_TCP) tcpStart(flow, packet);
  else if (packet.protocol() === PROTOCOL_SCTP) sctpStart(flow, packet);
}

/** Writes down that policy has cut the packet's connection. */
export function trackDenied(packet: Packet, cell: u32): void {
  const flow = packet.flow();
  if (flow === 0 || packet.has(PACKET_IS_ALONE)) return;
  store<u64>(flow, ((<u64>(epoch ^ packet.hash())) << 32) | cell, FLOW_JUDGED);
}

/** Counts an admitted packet in its flow, and moves the flow's state on. */
export function trackSeen(packet: Packet): void {
  const flow = packet.flow();
  if (flow === 0) return;
  const direction = packet.direction();
  const counters = flow + (direction << 3);
  store<u64>(counters, load<u64>(counters, FLOW_PACKETS_FORWARD) + 1, FLOW_PACKETS_FORWARD);
  store<u64>(counters, load<u64>(counters, FLOW_BYTES_FORWARD) + <u64>packet.ipLength(), FLOW_BYTES_FORWARD);
  store<u32>(flow, now, FLOW_SEEN);
  const protocol = packet.protocol();
  if (protocol === PROTOCOL_TCP) {
    if (!packet.has(PACKET_IS_FRAGMENT)) tcpSeen(flow, packet, direction);
  } else if (protocol === PROTOCOL_SCTP) {
    if (!packet.has(PACKET_IS_LATER_FRAGMENT)) sctpSeen(flow, packet, direction);
  } else if (direction === DIRECTION_REVERSE) {
    store<u8>(flow, <u8>FLOW_IS_ESTABLISHED, FLOW_STATE);
  }
}
