/**
 * SCTP associations, RFC 9260: INIT, INIT ACK, COOKIE ECHO, COOKIE ACK, and the tags that prove them.
 *
 * A side's INIT or INIT ACK names the tag that packets to it must carry. A chunk under another tag
 * moves nothing.
 */
import {
  FLOW_FLAG_PICKED_UP,
  FLOW_FLAGS,
  FLOW_IS_ANSWERED,
  FLOW_IS_ESTABLISHED,
  FLOW_IS_NEW,
  FLOW_IS_RESET,
  FLOW_SENT_FORWARD,
  FLOW_SENT_SIZE,
  FLOW_STATE,
  SENT_END,
} from '../layout/flows';
import { Packet } from '../packet';
import {
  SCTP_ABORT,
  SCTP_CHUNK_LEN,
  SCTP_COOKIE_ACK,
  SCTP_FLAG_T,
  SCTP_INIT,
  SCTP_INIT_ACK,
  SCTP_INIT_LEN,
  SCTP_SHUTDOWN_COMPLETE,
  Sctp,
} from '../wire/sctp';

/** DATA, SACK, HEARTBEAT and HEARTBEAT ACK, a bit each: what the middle of an association consists of. */
const MIDDLE: u32 = 0x39;
/** Value of chunkOf() where there is none. */
const NO_CHUNK: u32 = 0xff;

/** Type of the first chunk. */
function chunkOf(packet: Packet): u32 {
  if (packet.payload() + SCTP_CHUNK_LEN > packet.end()) return NO_CHUNK;
  return <u32>load<u8>(packet.data() + packet.payload());
}

/** Whether any association can have this packet: tag 0 goes with a lone, whole INIT and with nothing else (§8.5.1). */
export function isSctpPossible(packet: Packet): bool {
  const chunk = chunkOf(packet);
  if (chunk === NO_CHUNK) return true;
  const tag = Sctp.at(packet.transport()).tag();
  if (chunk !== SCTP_INIT) return tag !== 0;
  const p = packet.data() + packet.payload();
  const bytes = packet.end() - packet.payload();
  const length = <u32>bswap<u16>(load<u16>(p, 2));
  return (
    tag === 0 &&
    length >= SCTP_INIT_LEN &&
    length <= bytes &&
    ((length + 3) & ~3) >= bytes &&
    load<u32>(p, 4) !== 0
  );
}

/** Whether it asks for an association. */
export function isSctpInit(packet: Packet): bool {
  return chunkOf(packet) === SCTP_INIT;
}

/** Whether it comes from the middle of an association. */
export function isSctpMiddle(packet: Packet): bool {
  const chunk = chunkOf(packet);
  return chunk < 32 && ((MIDDLE >> chunk) & 1) !== 0;
}

/** Begins the association of a flow with its first packet, an INIT or one from the middle. */
export function sctpStart(flow: usize, packet: Packet): void {
  const sent = flow + FLOW_SENT_FORWARD;
  const isInit = isSctpInit(packet);
  store<u32>(sent, isInit ? 0 : Sctp.at(packet.transport()).tag(), SENT_END);
  store<u32>(sent + FLOW_SENT_SIZE, isInit ? initiateTag(packet) : 0, SENT_END);
  if (!isInit) store<u16>(flow, load<u16>(flow, FLOW_FLAGS) | <u16>FLOW_FLAG_PICKED_UP, FLOW_FLAGS);
}

/** Tag that packets to the sender of an INIT or INIT ACK must carry. */
function initiateTag(packet: Packet): u32 {
  return load<u32>(packet.data() + packet.payload(), 4);
}

/** Moves the association on by a packet of it. */
export function sctpSeen(flow: usize, packet: Packet, direction: u32): void {
  const mine = flow + FLOW_SENT_FORWARD + direction * FLOW_SENT_SIZE;
  const other = flow + FLOW_SENT_FORWARD + (direction ^ 1) * FLOW_SENT_SIZE;
  const state = <u32>load<u8>(flow, FLOW_STATE);
  const tag = Sctp.at(packet.transport()).tag();
  const expected = load<u32>(mine, SENT_END);
  const chunk = chunkOf(packet);
  if (chunk === SCTP_ABORT || chunk === SCTP_SHUTDOWN_COMPLETE) {
    const isReflected = (<u32>load<u8>(packet.data() + packet.payload(), 1) & SCTP_FLAG_T) !== 0;
    const wanted = isReflected ? load<u32>(other, SENT_END) : expected;
    if (wanted !== 0 && tag === wanted) store<u8>(flow, <u8>FLOW_IS_RESET, FLOW_STATE);
    return;
  }
  if (chunk === SCTP_INIT || chunk === NO_CHUNK) return;
  if (expected === 0) {
    // The responder of an association that was taken up in the middle: its first packet says the tag.
    if (!(<u32>load<u16>(flow, FLOW_FLAGS) & FLOW_FLAG_PICKED_UP)) return;
    store<u32>(mine, tag, SENT_END);
    if (state === FLOW_IS_NEW) store<u8>(flow, <u8>FLOW_IS_ESTABLISHED, FLOW_STATE);
    return;
  }
  if (tag !== expected) return;
  if (chunk === SCTP_INIT_ACK && state === FLOW_IS_NEW) {
    if (packet.payload() + SCTP_INIT_LEN > packet.end() || initiateTag(packet) === 0) return;
    store<u32>(other, initiateTag(packet), SENT_END);
    store<u8>(flow, <u8>FLOW_IS_ANSWERED, FLOW_STATE);
  } else if (chunk === SCTP_COOKIE_ACK && state === FLOW_IS_ANSWERED) {
    store<u8>(flow, <u8>FLOW_IS_ESTABLISHED, FLOW_STATE);
  }
}
