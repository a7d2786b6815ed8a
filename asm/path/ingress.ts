/**
 * Ingress: what peers send.
 *
 *     socket → outer source → decap → parse → ECN → neighbor → source → track → route → policy → forward → shape → TAP
 */

import {
  NO_TUNNEL,
  RX_DATAGRAM_FLAGS,
  RX_DATAGRAM_LENGTH,
  RX_DATAGRAM_SEGMENT,
  RX_DATAGRAM_SIZE,
  RX_DATAGRAM_SLOT,
  RX_DATAGRAM_TOS,
  RX_FLAG_TRUNCATED,
} from '../layout/burst';
import {
  CONTROL_SOCKET_KINDS,
  FIRST_SOCKET_SLOT,
  MAX_RX_DATAGRAMS,
  MAX_SOCKETS,
  MAX_VECTOR,
  WORKER_PACKETS,
  WORKER_RX_DATAGRAMS,
} from '../layout/memory';
import { PACKET_SIZE } from '../layout/packet';
import {
  NO_ENDPOINT_TUNNEL,
  ROUTE_NONE,
  SOCKET_NONE,
  STAT_RECEIVED,
  TUNNEL_LAST_SEEN,
  TUNNEL_RX_PACKETS,
} from '../layout/tables';
import { Packet } from '../packet';
import { coalesceClose } from '../stage/coalesce';
import { decap, tunnelOf } from '../stage/decap';
import { ecnDecap } from '../stage/ecn';
import { forwardFromTunnel } from '../stage/forward';
import { icmpError } from '../stage/icmp-error';
import { mayBeNeighbor, neighbor } from '../stage/neighbor';
import { parse } from '../stage/parse';
import { policy } from '../stage/policy';
import { route } from '../stage/route';
import { shapeToPorts } from '../stage/shape';
import { sourceFromTunnel } from '../stage/source';
import { prefetchFlows, track, trackSeen } from '../stage/track';
import { countStat, countTunnel, tunnelField } from '../table/counters';
import { tunnelRow } from '../table/snapshot';
import { messagesEnd, messagesReset } from '../transmit/message';
import { pendingFlush, pendingReset } from '../transmit/pending';
import { Verdict } from '../verdict';
import { VNET_GSO_NONE } from '../wire/vnet';
import { area, base, burstBegin, now } from '../worker';
import { account } from './account';

/**
 * Takes the first `datagrams` rows of WORKER_RX_DATAGRAMS through all stages; a row that
 * the kernel merged is many packets.
 * @returns messages in WORKER_TX_MESSAGES; their gather list has WORKER_IOV_COUNT entries
 */
export function ingress(datagrams: u32): u32 {
  messagesReset();
  pendingReset();
  const isReady = burstBegin();
  const first = base + WORKER_PACKETS;
  const limit = first + MAX_VECTOR * PACKET_SIZE;
  let at = first;
  let descriptor = base + WORKER_RX_DATAGRAMS;
  const n = min(datagrams, MAX_RX_DATAGRAMS);
  for (let i: u32 = 0; i < n; i++) {
    const kind = socketKind(<u32>load<u16>(descriptor, RX_DATAGRAM_SLOT));
    const data = <usize>load<u32>(descriptor);
    const length = load<u32>(descriptor, RX_DATAGRAM_LENGTH);
    const merged = load<u32>(descriptor, RX_DATAGRAM_SEGMENT);
    const step = merged === 0 ? max(length, 1) : merged;
    // All datagrams of a row have the same outer header, so the peer is looked up once.
    const lead = Packet.at(at);
    admit(lead, descriptor, isReady);
    const tunnel: u32 = lead.isInProgress() ? tunnelOf(lead, descriptor, kind) : NO_ENDPOINT_TUNNEL;
    const verdict = lead.verdict();
    if (tunnel !== NO_ENDPOINT_TUNNEL) {
      countTunnel(tunnel, TUNNEL_RX_PACKETS, max((length + step - 1) / step, 1), length);
      store<u32>(tunnelField(tunnel, TUNNEL_LAST_SEEN), now);
    }
    const row = tunnelRow(area, tunnel);
    let offset: u32 = 0;
    do {
      const packet = Packet.at(at);
      admit(packet, descriptor, isReady);
      packet.setVerdict(verdict);
      const bytes = min(step, length - offset);
      packet.setData(data + offset);
      packet.setLength(bytes);
      if (tunnel !== NO_ENDPOINT_TUNNEL) {
        packet.setTunnel(tunnel);
        if (verdict === Verdict.InProgress) decap(packet, row, kind, data + offset, bytes);
      }
      at += PACKET_SIZE;
      if (at === limit) {
        stages(first, at);
        at = first;
      }
      offset += step;
    } while (offset < length);
    descriptor += RX_DATAGRAM_SIZE;
  }
  stages(first, at);
  coalesceClose();
  pendingFlush();
  if (isReady) shapeToPorts();
  return messagesEnd();
}

/** SOCKET_* kind of what arrives in a slot. */
function socketKind(slot: u32): u32 {
  const socket = slot - FIRST_SOCKET_SLOT;
  return socket < MAX_SOCKETS ? <u32>load<u8>(CONTROL_SOCKET_KINDS + socket) : SOCKET_NONE;
}

/** Fills the row from the descriptor. */
function admit(packet: Packet, descriptor: usize, isReady: bool): void {
  packet.setVerdict(isReady ? Verdict.InProgress : Verdict.PolicyPending);
  if (load<u8>(descriptor, RX_DATAGRAM_FLAGS) & RX_FLAG_TRUNCATED) packet.setVerdict(Verdict.FrameTooLong);
  packet.setSlot(<u32>load<u16>(descriptor, RX_DATAGRAM_SLOT));
  packet.setTunnel(NO_TUNNEL);
  packet.setFlags(0);
  packet.setGso(VNET_GSO_NONE, 0);
  packet.setOuterTos(<u32>load<u8>(descriptor, RX_DATAGRAM_TOS));
}

function stages(first: usize, end: usize): void {
  for (let p = first; p < end; p += PACKET_SIZE) {
    const packet = Packet.at(p);
    if (packet.isInProgress()) parse(packet);
    if (packet.isInProgress() && packet.version() !== 0) ecnDecap(packet);
  }
  for (let p = first; p < end; p += PACKET_SIZE) {
    const packet = Packet.at(p);
    if (packet.isInProgress() && mayBeNeighbor(packet)) neighbor(packet);
    if (packet.isInProgress()) sourceFromTunnel(packet);
  }
  prefetchFlows(first, end);
  for (let p = first; p < end; p += PACKET_SIZE) {
    const packet = Packet.at(p);
    if (packet.isInProgress()) track(packet);
  }
  for (let p = first; p < end; p += PACKET_SIZE) {
    const packet = Packet.at(p);
    if (packet.isInProgress() && packet.route() === ROUTE_NONE) {
      route(packet);
      if (packet.isInProgress()) policy(packet);
    }
    if (packet.isInProgress()) {
      trackSeen(packet);
      forwardFromTunnel(packet);
    }
    if (packet.verdict() !== Verdict.Forward) icmpError(packet);
  }
  account(first, end);
  countStat(STAT_RECEIVED, <u32>(end - first) / PACKET_SIZE);
}
