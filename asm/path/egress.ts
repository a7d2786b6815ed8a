/**
 * Egress: what pods and the node send, and what peers on the same subnet send without a tunnel.
 *
 *     TAP → admit → shape → parse → neighbor → source → track → route → policy → forward → shape → TAP or tunnel
 *
 * Stages run over the whole vector in turn, so that the look-ups of many packets overlap.
 */

import { NO_TUNNEL, RX_FRAME_LENGTH, RX_FRAME_PORT, RX_FRAME_QUEUE, RX_FRAME_SIZE } from '../layout/burst';
import { MAX_RX_FRAMES, VNET_HEADER, WORKER_PACKETS, WORKER_RX_FRAMES } from '../layout/memory';
import { PACKET_IS_ETHERNET, PACKET_IS_PARTIAL, PACKET_SIZE } from '../layout/packet';
import { PORT_RX_PACKETS, ROUTE_NONE, STAT_RECEIVED, STAT_SUPERFRAMES } from '../layout/tables';
import { Packet } from '../packet';
import { coalesceClose } from '../stage/coalesce';
import { directPeer, isFromUnderlay, sourceFromDirect } from '../stage/direct';
import { forwardFromPort } from '../stage/forward';
import { icmpError } from '../stage/icmp-error';
import { mayBeNeighbor, neighbor } from '../stage/neighbor';
import { parse } from '../stage/parse';
import { policy } from '../stage/policy';
import { route } from '../stage/route';
import { shapeFromPorts, shapeToPorts } from '../stage/shape';
import { sourceFromPort } from '../stage/source';
import { prefetchFlows, track, trackSeen } from '../stage/track';
import { countPort, countStat } from '../table/counters';
import { queueSeen } from '../table/queue';
import { messagesEnd, messagesReset } from '../transmit/message';
import { pendingFlush, pendingReset } from '../transmit/pending';
import { Verdict } from '../verdict';
import { PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/protocol';
import {
  VNET_GSO_ECN,
  VNET_GSO_NONE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_UDP_L4,
  VNET_NEEDS_CSUM,
  Vnet,
} from '../wire/vnet';
import { base, burstBegin } from '../worker';
import { account } from './account';

/**
 * Takes the first `frames` rows of WORKER_RX_FRAMES through all stages.
 * @returns messages in WORKER_TX_MESSAGES; their gather list has WORKER_IOV_COUNT entries
 */
export function egress(frames: u32): u32 {
  messagesReset();
  pendingReset();
  const n = min(frames, MAX_RX_FRAMES);
  const isReady = burstBegin();
  const first = base + WORKER_PACKETS;
  const end = first + n * PACKET_SIZE;
  let frame = base + WORKER_RX_FRAMES;
  for (let p = first; p < end; p += PACKET_SIZE) {
    admit(Packet.at(p), frame, isReady);
    frame += RX_FRAME_SIZE;
  }
  if (isReady) {
    shapeFromPorts(n);
    stages(first, end);
  }
  account(first, end);
  countStat(STAT_RECEIVED, n);
  coalesceClose();
  pendingFlush();
  if (isReady) shapeToPorts();
  return messagesEnd();
}

function stages(first: usize, end: usize): void {
  for (let p = first; p < end; p += PACKET_SIZE) {
    const packet = Packet.at(p);
    if (packet.isInProgress()) parse(packet);
    if (packet.isInProgress()) admitSuperframe(packet);
  }
  for (let p = first; p < end; p += PACKET_SIZE) {
    const packet = Packet.at(p);
    const isDirect = isFromUnderlay(packet);
    if (isDirect && packet.isInProgress()) directPeer(packet);
    if (packet.isInProgress() && mayBeNeighbor(packet)) neighbor(packet);
    if (!packet.isInProgress()) continue;
    if (isDirect) sourceFromDirect(packet);
    else sourceFromPort(packet);
  }
  prefetchFlows(first, end);
  for (let p = first; p < end; p += PACKET_SIZE) {
    const packet = Packet.at(p);
    if (packet.isInProgress()) {
      track(packet);
      queueSeen(packet);
    }
  }
  for (let p = first; p < end; p += PACKET_SIZE) {
    const packet = Packet.at(p);
    if (packet.isInProgress() && packet.route() === ROUTE_NONE) {
      route(packet);
      if (packet.isInProgress()) policy(packet);
    }
    if (packet.isInProgress()) {
      trackSeen(packet);
      forwardFromPort(packet);
    }
    if (packet.verdict() !== Verdict.Forward) icmpError(packet);
  }
}

/** Fills the row from the descriptor and the vnet header before the frame. */
function admit(packet: Packet, descriptor: usize, isReady: bool): void {
  const length = load<u32>(descriptor, RX_FRAME_LENGTH);
  packet.setVerdict(isReady ? Verdict.InProgress : Verdict.PolicyPending);
  packet.setSlot(<u32>load<u16>(descriptor, RX_FRAME_PORT));
  packet.setQueue(<u32>load<u8>(descriptor, RX_FRAME_QUEUE));
  packet.setTunnel(NO_TUNNEL);
  packet.setFlags(PACKET_IS_ETHERNET);
  packet.setGso(VNET_GSO_NONE, 0);
  if (length < VNET_HEADER) {
    packet.setLength(0);
    packet.setVerdict(Verdict.FrameTooShort);
    return;
  }
  packet.setData(load<u32>(descriptor) + VNET_HEADER);
  packet.setLength(length - VNET_HEADER);
  countPort(packet.slot(), PORT_RX_PACKETS, length - VNET_HEADER);
}

/** Checks what the vnet header says against the parsed frame. */
function admitSuperframe(packet: Packet): void {
  const vnet = Vnet.at(packet.data() - VNET_HEADER);
  const type = vnet.gsoType() & ~VNET_GSO_ECN;
  if (vnet.flags() & VNET_NEEDS_CSUM) {
    const start = vnet.checksumStart();
    if (start < packet.l4() || start + vnet.checksumOffset() + 2 > packet.end()) {
      packet.setVerdict(Verdict.VnetHeader);
      return;
    }
    packet.addFlags(PACKET_IS_PARTIAL);
  }
  if (type === VNET_GSO_NONE) return;
  const isTcp =
    (type === VNET_GSO_TCPV4 && packet.version() === 4) ||
    (type === VNET_GSO_TCPV6 && packet.version() === 6);
  const isWhole =
    packet.payload() > packet.l4() && vnet.gsoSize() !== 0 && (vnet.flags() & VNET_NEEDS_CSUM) !== 0;
  const isKnown = isTcp
    ? packet.protocol() === PROTOCOL_TCP
    : type === VNET_GSO_UDP_L4 && packet.protocol() === PROTOCOL_UDP;
  if (!isKnown || !isWhole || vnet.checksumStart() !== packet.l4()) {
    packet.setVerdict(Verdict.VnetHeader);
    return;
  }
  countStat(STAT_SUPERFRAMES, 1);
  // One that fits a single segment is an ordinary packet.
  if (packet.end() - packet.payload() > vnet.gsoSize()) packet.setGso(type, vnet.gsoSize());
}
