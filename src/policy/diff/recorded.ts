/**
 * Packets of a capture in the form in which their policy is asked for: a frame from one pod to another, whatever was
 * around it when it was recorded.
 *
 *     recorded   │ link layer, perhaps a tunnel │ IP │ transport │ payload …
 *     asked for                      │ Ethernet │ IP │ transport │ as much as policy looks at
 */
import {
  DECODED_INNER,
  DECODED_OUTER,
  HEADERS_END,
  HEADERS_FLAGS,
  HEADERS_FRAGMENT_OFFSET,
  HEADERS_IS_FRAGMENT,
  HEADERS_L3,
  HEADERS_L4,
} from '../../../asm/layout/decoded.ts';
import { MAX_FRAME, VNET_HEADER } from '../../../asm/layout/memory.ts';
import {
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_SCTP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from '../../../asm/wire/protocol.ts';
import type { CapturedPacket } from '../../capture-file/packet.ts';
import { readDecoded } from '../../replay/decoded.ts';
import { type DecodedRecord, Inspector, type TunnelPorts } from '../../replay/inspector.ts';

export interface RecordedPacket {
  /** Room for an Ethernet header, then an IP packet, at most HEAD bytes of it. */
  readonly frame: Buffer;
  /** Bytes of the whole frame. */
  readonly frameLength: number;
  /** Bytes of the IP packet. */
  readonly ipLength: number;
  /** Addresses in the IP header. */
  readonly source: string;
  readonly destination: string;
  /** Behind IPv6 extension headers. */
  readonly protocol: number;
  /** Where in the frame the transport header begins; undefined in a fragment. */
  readonly transport: number | undefined;
  /** Nanoseconds since 1970, null where the file tells none. */
  readonly time: bigint | null;
}

/** Why there is nothing to ask: the name of a drop of the data path, or `not-ip`. */
export type Unreadable = { readonly unreadable: string };

export const ETHERNET_LEN = 14;
const ETHERTYPES = { 4: 0x0800, 6: 0x86dd };
/** Headers, and what an ICMP error quotes: at most 1232 bytes (RFC 4443 §2.4 c). */
const HEAD = 2048;
/** Bytes of the transport header that policy and connection tracking look at. */
const needed: Readonly<Record<number, number>> = {
  [PROTOCOL_TCP]: 20,
  [PROTOCOL_UDP]: 8,
  [PROTOCOL_SCTP]: 12,
  [PROTOCOL_ICMP]: 8,
  [PROTOCOL_ICMPV6]: 8,
};

const TTL_LEFT = 64;

export class Recorder {
  readonly #inspector: Inspector;
  readonly #isPod: (address: string) => boolean;

  /** @param isPod whether an address is a pod's: what pods send to each other inside a tunnel of theirs is their affair */
  constructor(ports: TunnelPorts, isPod: (address: string) => boolean) {
    this.#inspector = new Inspector(ports);
    this.#isPod = isPod;
  }

  read(packet: CapturedPacket): RecordedPacket | Unreadable {
    const record = this.#inspector.inspect(packet);
    const decoded = readDecoded(record);
    const { outer, inner, tunnel } = decoded;
    const isOuter = outer !== null && (!tunnel || this.#isPod(outer.src) || this.#isPod(outer.dst));
    const ip = isOuter ? outer : inner?.ip;
    if (!ip) return { unreadable: decoded.reason ?? 'not-ip' };
    const headers = isOuter ? DECODED_OUTER : DECODED_INNER;
    const version = ip.src.includes(':') ? 6 : 4;
    const { memory, view } = record;
    const at = view.getUint32(headers + HEADERS_L3, true);
    const end = view.getUint32(headers + HEADERS_END, true);
    const total = version === 4 ? memory.readUInt16BE(at + 2) : 40 + memory.readUInt16BE(at + 4);
    const least = version === 4 ? 20 : 40;
    const isCut = packet.data.length < packet.original || (!isOuter && isFragment(record, DECODED_OUTER));
    if (total < least || (at + total > end && !isCut))
      return { unreadable: decoded.reason ?? `ipv${version}-length` };
    if (at + total > end && !hasHeaders(record, headers, ip.protocol))
      return { unreadable: 'capture-truncated' };
    const frameLength = ETHERNET_LEN + total;
    if (frameLength > MAX_FRAME - VNET_HEADER) return { unreadable: 'frame-too-long' };
    const frame = Buffer.alloc(Math.min(frameLength, ETHERNET_LEN + HEAD));
    frame.writeUInt16BE(ETHERTYPES[version], 12);
    memory.copy(frame, ETHERNET_LEN, at, Math.min(end, at + frame.length - ETHERNET_LEN));
    restoreTtl(frame.subarray(ETHERNET_LEN), version);
    return {
      frame,
      frameLength,
      ipLength: total,
      source: ip.src,
      destination: ip.dst,
      protocol: ip.protocol,
      transport: isFragment(record, headers)
        ? undefined
        : ETHERNET_LEN + view.getUint32(headers + HEADERS_L4, true) - at,
      time: packet.time,
    };
  }
}

/** Whether what the capture holds of a packet reaches as far as policy looks. */
function hasHeaders({ view }: DecodedRecord, headers: number, protocol: number): boolean {
  if (view.getUint16(headers + HEADERS_FRAGMENT_OFFSET, true) > 0) return true;
  const there = view.getUint32(headers + HEADERS_END, true) - view.getUint32(headers + HEADERS_L4, true);
  return there >= (needed[protocol] ?? 0);
}

const isFragment = ({ bytes }: DecodedRecord, headers: number): boolean =>
  ((bytes[headers + HEADERS_FLAGS] as number) & HEADERS_IS_FRAGMENT) !== 0;

/** At the receiver a packet has fewer hops left than the sender's node asks for. */
function restoreTtl(ip: Buffer, version: 4 | 6): void {
  if (version === 6) ip.writeUInt8(TTL_LEFT, 7);
  else setIpv4Word(ip, 8, (TTL_LEFT << 8) | ip.readUInt8(9));
}

/** Sets 16 bits of an IPv4 header; the checksum follows (RFC 1624), so that one that was wrong stays so. */
export function setIpv4Word(ip: Buffer, at: number, value: number): void {
  let sum = (~ip.readUInt16BE(10) & 0xffff) + (~ip.readUInt16BE(at) & 0xffff) + value;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  ip.writeUInt16BE(value, at);
  ip.writeUInt16BE(~sum & 0xffff, 10);
}
