/**
 * Service error: an ICMP error about a translated packet, as its receiver understands it.
 *
 *     to the client     outer: any → client            quotes client → backend     becomes client → Service
 *     to the backend    outer: client → Service        quotes Service → client     becomes backend → client
 *
 * The quoted packet becomes again what its sender sent, checksums included (RFC 5508 §4.2 asks the same of every translator).
 * What comes from the backend itself comes from the Service then, as its other answers do.
 */
import { NO_TUNNEL } from '../layout/burst';
import {
  DIRECTION_FORWARD,
  FLOW_FLAG_TRANSLATED,
  FLOW_FLAGS,
  FLOW_RESPONDER,
  FRONT_TRANSLATION,
  TRANSLATION_DESTINATION,
  TRANSLATION_SOURCE,
} from '../layout/flows';
import { PACKET_IS_FRAGMENT, PACKET_IS_PARTIAL } from '../layout/packet';
import { Packet } from '../packet';
import { flowBehind, flowFind, isFlowOf, isFront, translationOf } from '../table/flow';
import { copyAddress, isSameAddress } from '../wire/address';
import { complement, fold, sum } from '../wire/checksum';
import { ICMP_CHECKSUM } from '../wire/icmp';
import { hashFlow } from './parse';
import { quotedFlow } from './related';
import { keepReceived, rewrite, setEnds, setEndsReversed } from './translate';

/** Translates an ICMP error that quotes a packet of a connection to a Service; others stay as they are. */
export function serviceError(packet: Packet): void {
  if (packet.has(PACKET_IS_FRAGMENT)) return;
  const at = quotedFlow(packet);
  if (at === 0) return;
  const quoted = Packet.at(at);
  const flow = quoted.flow();
  const isForward = quoted.direction() === DIRECTION_FORWARD;
  const row = isFront(flow) ? flow + FRONT_TRANSLATION : translationOf(flow);
  if (isFront(flow)) {
    if (isForward) return;
    keepReceived(packet);
    if (isSameAddress(packet.source(), quoted.destination()))
      copyAddress(packet.source(), row + TRANSLATION_SOURCE);
    copyAddress(packet.destination(), row + TRANSLATION_DESTINATION);
    setEndsReversed(quoted, row);
  } else {
    if (!isForward || !(<u32>load<u16>(flow, FLOW_FLAGS) & FLOW_FLAG_TRANSLATED)) return;
    keepReceived(packet);
    if (isSameAddress(packet.source(), flow + FLOW_RESPONDER))
      copyAddress(packet.source(), row + TRANSLATION_DESTINATION);
    copyAddress(packet.destination(), row + TRANSLATION_SOURCE);
    setEnds(quoted, row);
  }
  requote(packet, quoted);
}

/** Writes the ends of both rows into the packet. */
function requote(packet: Packet, quoted: Packet): void {
  const bytes = packet.end() - packet.payload();
  const quote = packet.data() + packet.payload();
  const before = fold(sum(quote, bytes)) ^ 0xffff;
  quoted.setTunnel(NO_TUNNEL);
  rewrite(quoted);
  const outer = rewrite(packet);
  // ICMPv6 covers the pseudo-header (RFC 4443 §2.3), ICMP does not.
  const addresses: u64 = packet.version() === 4 ? 0 : outer;
  const at = packet.transport() + ICMP_CHECKSUM;
  const value = <u32>load<u16>(at);
  if (packet.has(PACKET_IS_PARTIAL)) store<u16>(at, <u16>fold(<u64>value + addresses));
  else
    store<u16>(at, <u16>complement(<u64>((value ^ 0xffff) + before + fold(sum(quote, bytes))) + addresses));
}

/** Leads a quoted packet that found a front on to the flow behind it. @returns false where that has gone */
export function quotedBehind(quoted: Packet): bool {
  const front = quoted.flow();
  if (!isFront(front)) return true;
  const isForward = quoted.direction() === DIRECTION_FORWARD;
  if (!isForward) return false;
  setEnds(quoted, front + FRONT_TRANSLATION);
  hashFlow(quoted);
  const flow = flowBehind(front);
  if (flow !== 0 && isFlowOf(flow, quoted)) {
    quoted.setFlow(flow);
    quoted.setDirection(DIRECTION_FORWARD);
    return true;
  }
  return flowFind(quoted) !== 0;
}
