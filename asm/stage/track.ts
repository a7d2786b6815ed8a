/**
 * Connection tracking: the flow of a packet, and what it already decided.
 *
 * A packet of a flow that was decided under the present tables needs no more than this:
 * its way out stands in the flow.
 */

import {
  DIRECTION_FORWARD,
  DIRECTION_REVERSE,
  FLOW_BYTES_FORWARD,
  FLOW_DECISION,
  FLOW_EPOCH,
  FLOW_IS_CLOSING,
  FLOW_IS_ESTABLISHED,
  FLOW_IS_NEW,
  FLOW_OUT_FORWARD,
  FLOW_PACKETS_FORWARD,
  FLOW_SEEN,
  FLOW_STATE,
} from '../layout/flows';
import { PACKET_IS_FRAGMENT, PACKET_IS_LATER_FRAGMENT } from '../layout/packet';
import { POLICY_CELL_ALLOW, STAT_FLOW_HITS } from '../layout/tables';
import { Packet } from '../packet';
import { countStat } from '../table/counters';
import { firstFragmentFind, firstFragmentPut } from '../table/first-fragment';
import { flowCreate, flowFind, flowStart, isExpired } from '../table/flow';
import { PROTOCOL_TCP } from '../wire/protocol';
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from '../wire/tcp';
import { epoch, now } from '../worker';
import { hashFlow } from './parse';

/** Whether a TCP packet opens a connection. */
function isSyn(packet: Packet): bool {
  return packet.protocol() === PROTOCOL_TCP && (packet.tcpFlags() & (TCP_SYN | TCP_ACK)) === TCP_SYN;
}

/** Finds the packet's flow. Where that is settled under the present tables, sets ROUTE and TARGET, too. */
export function track(packet: Packet): void {
  packet.setUndecided();
  packet.setDirection(DIRECTION_FORWARD);
  if (packet.has(PACKET_IS_FRAGMENT)) {
    if (!packet.has(PACKET_IS_LATER_FRAGMENT)) firstFragmentPut(packet);
    else if (firstFragmentFind(packet)) hashFlow(packet);
  }
  const flow = flowFind(packet);
  if (flow === 0) return;
  if (isExpired(flow) || (isSyn(packet) && <u32>load<u8>(flow, FLOW_STATE) === FLOW_IS_CLOSING)) {
    // The pair of ports is used anew: whoever speaks first now is the originator.
    flowStart(flow, packet);
    packet.setDirection(DIRECTION_FORWARD);
    return;
  }
  if (load<u32>(flow, FLOW_EPOCH) !== epoch) return;
  const direction = packet.direction();
  if (!(load<u32>(flow, FLOW_DECISION) & POLICY_CELL_ALLOW)) return;
  const out = load<u32>(flow + (direction << 2), FLOW_OUT_FORWARD);
  if (out === 0) return;
  packet.setRoute(out >> 16, out & 0xffff);
  countStat(STAT_FLOW_HITS, 1);
}

/**
 * Writes down what was decided: makes the flow of an admitted packet that has none, and keeps its way out.
 * `cell` is the policy cell that decided.
 */
export function trackDecided(packet: Packet, cell: u32): void {
  let flow = packet.flow();
  if (flow === 0) {
    flow = flowCreate(packet);
    if (flow === 0) return;
    packet.setFlow(flow);
    packet.setDirection(DIRECTION_FORWARD);
  }
  if (load<u32>(flow, FLOW_EPOCH) !== epoch) {
    store<u64>(flow, 0, FLOW_OUT_FORWARD);
    store<u32>(flow, cell, FLOW_DECISION);
    store<u32>(flow, epoch, FLOW_EPOCH);
  }
  store<u32>(flow + (packet.direction() << 2), (packet.route() << 16) | packet.target(), FLOW_OUT_FORWARD);
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
  const state = <u32>load<u8>(flow, FLOW_STATE);
  if (state === FLOW_IS_NEW && direction === DIRECTION_REVERSE)
    store<u8>(flow, <u8>FLOW_IS_ESTABLISHED, FLOW_STATE);
  if (packet.tcpFlags() & (TCP_FIN | TCP_RST)) store<u8>(flow, <u8>FLOW_IS_CLOSING, FLOW_STATE);
}
