/**
 * The packet that an answer presupposes. Where the capture has the answer alone, because it began in between or holds
 * one direction only, the connection would otherwise seem to be opened by the end that answers.
 *
 *     SYN, ACK from b to a    ◄── SYN from a to b
 *     echo reply              ◄── echo request
 */
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_TCP } from '../../../asm/wire/protocol.ts';
import { ETHERNET_LEN, type RecordedPacket } from './recorded.ts';

/** Connections whose SYN is remembered to have been recorded; beyond that all are forgotten, which costs one packet each. */
const REMEMBERED = 1 << 16;
/** RFC 9293 §3.1: where the flags stand, and two of them. */
const TCP_FLAGS = 13;
const TCP_SYN = 0x02;
const TCP_ACK = 0x10;
/** RFC 792 and RFC 4443 §4. */
const ICMP_ECHO = 8;
const ICMP_ECHO_REPLY = 0;
const ICMPV6_ECHO = 128;
const ICMPV6_ECHO_REPLY = 129;

export class Questions {
  readonly #asked = new Set<string>();

  /** @returns what must have come before the packet and was not recorded; undefined where there is no such thing */
  before(packet: RecordedPacket): RecordedPacket | undefined {
    const { protocol, frame, transport } = packet;
    if (transport === undefined || frame.length < transport + 8) return undefined;
    const type = frame.readUInt8(transport);
    if (protocol === PROTOCOL_ICMP) return type === ICMP_ECHO_REPLY ? echo(packet, ICMP_ECHO) : undefined;
    if (protocol === PROTOCOL_ICMPV6)
      return type === ICMPV6_ECHO_REPLY ? echo(packet, ICMPV6_ECHO) : undefined;
    return protocol === PROTOCOL_TCP && frame.length >= transport + 20 ? this.#tcp(packet) : undefined;
  }

  #tcp(packet: RecordedPacket): RecordedPacket | undefined {
    const { source, destination, frame, transport = 0 } = packet;
    const flags = frame.readUInt8(transport + TCP_FLAGS) & (TCP_SYN | TCP_ACK);
    const sport = frame.readUInt16BE(transport);
    const dport = frame.readUInt16BE(transport + 2);
    if (flags === TCP_SYN) this.#remember(`${source} ${sport} ${destination} ${dport}`);
    if (flags !== (TCP_SYN | TCP_ACK) || this.#asked.has(`${destination} ${dport} ${source} ${sport}`))
      return undefined;
    const question = turned(packet);
    question.frame.writeUInt16BE(dport, transport);
    question.frame.writeUInt16BE(sport, transport + 2);
    question.frame.writeUInt32BE((frame.readUInt32BE(transport + 8) - 1) >>> 0, transport + 4);
    question.frame.writeUInt32BE(0, transport + 8);
    question.frame.writeUInt8(TCP_SYN, transport + TCP_FLAGS);
    return question;
  }

  #remember(connection: string): void {
    if (this.#asked.size >= REMEMBERED) this.#asked.clear();
    this.#asked.add(connection);
  }
}

function echo(packet: RecordedPacket, type: number): RecordedPacket {
  const question = turned(packet);
  question.frame.writeUInt8(type, packet.transport ?? 0);
  return question;
}

/** The packet the other way round; addresses add up to the same IPv4 checksum. */
function turned(packet: RecordedPacket): RecordedPacket {
  const frame = Buffer.from(packet.frame);
  const isIpv6 = packet.source.includes(':');
  const bytes = isIpv6 ? 16 : 4;
  const from = ETHERNET_LEN + (isIpv6 ? 8 : 12);
  packet.frame.copy(frame, from, from + bytes, from + 2 * bytes);
  packet.frame.copy(frame, from + bytes, from, from + bytes);
  return { ...packet, frame, source: packet.destination, destination: packet.source };
}
