/** Events of connections, written into the worker's ring (asm/layout/events.ts). */
import {
  CLOSED_EVICTED,
  CLOSED_EXPIRED,
  CLOSED_FINISHED,
  CLOSED_RESET,
  DENIAL_COUNT,
  DENIAL_HASH,
  DENIAL_SIZE,
  DENIAL_TIME,
  DENIALS,
  EVENT_BYTES_FORWARD,
  EVENT_BYTES_REVERSE,
  EVENT_CELL,
  EVENT_CLOSED,
  EVENT_DENIED,
  EVENT_DESTINATION,
  EVENT_FPORT,
  EVENT_FRONTEND,
  EVENT_KIND,
  EVENT_OPENED,
  EVENT_PACKETS_FORWARD,
  EVENT_PACKETS_REVERSE,
  EVENT_PROTOCOL,
  EVENT_REASON,
  EVENT_SIZE,
  EVENT_SOURCE,
  EVENT_SPORT,
  EVENT_TIME,
  EVENT_VERDICT,
  EVENTS,
} from '../layout/events';
import {
  FLOW_BYTES_FORWARD,
  FLOW_BYTES_REVERSE,
  FLOW_FLAG_TOLD,
  FLOW_FLAG_TRANSLATED,
  FLOW_FLAGS,
  FLOW_IS_CLOSED,
  FLOW_IS_RESET,
  FLOW_JUDGED,
  FLOW_OPORT,
  FLOW_ORIGINATOR,
  FLOW_PACKETS_FORWARD,
  FLOW_PACKETS_REVERSE,
  FLOW_PROTOCOL,
  FLOW_RESPONDER,
  FLOW_STATE,
  TRANSLATION_DESTINATION,
  TRANSLATION_PORTS,
  TRANSLATION_SOURCE,
} from '../layout/flows';
import { WORKER_DENIALS, WORKER_EVENT_HEAD, WORKER_EVENT_TAIL, WORKER_EVENTS } from '../layout/memory';
import { PACKET_IS_FOR_SERVICE } from '../layout/packet';
import { STAT_EVENTS_LOST } from '../layout/tables';
import { Packet } from '../packet';
import { copyAddress } from '../wire/address';
import { base, now } from '../worker';
import { countStat } from './counters';
import { translationOf } from './flow';
import { receivedOf } from './received';

/** Milliseconds between two events of a flow whose packets are denied. */
const DENIAL_INTERVAL: u32 = 10_000;

/** The next row, cleared but for kind and time; 0: the ring is full. */
function next(kind: u32): usize {
  const head = load<u32>(base + WORKER_EVENT_HEAD);
  if (head - atomic.load<u32>(base + WORKER_EVENT_TAIL) >= EVENTS) {
    countStat(STAT_EVENTS_LOST, 1);
    return 0;
  }
  const row = base + WORKER_EVENTS + (head & (EVENTS - 1)) * EVENT_SIZE;
  memory.fill(row, 0, EVENT_SIZE);
  store<u8>(row, <u8>kind, EVENT_KIND);
  store<u32>(row, now, EVENT_TIME);
  return row;
}

/** Lets the control thread see the row that was just written. */
function publish(): void {
  const head = base + WORKER_EVENT_HEAD;
  atomic.store<u32>(head, load<u32>(head) + 1);
}

/** A flow begins. */
export function eventOpened(flow: usize, cell: u32): void {
  const row = next(EVENT_OPENED);
  if (row === 0) return;
  writeEnds(row, flow);
  store<u32>(row, cell, EVENT_CELL);
  publish();
}

/** A flow ends, with what went through it; told once. `isExpired`: it has been silent for too long. */
export function eventClosed(flow: usize, isExpired: bool): void {
  if (atomic.or<u16>(flow, <u16>FLOW_FLAG_TOLD, FLOW_FLAGS) & <u16>FLOW_FLAG_TOLD) return;
  const row = next(EVENT_CLOSED);
  if (row === 0) return;
  const state = <u32>load<u8>(flow, FLOW_STATE);
  let reason: u32 = isExpired ? CLOSED_EXPIRED : CLOSED_EVICTED;
  if (state === FLOW_IS_CLOSED) reason = CLOSED_FINISHED;
  else if (state === FLOW_IS_RESET) reason = CLOSED_RESET;
  writeEnds(row, flow);
  store<u8>(row, <u8>reason, EVENT_REASON);
  store<u32>(row, <u32>load<u64>(flow, FLOW_JUDGED), EVENT_CELL);
  store<u64>(row, load<u64>(flow, FLOW_PACKETS_FORWARD), EVENT_PACKETS_FORWARD);
  store<u64>(row, load<u64>(flow, FLOW_PACKETS_REVERSE), EVENT_PACKETS_REVERSE);
  store<u64>(row, load<u64>(flow, FLOW_BYTES_FORWARD), EVENT_BYTES_FORWARD);
  store<u64>(row, load<u64>(flow, FLOW_BYTES_REVERSE), EVENT_BYTES_REVERSE);
  publish();
}

function writeEnds(row: usize, flow: usize): void {
  copyAddress(row + EVENT_SOURCE, flow + FLOW_ORIGINATOR);
  copyAddress(row + EVENT_DESTINATION, flow + FLOW_RESPONDER);
  store<u32>(row, load<u32>(flow, FLOW_OPORT), EVENT_SPORT);
  if (<u32>load<u16>(flow, FLOW_FLAGS) & FLOW_FLAG_TRANSLATED) writeFrontend(row, translationOf(flow));
  store<u8>(row, load<u8>(flow, FLOW_PROTOCOL), EVENT_PROTOCOL);
}

/** The ends that the client sees: itself, and where it knocked. */
function writeFrontend(row: usize, seen: usize): void {
  copyAddress(row + EVENT_SOURCE, seen + TRANSLATION_SOURCE);
  copyAddress(row + EVENT_FRONTEND, seen + TRANSLATION_DESTINATION);
  const ports = load<u32>(seen, TRANSLATION_PORTS);
  store<u16>(row, <u16>ports, EVENT_SPORT);
  store<u16>(row, <u16>(ports >> 16), EVENT_FPORT);
}

/**
 * Policy or connection tracking has dropped a packet; told once an interval for each flow and verdict, with
 * the number of packets.
 */
export function eventDenied(packet: Packet): void {
  const hash = packet.hash() ^ (<u32>packet.verdict() * 0x9e3779b1);
  const row = base + WORKER_DENIALS + (hash & (DENIALS - 1)) * DENIAL_SIZE;
  const known: u32 = load<u32>(row, DENIAL_HASH) === hash ? load<u32>(row, DENIAL_COUNT) : 0;
  if (known !== 0 && now - load<u32>(row, DENIAL_TIME) < DENIAL_INTERVAL) {
    store<u32>(row, known + 1, DENIAL_COUNT);
    return;
  }
  const event = next(EVENT_DENIED);
  if (event === 0) return;
  store<u32>(row, hash, DENIAL_HASH);
  store<u32>(row, now, DENIAL_TIME);
  store<u32>(row, 1, DENIAL_COUNT);
  copyAddress(event + EVENT_SOURCE, packet.source());
  copyAddress(event + EVENT_DESTINATION, packet.destination());
  store<u32>(event, packet.ports(), EVENT_SPORT);
  store<u8>(event, <u8>packet.protocol(), EVENT_PROTOCOL);
  if (packet.has(PACKET_IS_FOR_SERVICE)) writeFrontend(event, receivedOf(packet));
  store<u32>(event, packet.verdict(), EVENT_VERDICT);
  store<u32>(event, packet.decision(), EVENT_CELL);
  store<u64>(event, <u64>max(known, 1), EVENT_PACKETS_FORWARD);
  publish();
}
