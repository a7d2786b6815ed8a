/** Route: where a packet goes. Endpoints first, then the longest prefix. */
import { NO_TUNNEL } from '../layout/burst';
import { DIRECTION_REVERSE } from '../layout/flows';
import { PACKET_IS_TRANSLATED } from '../layout/packet';
import {
  ENDPOINT_FLAGS,
  ENDPOINT_IS_NODE,
  ENDPOINT_PORT,
  ENDPOINT_TUNNEL,
  NO_ENDPOINT_TUNNEL,
  NO_PORT,
  PORT_KIND,
  PORT_POD,
  ROUTE_EMPTY,
  ROUTE_LOCAL,
  ROUTE_OUTSIDE,
  ROUTE_TUNNEL,
  TABLES_NODE_PORT,
} from '../layout/tables';
import { Packet } from '../packet';
import { endpointFind, portRow, routeFind } from '../table/snapshot';
import { Verdict } from '../verdict';
import { area } from '../worker';

/** Sets TO, ROUTE and TARGET, or the verdict of a packet that has no way. */
export function route(packet: Packet): void {
  const to = endpointFind(area, packet.destination());
  packet.setTo(to);
  if (to !== 0) {
    const port = <u32>load<u16>(to, ENDPOINT_PORT);
    if (port !== NO_PORT) {
      packet.setRoute(ROUTE_LOCAL, port);
      return;
    }
    const tunnel = <u32>load<u16>(to, ENDPOINT_TUNNEL);
    if (tunnel !== NO_ENDPOINT_TUNNEL) {
      if (isAnswerToNode(packet, to)) outside(packet);
      else throughTunnel(packet, tunnel);
      return;
    }
  }
  const found = routeFind(area, packet.destination());
  const kind = found >> 16;
  if (kind === ROUTE_TUNNEL) throughTunnel(packet, found & 0xffff);
  else if (kind === ROUTE_OUTSIDE) outside(packet);
  else packet.setVerdict(kind === ROUTE_EMPTY ? Verdict.NoEndpoint : Verdict.NoRoute);
}

/**
 * Whether a node's own process is answered in the name of this node: it has come by the underlay, and its answer takes the
 * same way. Between their underlay addresses a tunnel would lead back into itself.
 */
function isAnswerToNode(packet: Packet, to: usize): bool {
  if (!packet.has(PACKET_IS_TRANSLATED) || packet.direction() !== DIRECTION_REVERSE) return false;
  return (<u32>load<u16>(to, ENDPOINT_FLAGS) & ENDPOINT_IS_NODE) !== 0;
}

function throughTunnel(packet: Packet, tunnel: u32): void {
  if (packet.tunnel() !== NO_TUNNEL) packet.setVerdict(Verdict.TunnelToTunnel);
  else packet.setRoute(ROUTE_TUNNEL, tunnel);
}

/** Only pods of this node leave the cluster here, what goes to a Service, and what answers a client who came by this node. */
function outside(packet: Packet): void {
  const port = load<u32>(area, TABLES_NODE_PORT);
  const isOurs = packet.has(PACKET_IS_TRANSLATED) || (packet.tunnel() === NO_TUNNEL && isFromPod(packet));
  if (isOurs && port !== NO_PORT) packet.setRoute(ROUTE_OUTSIDE, port);
  else packet.setVerdict(Verdict.NoRoute);
}

/** Anything else that came from the node's kernel must not go back to it. */
function isFromPod(packet: Packet): bool {
  const from = portRow(area, packet.slot());
  return from !== 0 && <u32>load<u8>(from, PORT_KIND) === PORT_POD;
}
