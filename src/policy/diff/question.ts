/**
 * Packets that must have come before a recorded one, where the capture began in between or holds one direction only.
 * Put to the data path first, they let it know who opened the connection.
 *
 *     SYN, ACK from b to a             ◄── SYN from a to b
 *     segment between a and b          ◄── SYN, SYN-ACK and ACK, from a, as far as can be told the client
 *     echo reply from b to a           ◄── echo request from a to b
 */
import { FIRST_CLIENT_PORT } from '../../../asm/layout/flows.ts';
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP } from '../../../asm/wire/protocol.ts';
import { ETHERNET_LEN, type RecordedPacket, setIpv4Word } from './recorded.ts';

/** TCP connections that are remembered to have been met; beyond that all are forgotten, and their handshakes put again. */
const REMEMBERED = 1 << 16;
/** RFC 9293 §3.1. */
const TCP_LEN = 20;
const SEQUENCE = 4;
const ACKNOWLEDGEMENT = 8;
const DATA_OFFSET = 12;
const FLAGS = 13;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
/** RFC 792 and RFC 4443 §4. */
const ICMP_ECHO = 8;
const ICMP_ECHO_REPLY = 0;
const ICMPV6_ECHO = 128;
const ICMPV6_ECHO_REPLY = 129;

export class Questions {
  readonly #met = new Set<string>();

  /** What must have come before the packet and was not recorded, in order. */
  before(packet: RecordedPacket): readonly RecordedPacket[] {
    const { protocol, frame, transport } = packet;
    if (transport === undefined || frame.length < transport + 8) return [];
    const type = frame.readUInt8(transport);
    if (protocol === PROTOCOL_ICMP && type === ICMP_ECHO_REPLY) return [echo(packet, ICMP_ECHO)];
    if (protocol === PROTOCOL_ICMPV6 && type === ICMPV6_ECHO_REPLY) return [echo(packet, ICMPV6_ECHO)];
    return protocol === PROTOCOL_TCP && frame.length >= transport + TCP_LEN ? this.#tcp(packet) : [];
  }

  #tcp(packet: RecordedPacket): readonly RecordedPacket[] {
    const { source, destination, frame, transport = 0 } = packet;
    const sport = frame.readUInt16BE(transport);
    const dport = frame.readUInt16BE(transport + 2);
    const ends = [`${source} ${sport}`, `${destination} ${dport}`];
    const connection = ends.sort().join(' ');
    if (this.#met.has(connection)) return [];
    if (this.#met.size >= REMEMBERED) this.#met.clear();
    this.#met.add(connection);
    const flags = frame.readUInt8(transport + FLAGS);
    if ((flags & (ACK | RST)) !== ACK) return [];
    const isAnswer = (flags & SYN) !== 0;
    const isFromServer = sport < FIRST_CLIENT_PORT && dport >= FIRST_CLIENT_PORT;
    const handshake = handshakeBefore(packet, isAnswer || isFromServer);
    return isAnswer ? handshake.slice(0, 1) : handshake;
  }
}

/** The three segments that opened the connection of a packet from one side of it. */
function handshakeBefore(packet: RecordedPacket, isFromResponder: boolean): RecordedPacket[] {
  const { frame, transport = 0 } = packet;
  const own = withoutPayload(packet);
  const other = turned(own);
  const next = frame.readUInt32BE(transport + SEQUENCE);
  const expected = frame.readUInt32BE(transport + ACKNOWLEDGEMENT);
  const [opener, responder] = isFromResponder ? [other, own] : [own, other];
  const [sent, answered] = isFromResponder ? [expected, next] : [next, expected];
  return [
    segment(opener, sent - 1, 0, SYN),
    segment(responder, answered - 1, sent, SYN | ACK),
    segment(opener, sent, answered, ACK),
  ];
}

function segment(
  model: RecordedPacket,
  sequence: number,
  acknowledgement: number,
  flags: number,
): RecordedPacket {
  const { transport = 0 } = model;
  const frame = Buffer.from(model.frame);
  frame.writeUInt32BE(sequence >>> 0, transport + SEQUENCE);
  frame.writeUInt32BE(acknowledgement, transport + ACKNOWLEDGEMENT);
  frame.writeUInt8(flags, transport + FLAGS);
  return { ...model, frame };
}

function withoutPayload(packet: RecordedPacket): RecordedPacket {
  const { transport = 0 } = packet;
  const end = transport + (packet.frame.readUInt8(transport + DATA_OFFSET) >> 4) * 4;
  const frameLength = Math.min(end, packet.frameLength);
  const frame = Buffer.from(packet.frame.subarray(0, frameLength));
  const ip = frame.subarray(ETHERNET_LEN);
  if (isIpv6(packet)) ip.writeUInt16BE(frameLength - ETHERNET_LEN - 40, 4);
  else setIpv4Word(ip, 2, frameLength - ETHERNET_LEN);
  return { ...packet, frame, frameLength };
}

function echo(packet: RecordedPacket, type: number): RecordedPacket {
  const frame = Buffer.from(packet.frame);
  swapAddresses(packet, frame);
  frame.writeUInt8(type, packet.transport ?? 0);
  return { ...packet, frame, source: packet.destination, destination: packet.source };
}

/** A TCP segment from the other side. */
function turned(packet: RecordedPacket): RecordedPacket {
  const { transport = 0 } = packet;
  const frame = Buffer.from(packet.frame);
  swapAddresses(packet, frame);
  packet.frame.copy(frame, transport, transport + 2, transport + 4);
  packet.frame.copy(frame, transport + 2, transport, transport + 2);
  return { ...packet, frame, source: packet.destination, destination: packet.source };
}

/** They add up to the same IPv4 checksum. */
function swapAddresses(packet: RecordedPacket, frame: Buffer): void {
  const bytes = isIpv6(packet) ? 16 : 4;
  const from = ETHERNET_LEN + (isIpv6(packet) ? 8 : 12);
  packet.frame.copy(frame, from, from + bytes, from + 2 * bytes);
  packet.frame.copy(frame, from + bytes, from, from + bytes);
}

const isIpv6 = ({ source }: RecordedPacket): boolean => source.includes(':');
