/**
 * Service: a packet to a Service's address goes to one of its endpoints instead, its reply comes from that address.
 *
 *     client ──► cluster IP, port ──┬─ known: front ──► flow, the same backend as before
 *                                   └─ new: frontend ──► pool ──► backend ──► flow and front, made by trackDecided
 *
 * Called by stage/track where the packet's own ends lead to no flow: an untranslated connection pays nothing. Everything
 * behind sees the packet translated: policy judges pod and target port, whichever way they were named.
 */

import { NO_TUNNEL } from '../layout/burst';
import {
  DIRECTION_FORWARD,
  FLOW_IS_CLOSED,
  FLOW_IS_NEW,
  FLOW_PATH_FORWARD,
  FLOW_STATE,
  FRONT_TRANSLATION,
  TRANSLATION_CHECKED,
  TRANSLATION_DESTINATION,
  TRANSLATION_HINT,
  TRANSLATION_PORTS,
} from '../layout/flows';
import { PACKET_FROM_NODE, PACKET_IS_FOR_SERVICE, PACKET_IS_LATER_FRAGMENT } from '../layout/packet';
import {
  BACKEND_PORT,
  FRONTEND_HOST_PORT,
  FRONTEND_INSIDE,
  FRONTEND_KIND,
  FRONTEND_LOAD_BALANCER,
  FRONTEND_NODE_PORT,
  FRONTEND_OUTSIDE,
  POOL_AFFINITY,
  POOL_EMPTY,
  POOL_SLOTS_COUNT,
} from '../layout/services';
import {
  ENDPOINT_FLAGS,
  ENDPOINT_IS_NODE,
  TABLES_HOST_PORTS,
  TABLES_NODE_PORTS4,
  TABLES_NODE_PORTS6,
} from '../layout/tables';
import { Packet } from '../packet';
import { flowBehind, flowRemove, isExpired, isFlowOf, isFront, isFrontOf, isTranslated } from '../table/flow';
import { receivedOf } from '../table/received';
import { backendAt, backendFind, backendFor, frontendFind, isInRange, NO_BACKEND } from '../table/service';
import { endpointFind } from '../table/snapshot';
import { Verdict } from '../verdict';
import { copyAddress } from '../wire/address';
import { PROTOCOL_UDP } from '../wire/protocol';
import { area, epoch } from '../worker';
import { hashFlow } from './parse';
import { affinePlace } from './service-affinity';
import { direct } from './service-direct';
import { copyChecked } from './service-flow';
import { findFree, isFree, isFromOutside, sourceFor } from './service-source';
import { keepReceived, setEnds, translate } from './translate';

/**
 * Whether a packet may be for a Service: it has no flow here, or a front, or one that it opened past a Service which may
 * have come since, or its ends are those that a connection to a Service has been given. `asks` where it asks for a connection.
 */
export function mayBeForService(packet: Packet, flow: usize, asks: bool): bool {
  if (flow !== 0 && isFront(flow)) return true;
  // The sender's node translates, but for host ports, of which it does not know.
  if (packet.tunnel() !== NO_TUNNEL && load<u32>(area, TABLES_HOST_PORTS) === 0) return false;
  if (flow === 0) return true;
  if (packet.direction() !== DIRECTION_FORWARD) return false;
  if (isTranslated(flow)) return true;
  if (!asks && packet.protocol() !== PROTOCOL_UDP) return false;
  return asks || <u32>(load<u64>(flow, FLOW_PATH_FORWARD) >> 32) !== (epoch ^ packet.hash());
}

/**
 * Translates a packet to a Service, and sets its FLOW and DIRECTION anew; others stay as they are.
 * `flow` is what its own ends lead to.
 */
export function service(packet: Packet, flow: usize, asks: bool): void {
  if (flow !== 0 && isFront(flow)) {
    if (packet.direction() !== DIRECTION_FORWARD) {
      // Nobody speaks for a Service but this node.
      packet.setFlow(0);
      return;
    }
    if (followFront(packet, flow, asks)) return;
  }
  const frontend = frontendOf(packet);
  const isTaken = flow !== 0 && isTranslated(flow);
  if (frontend === 0) {
    if (isTaken) direct(packet, flow);
    else noFrontend(packet, flow);
    return;
  }
  if (flow !== 0 && !isFront(flow)) {
    // It has passed by the Service until now.
    if (!isTaken) flowRemove(flow);
    flow = 0;
  }
  open(packet, frontend, flow);
}

/** Takes a packet where its front leads. @returns false where it must be led elsewhere */
function followFront(packet: Packet, front: usize, asks: bool): bool {
  const row = front + FRONT_TRANSLATION;
  if ((asks || packet.protocol() === PROTOCOL_UDP) && !stillServes(packet, front, row)) return false;
  keepReceived(packet);
  const received = receivedOf(packet);
  setEnds(packet, row);
  hashFlow(packet);
  const behind = flowBehind(front);
  if (behind !== 0 && isFlowOf(behind, packet)) {
    packet.setFlow(behind);
    packet.setDirection(DIRECTION_FORWARD);
  } else if (!isFree(packet, received)) {
    // Another connection has these ends by now.
    setEnds(packet, received);
    hashFlow(packet);
    packet.setDirection(DIRECTION_FORWARD);
    return false;
  }
  translate(packet);
  copyChecked(received, row);
  packet.addFlags(PACKET_IS_FOR_SERVICE);
  packet.setFront(front);
  return true;
}

/**
 * Whether a new packet of a client may go where the one before went: UDP as long as the backend serves, a connection
 * that is asked for while its handshake lasts, too.
 */
function stillServes(packet: Packet, front: usize, row: usize): bool {
  const flow = flowBehind(front);
  if (packet.protocol() !== PROTOCOL_UDP) {
    if (flow === 0 || isExpired(front)) return false;
    const state = <u32>load<u8>(flow, FLOW_STATE);
    if (state >= FLOW_IS_CLOSED) return false;
    // A SYN in the middle of a connection: its receiver has to answer it.
    if (state !== FLOW_IS_NEW) return true;
  }
  if (load<u32>(row, TRANSLATION_CHECKED) === epoch) return true;
  const frontend = frontendOf(packet);
  if (frontend !== 0) {
    const place = backendFind(
      poolOf(packet, frontend),
      row + TRANSLATION_DESTINATION,
      load<u32>(row, TRANSLATION_PORTS) >> 16,
      load<u32>(row, TRANSLATION_HINT),
    );
    if (place !== NO_BACKEND) {
      store<u32>(row, place, TRANSLATION_HINT);
      store<u32>(row, epoch, TRANSLATION_CHECKED);
      return true;
    }
  }
  if (flow !== 0 && isFrontOf(front, flow)) flowRemove(flow);
  return false;
}

/**
 * Frontend at which the packet knocks; 0: none. A node port is one at the addresses of other nodes, too: what came there by
 * a tunnel could not leave by another. A host port leads to a pod of its own node, whatever way its clients come.
 */
function frontendOf(packet: Packet): usize {
  const destination = packet.destination();
  const found = frontendFind(area, destination, packet.protocol(), packet.dport());
  if (packet.tunnel() !== NO_TUNNEL)
    return found !== 0 && <u32>load<u8>(found, FRONTEND_KIND) === FRONTEND_HOST_PORT ? found : 0;
  if (found !== 0) return found;
  const to = endpointFind(area, destination);
  if (to === 0 || !(<u32>load<u16>(to, ENDPOINT_FLAGS) & ENDPOINT_IS_NODE)) return 0;
  const here = area + (packet.version() === 4 ? TABLES_NODE_PORTS4 : TABLES_NODE_PORTS6);
  const own = frontendFind(area, here, packet.protocol(), packet.dport());
  return own !== 0 && <u32>load<u8>(own, FRONTEND_KIND) === FRONTEND_NODE_PORT ? own : 0;
}

function noFrontend(packet: Packet, flow: usize): void {
  if (flow !== 0 && isFront(flow)) {
    flowRemove(flow);
    packet.setFlow(0);
  }
  if (packet.tunnel() !== NO_TUNNEL || frontendFind(area, packet.destination(), 0, 0) === 0) return;
  packet.setVerdict(
    packet.has(PACKET_IS_LATER_FRAGMENT) && packet.ports() === 0
      ? Verdict.FragmentWithoutFirst
      : Verdict.ServiceNoSuchPort,
  );
}

function poolOf(packet: Packet, frontend: usize): usize {
  return <usize>load<u32>(frontend + (isFromOutside(packet) ? FRONTEND_OUTSIDE : FRONTEND_INSIDE));
}

/** Chooses the backend of a packet without a flow. `front` is what its ends led to; 0. */
function open(packet: Packet, frontend: usize, front: usize): void {
  const pool = poolOf(packet, frontend);
  const client = packet.source();
  if (
    <u32>load<u8>(frontend, FRONTEND_KIND) === FRONTEND_LOAD_BALANCER &&
    !isInRange(pool, client, packet.has(PACKET_FROM_NODE))
  ) {
    packet.setVerdict(Verdict.ServiceSourceRange);
    return;
  }
  if (load<u32>(pool, POOL_SLOTS_COUNT) === 0) {
    packet.setVerdict(load<u32>(pool, POOL_EMPTY));
    return;
  }
  const place =
    load<u32>(pool, POOL_AFFINITY) === 0
      ? backendFor(pool, client, packet.sport())
      : affinePlace(pool, client);
  const backend = backendAt(pool, place);
  keepReceived(packet);
  const received = receivedOf(packet);
  store<u32>(received, epoch, TRANSLATION_CHECKED);
  store<u32>(received, place, TRANSLATION_HINT);
  copyAddress(packet.destination(), backend);
  packet.setPorts(packet.sport(), <u32>load<u16>(backend, BACKEND_PORT));
  const source = sourceFor(packet, backend);
  if (source !== 0) copyAddress(client, source);
  if (!findFree(packet, received, source !== 0)) {
    setEnds(packet, received);
    packet.setVerdict(Verdict.ServiceNoSourcePort);
    return;
  }
  translate(packet);
  packet.addFlags(PACKET_IS_FOR_SERVICE);
  packet.setFront(front);
}
