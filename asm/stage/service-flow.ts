/** Service flow: makes the two entries of a connection to a Service, once policy has admitted it. */
import {
  FLOW_FLAG_FRONT,
  FLOW_FLAG_TRANSLATED,
  FLOW_FLAGS,
  FRONT_TRANSLATION,
  TRANSLATION_CHECKED,
  TRANSLATION_DESTINATION,
  TRANSLATION_PORTS,
  TRANSLATION_SOURCE,
} from '../layout/flows';
import { WORKER_PACKETS } from '../layout/memory';
import { PACKET_SCRATCH } from '../layout/packet';
import { Packet } from '../packet';
import {
  flowClaim,
  flowFind,
  flowPublish,
  flowStart,
  flowsBeside,
  flowsPair,
  isFront,
  translationOf,
} from '../table/flow';
import { receivedOf } from '../table/received';
import { copyAddress } from '../wire/address';
import { base } from '../worker';
import { hashFlow } from './parse';
import { setEnds } from './translate';

/** Tells the flow of a translated packet what the client sees; before anybody can find it. */
export function serviceStart(flow: usize, packet: Packet): void {
  const row = translationOf(flow);
  const received = receivedOf(packet);
  copyAddress(row + TRANSLATION_SOURCE, received + TRANSLATION_SOURCE);
  copyAddress(row + TRANSLATION_DESTINATION, received + TRANSLATION_DESTINATION);
  store<u64>(row, <u64>load<u32>(received, TRANSLATION_PORTS), TRANSLATION_PORTS);
  copyChecked(row, received);
  store<u16>(flow, load<u16>(flow, FLOW_FLAGS) | <u16>FLOW_FLAG_TRANSLATED, FLOW_FLAGS);
}

/**
 * Makes the front of a translated packet's flow, or leads the one that it came by to that flow. Without room there is
 * none: each packet is then led to the flow by the Service's slots. What passes by the Service is found beside the flow
 * that has its ends.
 */
export function serviceFront(flow: usize, packet: Packet): void {
  const known = packet.front();
  if (known !== 0 && !isFront(known)) {
    flowsBeside(known, flow);
    return;
  }
  const front = known === 0 ? claim(packet) : known;
  if (front === 0) return;
  lead(front, packet);
  flowsPair(flow, front);
}

/** Leads a front where the packet goes. */
function lead(front: usize, packet: Packet): void {
  const row = front + FRONT_TRANSLATION;
  copyAddress(row + TRANSLATION_SOURCE, packet.source());
  copyAddress(row + TRANSLATION_DESTINATION, packet.destination());
  store<u32>(row, packet.ports(), TRANSLATION_PORTS);
  copyChecked(row, receivedOf(packet));
}

/** Copies CHECKED and HINT. */
export function copyChecked(to: usize, from: usize): void {
  // Side by side.
  store<u64>(to, load<u64>(from, TRANSLATION_CHECKED), TRANSLATION_CHECKED);
}

/** @returns a front with the ends that the packet had when it came, 0: there is no room */
function claim(packet: Packet): usize {
  const seen = Packet.at(base + WORKER_PACKETS + PACKET_SCRATCH);
  setEnds(seen, receivedOf(packet));
  seen.setProtocol(packet.protocol());
  seen.setFlags(0);
  hashFlow(seen);
  const known = flowFind(seen);
  if (known !== 0) return isFront(known) ? known : 0;
  const entry = flowClaim(seen);
  if (entry === 0) return 0;
  flowStart(entry, seen);
  store<u16>(entry, <u16>FLOW_FLAG_FRONT, FLOW_FLAGS);
  lead(entry, packet);
  return flowPublish(entry, seen);
}
