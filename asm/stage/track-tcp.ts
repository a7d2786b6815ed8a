/**
 * TCP connections: how far each has come, and which of its segments may say so.
 *
 *      0        1             2                  3             4             5
 *      SYN ──► NEW ─SYN+ACK─► ANSWERED ──ACK──► ESTABLISHED ─FIN─► CLOSING ─FIN─► CLOSED
 *               └──────────────── a RST that the receiver would obey ──────────────► RESET
 *
 * A segment outside the windows that both sides have opened (RFC 9293 §3.10.7.4, as Linux'
 * nf_conntrack_proto_tcp.c checks it) moves nothing. It passes on: its receiver has to answer it
 * (RFC 5961 §3, §4), or a peer that has restarted would never learn that the other has not.
 */
import {
  DIRECTION_FORWARD,
  FIRST_CLIENT_PORT,
  FLOW_FLAG_PICKED_UP,
  FLOW_FLAGS,
  FLOW_IS_ANSWERED,
  FLOW_IS_CLOSED,
  FLOW_IS_CLOSING,
  FLOW_IS_ESTABLISHED,
  FLOW_IS_NEW,
  FLOW_IS_RESET,
  FLOW_MARK_FIN,
  FLOW_MARK_SCALES,
  FLOW_MARK_SPOKEN,
  FLOW_MARKS_FORWARD,
  FLOW_SCALE_FORWARD,
  FLOW_SENT_FORWARD,
  FLOW_SENT_SIZE,
  FLOW_STATE,
  SENT_ACK,
  SENT_END,
  SENT_WINDOW,
} from '../layout/flows';
import { Packet } from '../packet';
import { MAX_SCALE, NO_SCALE, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, Tcp, windowScale } from '../wire/tcp';

/** The flags that decide. */
const DECIDING: u32 = TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST;
/** Combinations of them that a segment can have, a bit each: SYN, RST and nothing else go without ACK. */
const POSSIBLE: u32 =
  (1 << TCP_SYN) |
  (1 << (TCP_SYN | TCP_ACK)) |
  (1 << TCP_RST) |
  (1 << (TCP_RST | TCP_ACK)) |
  (1 << TCP_ACK) |
  (1 << (TCP_FIN | TCP_ACK));

/** Old acknowledgements that still count, in bytes: MAXACKWINCONST of Linux. */
const OLD_ACK: i32 = 66_000;
/** Bytes that a SYN may carry without their being acknowledged with it (RFC 7413). */
const SYN_DATA: u32 = 1_500;

/** Whether any segment can have these flags. */
export function isTcpPossible(flags: u32): bool {
  return ((POSSIBLE >> (flags & DECIDING)) & 1) !== 0;
}

/** Whether these flags ask for a connection. */
export function isTcpSyn(flags: u32): bool {
  return (flags & (TCP_SYN | TCP_ACK)) === TCP_SYN;
}

/** Whether a segment in the middle of a connection has these flags. */
export function isTcpMiddle(flags: u32): bool {
  return (flags & DECIDING) === TCP_ACK;
}

/** Whether it can be told by the ports that the sender opened the connection: a client's port to a server's. */
export function isFromClient(packet: Packet): bool {
  return packet.sport() >= FIRST_CLIENT_PORT && packet.dport() < FIRST_CLIENT_PORT;
}

/** Begins the connection of a flow with its first segment, a SYN or one from the middle. */
export function tcpStart(flow: usize, packet: Packet): void {
  const isSyn = isTcpSyn(packet.tcpFlags());
  const sent = flow + FLOW_SENT_FORWARD;
  begin(flow, DIRECTION_FORWARD, packet, isSyn);
  store<u32>(sent + FLOW_SENT_SIZE, 0, SENT_END);
  store<u64>(sent + FLOW_SENT_SIZE, 0, SENT_ACK);
  store<u16>(flow, <u16>(isSyn ? 0 : MAX_SCALE), FLOW_SCALE_FORWARD + 2);
  if (!isSyn) store<u16>(flow, load<u16>(flow, FLOW_FLAGS) | <u16>FLOW_FLAG_PICKED_UP, FLOW_FLAGS);
}

/** Takes what one side sends as its first: `isSyn` with the options of a handshake, or the shift is not known. */
function begin(flow: usize, direction: u32, packet: Packet, isSyn: bool): void {
  const p = packet.transport();
  const tcp = Tcp.at(p);
  const sent = flow + FLOW_SENT_FORWARD + direction * FLOW_SENT_SIZE;
  const option: u32 = isSyn ? windowScale(p) : NO_SCALE;
  const scale: u32 = isSyn ? (option === NO_SCALE ? 0 : option) : MAX_SCALE;
  store<u32>(sent, endOf(packet, tcp), SENT_END);
  store<u32>(sent, packet.tcpFlags() & TCP_ACK ? tcp.acknowledgement() : 0, SENT_ACK);
  // The window of a SYN is never scaled (RFC 7323 §2.2).
  store<u32>(sent, max(isSyn ? tcp.window() : tcp.window() << scale, 1), SENT_WINDOW);
  const at = flow + (direction << 1);
  store<u8>(at, <u8>scale, FLOW_SCALE_FORWARD);
  store<u8>(at, <u8>(FLOW_MARK_SPOKEN | (option === NO_SCALE ? 0 : FLOW_MARK_SCALES)), FLOW_MARKS_FORWARD);
}

/** Behind the last sequence number of a segment, or of a superframe (RFC 9293 §3.4: SYN and FIN count one). */
function endOf(packet: Packet, tcp: Tcp): u32 {
  const flags = packet.tcpFlags();
  return (
    tcp.sequence() + packet.end() - packet.payload() + ((flags & TCP_SYN) !== 0 ? 1 : 0) + (flags & TCP_FIN)
  );
}

/** Moves the connection on by a segment of it. */
export function tcpSeen(flow: usize, packet: Packet, direction: u32): void {
  const flags = packet.tcpFlags();
  const state = <u32>load<u8>(flow, FLOW_STATE);
  if ((flags & (TCP_SYN | TCP_RST)) !== 0 || state < FLOW_IS_ESTABLISHED) {
    handshake(flow, packet, direction, flags, state);
    return;
  }
  if (advance(flow, packet, direction) && (flags & TCP_FIN) !== 0) finished(flow, direction);
}

/** A SYN, a RST, or a segment before both sides are known to have agreed. */
function handshake(flow: usize, packet: Packet, direction: u32, flags: u32, state: u32): void {
  const mine = flow + FLOW_SENT_FORWARD + direction * FLOW_SENT_SIZE;
  const other = flow + FLOW_SENT_FORWARD + (direction ^ 1) * FLOW_SENT_SIZE;
  const hasSpoken = (<u32>load<u8>(flow + (direction << 1), FLOW_MARKS_FORWARD) & FLOW_MARK_SPOKEN) !== 0;
  const hasOther =
    (<u32>load<u8>(flow + ((direction ^ 1) << 1), FLOW_MARKS_FORWARD) & FLOW_MARK_SPOKEN) !== 0;
  const tcp = Tcp.at(packet.transport());
  if (flags & TCP_RST) {
    // RFC 5961 §3.2: the exact number that the receiver expects. A SYN is refused by acknowledging it.
    const isObeyed =
      state === FLOW_IS_NEW && !hasSpoken
        ? (flags & TCP_ACK) !== 0 && tcp.acknowledgement() === load<u32>(other, SENT_END)
        : tcp.sequence() === load<u32>(mine, SENT_END) ||
          (hasOther && tcp.sequence() === load<u32>(other, SENT_ACK));
    if (isObeyed) store<u8>(flow, <u8>FLOW_IS_RESET, FLOW_STATE);
    return;
  }
  if (!(flags & TCP_ACK)) return;
  if (
    !hasSpoken ||
    (state === FLOW_IS_ANSWERED && direction !== DIRECTION_FORWARD && (flags & TCP_SYN) !== 0)
  ) {
    answered(flow, packet, direction, other);
    return;
  }
  if (flags & TCP_SYN || !hasOther) return;
  if (!advance(flow, packet, direction)) return;
  if (direction === DIRECTION_FORWARD) rise(flow, FLOW_IS_ESTABLISHED);
  if (flags & TCP_FIN) finished(flow, direction);
}

/** The responder's first segment: a SYN+ACK, or any where the connection was taken up in the middle. */
function answered(flow: usize, packet: Packet, direction: u32, other: usize): void {
  const isSyn = (packet.tcpFlags() & TCP_SYN) !== 0;
  const isPickedUp = (<u32>load<u16>(flow, FLOW_FLAGS) & FLOW_FLAG_PICKED_UP) !== 0;
  if (isSyn === isPickedUp) return;
  const behind = <i32>(load<u32>(other, SENT_END) - Tcp.at(packet.transport()).acknowledgement());
  // A keep-alive, which may be what was taken up, is answered with one number more.
  if (isSyn ? <u32>behind >= SYN_DATA : behind < -1 || behind > OLD_ACK) return;
  begin(flow, direction, packet, isSyn);
  if (isSyn) {
    const both =
      <u32>load<u8>(flow, FLOW_MARKS_FORWARD) &
      <u32>load<u8>(flow, FLOW_MARKS_FORWARD + 2) &
      FLOW_MARK_SCALES;
    if (both === 0) {
      store<u8>(flow, 0, FLOW_SCALE_FORWARD);
      store<u8>(flow, 0, FLOW_SCALE_FORWARD + 2);
    }
  }
  rise(flow, isSyn ? FLOW_IS_ANSWERED : FLOW_IS_ESTABLISHED);
}

function finished(flow: usize, direction: u32): void {
  const mine = flow + (direction << 1);
  store<u8>(mine, load<u8>(mine, FLOW_MARKS_FORWARD) | <u8>FLOW_MARK_FIN, FLOW_MARKS_FORWARD);
  const other = <u32>load<u8>(flow + ((direction ^ 1) << 1), FLOW_MARKS_FORWARD);
  rise(flow, other & FLOW_MARK_FIN ? FLOW_IS_CLOSED : FLOW_IS_CLOSING);
}

function rise(flow: usize, state: u32): void {
  if (<u32>load<u8>(flow, FLOW_STATE) < state) store<u8>(flow, <u8>state, FLOW_STATE);
}

/**
 * Takes a segment of a side whose first one is known, where it lies in the window.
 *
 *     other: largest ack ──────────── + largest window ─┐
 *     mine:        end − window − 1 ≤ … sequence ≤ ─────┘
 */
function advance(flow: usize, packet: Packet, direction: u32): bool {
  const mine = flow + FLOW_SENT_FORWARD + direction * FLOW_SENT_SIZE;
  const other = flow + FLOW_SENT_FORWARD + (direction ^ 1) * FLOW_SENT_SIZE;
  const tcp = Tcp.at(packet.transport());
  const sequence = tcp.sequence();
  const ack = tcp.acknowledgement();
  const end = endOf(packet, tcp);
  const granted = load<u32>(other, SENT_WINDOW);
  const offered = load<u32>(mine, SENT_WINDOW);
  const ahead = <i32>(end - load<u32>(mine, SENT_END));
  const acknowledged = <i32>(ack - load<u32>(other, SENT_END));
  if (
    <i32>(sequence - load<u32>(other, SENT_ACK) - granted) > 0 ||
    ahead + <i32>granted + 1 < 0 ||
    acknowledged > 0 ||
    acknowledged + max(<i32>offered, OLD_ACK) < 0
  )
    return false;
  if (ahead > 0) store<u32>(mine, end, SENT_END);
  if (<i32>(ack - load<u32>(mine, SENT_ACK)) > 0) store<u32>(mine, ack, SENT_ACK);
  const window = tcp.window() << (<u32>load<u8>(flow + (direction << 1), FLOW_SCALE_FORWARD));
  if (window > offered) store<u32>(mine, window, SENT_WINDOW);
  return true;
}
