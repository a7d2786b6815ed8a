/**
 * Service source: what a translated packet comes from, so that the answer comes by here and can be told apart.
 *
 *     client, port ──┬─ address: the client's own, or this node's where the answer would go past it
 *                    └─ port: the client's own, or one of the node's where another connection has these ends
 */
import { NO_TUNNEL } from '../layout/burst';
import {
  DIRECTION_FORWARD,
  TRANSLATION_DESTINATION,
  TRANSLATION_PORTS,
  TRANSLATION_SOURCE,
} from '../layout/flows';
import { PACKET_FROM_NODE } from '../layout/packet';
import {
  ENDPOINT_FLAGS,
  ENDPOINT_IS_NODE,
  ENDPOINT_PORT,
  NO_PORT,
  PORT_FORWARD,
  PORT_KIND,
  TABLES_FIRST_SOURCE_PORT,
  TABLES_GATEWAY4,
  TABLES_GATEWAY6,
  TABLES_NODE4,
  TABLES_NODE6,
  TABLES_SELF4,
  TABLES_SELF6,
  TABLES_SOURCE_PORTS,
} from '../layout/tables';
import { Packet } from '../packet';
import { flowFind, isExpired, isTranslated, translationOf } from '../table/flow';
import { endpointFind, portRow } from '../table/snapshot';
import { isSameAddress, isUnspecified } from '../wire/address';
import { area } from '../worker';
import { hashFlow } from './parse';

/** Source ports that are tried for a connection before it is refused. */
const ATTEMPTS: u32 = 64;

/** Whether the client is neither a pod nor this node: what arrives for a Service from outside comes by ow-forward. */
export function isFromOutside(packet: Packet): bool {
  if (packet.tunnel() !== NO_TUNNEL) return false;
  return <u32>load<u8>(portRow(area, packet.slot()), PORT_KIND) === PORT_FORWARD;
}

/**
 * Address of this node that must stand in place of the client's, or the backend's answer would not come by here; 0: none.
 *
 *     pod → itself                               this node in the pod network
 *     node → another node's address              the same: to its underlay address that node answers past the tunnel
 *     outside → another node's pod or address    the same
 *     node, outside → this node's address, or world   SELF: to its own address a kernel answers by itself
 */
export function sourceFor(packet: Packet, backend: usize): usize {
  const version = packet.version();
  const isOutside = isFromOutside(packet);
  if (!isOutside && !packet.has(PACKET_FROM_NODE))
    return isSameAddress(packet.source(), backend) ? ownAddress(version) : 0;
  const to = endpointFind(area, backend);
  const isHere = to !== 0 && <u32>load<u16>(to, ENDPOINT_PORT) !== NO_PORT;
  if (to !== 0 && !(<u32>load<u16>(to, ENDPOINT_FLAGS) & ENDPOINT_IS_NODE))
    return isOutside && !isHere ? ownAddress(version) : 0;
  if (to === 0 || isHere) {
    const self = area + (version === 4 ? TABLES_SELF4 : TABLES_SELF6);
    return isUnspecified(self) ? 0 : self;
  }
  const own = ownAddress(version);
  return isSameAddress(packet.source(), own) ? 0 : own;
}

/** This node in the pod network, where it has an address there. */
function ownAddress(version: u32): usize {
  const own = area + (version === 4 ? TABLES_NODE4 : TABLES_NODE6);
  return isUnspecified(own) ? area + (version === 4 ? TABLES_GATEWAY4 : TABLES_GATEWAY6) : own;
}

/**
 * Sets FLOW and HASH of a packet that has its new ends, and another source port where a connection that is not the
 * packet's own has these. `isOurs`: the source is this node, whose own ports stay its own.
 * @returns false where no port is free
 */
export function findFree(packet: Packet, received: usize, isOurs: bool): bool {
  hashFlow(packet);
  if (!isOurs && isFree(packet, received)) return true;
  const lowest = load<u32>(area, TABLES_FIRST_SOURCE_PORT);
  const count = load<u32>(area, TABLES_SOURCE_PORTS);
  const first = packet.hash() % count;
  const dport = packet.dport();
  for (let i: u32 = 0; i < min(ATTEMPTS, count); i++) {
    packet.setPorts(lowest + ((first + i) % count), dport);
    hashFlow(packet);
    if (isFree(packet, received)) return true;
  }
  return false;
}

/** Whether nobody has these ends, or this very connection of the client. */
export function isFree(packet: Packet, received: usize): bool {
  const flow = flowFind(packet);
  if (flow === 0 || isExpired(flow)) {
    // A port that was tried before may have belonged to a connection from there.
    packet.setDirection(DIRECTION_FORWARD);
    return true;
  }
  if (packet.direction() !== DIRECTION_FORWARD) return false;
  if (!isTranslated(flow)) return false;
  const row = translationOf(flow);
  return (
    load<u32>(row, TRANSLATION_PORTS) === load<u32>(received, TRANSLATION_PORTS) &&
    isSameAddress(row + TRANSLATION_SOURCE, received + TRANSLATION_SOURCE) &&
    isSameAddress(row + TRANSLATION_DESTINATION, received + TRANSLATION_DESTINATION)
  );
}
