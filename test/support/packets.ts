// Packets built byte by byte, slowly and obviously: the oracle that the data path's own bytes are compared with.
// Shares nothing with asm/. All numbers are big-endian on the wire unless said otherwise.
import { address } from '../../src/net/address.ts';

export const TCP = 6;
export const UDP = 17;
export const ICMP = 1;
export const ICMPV6 = 58;
export const SCTP = 132;

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;
export const ECE = 0x40;
export const CWR = 0x80;

export const concat = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

/** A number as `bytes` bytes, most significant first. */
export const be = (value: number, bytes: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * (bytes - 1 - i))) % 256);

/** A number as `bytes` bytes, least significant first. */
export const le = (value: number, bytes: number): Uint8Array => be(value, bytes).reverse();

/** The number that stands at `at`. */
export const number = (bytes: Uint8Array, at: number, length: number): number =>
  bytes.subarray(at, at + length).reduce((value, byte) => value * 256 + byte, 0);

export const isIpv4 = (text: string): boolean => text.includes('.');

/** 4 or 16 bytes. */
export const ip = (text: string): Uint8Array => address(text).bytes.slice(isIpv4(text) ? 12 : 0);

/** 16 bytes, IPv4 mapped. */
export const ip16 = (text: string): Uint8Array => address(text).bytes.slice();

export const mac = (text: string): Uint8Array => fromHex(text.replaceAll(':', ''));

/** RFC 1071: complement of the one's complement sum of 16-bit words. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] as number) * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return 0xffff - sum;
}

/** Pseudo-header of RFC 9293 §3.1 or RFC 8200 §8.1. */
export const pseudoHeader = (src: string, dst: string, protocol: number, length: number): Uint8Array =>
  isIpv4(dst)
    ? concat(ip(src), ip(dst), be(0, 1), be(protocol, 1), be(length, 2))
    : concat(ip(src), ip(dst), be(length, 4), be(0, 3), be(protocol, 1));

/** What a sender that offloads checksums leaves in the field: the pseudo-header's sum alone. */
export const partialChecksum = (src: string, dst: string, protocol: number, length: number): number =>
  0xffff - checksum(pseudoHeader(src, dst, protocol, length));

export interface Addresses {
  readonly src: string;
  readonly dst: string;
}

/** 'full', 'partial', or the very value. */
export type ChecksumField = 'full' | 'partial' | number;

function finished(
  header: Uint8Array,
  payload: Uint8Array,
  field: number,
  protocol: number,
  how: ChecksumField,
  { src, dst }: Addresses,
): Uint8Array {
  const bytes = concat(header, payload);
  let value = how;
  if (value === 'partial') value = partialChecksum(src, dst, protocol, bytes.length);
  if (value === 'full') {
    value = checksum(concat(pseudoHeader(src, dst, protocol, bytes.length), bytes));
    if (value === 0 && protocol === UDP) value = 0xffff;
  }
  bytes.set(be(value, 2), field);
  return bytes;
}

export interface TcpFields {
  readonly sport?: number;
  readonly dport?: number;
  readonly seq?: number;
  readonly ack?: number;
  readonly flags?: number;
  readonly window?: number;
  readonly urgent?: number;
  /** Multiple of four bytes. */
  readonly options?: Uint8Array;
  readonly checksum?: ChecksumField;
}

export function tcp(
  between: Addresses,
  fields: TcpFields,
  payload: Uint8Array = new Uint8Array(),
): Uint8Array {
  const { sport = 40000, dport = 80, seq = 1, ack = 1, flags = ACK, window = 512, urgent = 0 } = fields;
  const options = fields.options ?? new Uint8Array();
  const header = concat(
    be(sport, 2),
    be(dport, 2),
    be(seq, 4),
    be(ack, 4),
    be((5 + options.length / 4) * 16, 1),
    be(flags, 1),
    be(window, 2),
    be(0, 2),
    be(urgent, 2),
    options,
  );
  return finished(header, payload, 16, TCP, fields.checksum ?? 'full', between);
}

export interface UdpFields {
  readonly sport?: number;
  readonly dport?: number;
  readonly length?: number;
  readonly checksum?: ChecksumField;
}

export function udp(
  between: Addresses,
  fields: UdpFields,
  payload: Uint8Array = new Uint8Array(),
): Uint8Array {
  const { sport = 40000, dport = 53, length = 8 + payload.length } = fields;
  const header = concat(be(sport, 2), be(dport, 2), be(length, 2), be(0, 2));
  return finished(header, payload, 6, UDP, fields.checksum ?? 'full', between);
}

export function icmp(type: number, code: number, rest: Uint8Array, body: Uint8Array): Uint8Array {
  const bytes = concat(be(type, 1), be(code, 1), be(0, 2), rest, body);
  bytes.set(be(checksum(bytes), 2), 2);
  return bytes;
}

export function icmp6(
  between: Addresses,
  type: number,
  code: number,
  rest: Uint8Array,
  body: Uint8Array,
): Uint8Array {
  const header = concat(be(type, 1), be(code, 1), be(0, 2), rest);
  return finished(header, body, 2, ICMPV6, 'full', between);
}

export interface IpFields extends Addresses {
  readonly protocol?: number;
  readonly ttl?: number;
  readonly tos?: number;
  /** IPv4. */
  readonly id?: number;
  readonly df?: boolean;
  readonly mf?: boolean;
  /** Bytes. */
  readonly offset?: number;
  readonly options?: Uint8Array;
  /** IPv6. */
  readonly flow?: number;
  /** Extension headers, first byte of each the next header, which is filled in here; `first` is the type of the first. */
  readonly extensions?: readonly { readonly type: number; readonly bytes: Uint8Array }[];
}

export function ipv4(fields: IpFields, payload: Uint8Array): Uint8Array {
  const { protocol = UDP, ttl = 64, tos = 0, id = 0, df = true, mf = false, offset = 0 } = fields;
  const options = fields.options ?? new Uint8Array();
  const header = concat(
    be(0x40 + 5 + options.length / 4, 1),
    be(tos, 1),
    be(20 + options.length + payload.length, 2),
    be(id, 2),
    be((df ? 0x4000 : 0) + (mf ? 0x2000 : 0) + offset / 8, 2),
    be(ttl, 1),
    be(protocol, 1),
    be(0, 2),
    ip(fields.src),
    ip(fields.dst),
    options,
  );
  header.set(be(checksum(header), 2), 10);
  return concat(header, payload);
}

export function ipv6(fields: IpFields, payload: Uint8Array): Uint8Array {
  const { protocol = UDP, ttl = 64, tos = 0, flow = 0, extensions = [] } = fields;
  const types = [...extensions.map(({ type }) => type), protocol];
  const chain = extensions.map(({ bytes }, i) => concat(be(types[i + 1] as number, 1), bytes.subarray(1)));
  const body = concat(...chain, payload);
  return concat(
    be(0x60000000 + tos * 0x100000 + flow, 4),
    be(body.length, 2),
    be(types[0] as number, 1),
    be(ttl, 1),
    ip(fields.src),
    ip(fields.dst),
    body,
  );
}

/** Of the family that the addresses are of. */
export const ipPacket = (fields: IpFields, payload: Uint8Array): Uint8Array =>
  isIpv4(fields.dst) ? ipv4(fields, payload) : ipv6(fields, payload);

export const tcpPacket = (fields: IpFields, transport: TcpFields, payload?: Uint8Array): Uint8Array =>
  ipPacket({ ...fields, protocol: TCP }, tcp(fields, transport, payload));

export const udpPacket = (fields: IpFields, transport: UdpFields, payload?: Uint8Array): Uint8Array =>
  ipPacket({ ...fields, protocol: UDP }, udp(fields, transport, payload));

export const echoPacket = (
  fields: IpFields,
  identifier = 7,
  body: Uint8Array = new Uint8Array(8),
  reply = false,
): Uint8Array =>
  isIpv4(fields.dst)
    ? ipv4({ ...fields, protocol: ICMP }, icmp(reply ? 0 : 8, 0, concat(be(identifier, 2), be(1, 2)), body))
    : ipv6(
        { ...fields, protocol: ICMPV6 },
        icmp6(fields, reply ? 129 : 128, 0, concat(be(identifier, 2), be(1, 2)), body),
      );

/** IPv6 fragment header, RFC 8200 §4.5, as an extension. */
export const fragmentHeader = (offset: number, more: boolean, id: number) => ({
  type: 44,
  bytes: concat(be(0, 2), be(offset + (more ? 1 : 0), 2), be(id, 4)),
});

export interface EthernetFields {
  readonly dst: string;
  readonly src: string;
  readonly type?: number;
  readonly vlans?: readonly number[];
}

/** The type follows from the payload's first four bits where it is not given. */
export function ethernet({ dst, src, type, vlans = [] }: EthernetFields, payload: Uint8Array): Uint8Array {
  const own = type ?? ((payload[0] as number) >> 4 === 6 ? 0x86dd : 0x0800);
  const tags = vlans.map((vid) => concat(be(0x8100, 2), be(vid, 2)));
  return concat(mac(dst), mac(src), ...tags, be(own, 2), payload);
}

export interface VnetFields {
  readonly flags?: number;
  readonly gsoType?: number;
  readonly headerLength?: number;
  readonly gsoSize?: number;
  readonly start?: number;
  readonly offset?: number;
}

/** virtio_net_hdr_v1, little-endian. */
export const vnet = (fields: VnetFields = {}): Uint8Array =>
  concat(
    le(fields.flags ?? 0, 1),
    le(fields.gsoType ?? 0, 1),
    le(fields.headerLength ?? 0, 2),
    le(fields.gsoSize ?? 0, 2),
    le(fields.start ?? 0, 2),
    le(fields.offset ?? 0, 2),
    le(0, 2),
  );

export const vxlan = (vni: number, frame: Uint8Array, flags = 0x08): Uint8Array =>
  concat(be(flags, 1), be(0, 3), be(vni, 3), be(0, 1), frame);

export interface GeneveFields {
  readonly version?: number;
  readonly oam?: boolean;
  readonly critical?: boolean;
  readonly protocol?: number;
  readonly vni: number;
  /** As they stand on the wire. */
  readonly options?: Uint8Array;
  /** In words of four bytes, where it shall be wrong. */
  readonly optionLength?: number;
}

export const geneve = (fields: GeneveFields, payload: Uint8Array): Uint8Array => {
  const { version = 0, oam = false, critical = false, protocol = 0x6558, vni } = fields;
  const options = fields.options ?? new Uint8Array();
  return concat(
    be(version * 64 + (fields.optionLength ?? options.length / 4), 1),
    be((oam ? 0x80 : 0) + (critical ? 0x40 : 0), 1),
    be(protocol, 2),
    be(vni, 3),
    be(0, 1),
    options,
    payload,
  );
};

/** RFC 8926 §3.5; `type` with its critical bit. */
export const geneveOption = (optionClass: number, type: number, data: Uint8Array): Uint8Array =>
  concat(be(optionClass, 2), be(type, 1), be(data.length / 4, 1), data);

export interface ArpFields {
  readonly operation: number;
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetMac?: string;
  readonly targetIp: string;
}

export const arp = (fields: ArpFields): Uint8Array =>
  concat(
    be(1, 2),
    be(0x0800, 2),
    be(6, 1),
    be(4, 1),
    be(fields.operation, 2),
    mac(fields.senderMac),
    ip(fields.senderIp),
    mac(fields.targetMac ?? '00:00:00:00:00:00'),
    ip(fields.targetIp),
  );

/** RFC 4861 §4.3, with a source link-layer address option unless the sender is unspecified. */
export function neighborSolicitation(
  between: Addresses,
  target: string,
  sourceMac: string,
  ttl = 255,
): Uint8Array {
  const option = between.src === '::' ? new Uint8Array() : concat(be(1, 1), be(1, 1), mac(sourceMac));
  return ipv6(
    { ...between, protocol: ICMPV6, ttl },
    icmp6(between, 135, 0, be(0, 4), concat(ip(target), option)),
  );
}

/** RFC 4861 §4.4, from a router, solicited, override, with the target's link-layer address. */
export const neighborAdvertisement = (between: Addresses, target: string, targetMac: string): Uint8Array =>
  ipv6(
    { ...between, protocol: ICMPV6, ttl: 255 },
    icmp6(between, 136, 0, be(0xe0000000, 4), concat(ip(target), be(2, 1), be(1, 1), mac(targetMac))),
  );

/** One hop less, the IPv4 checksum computed anew. */
export function hopped(packet: Uint8Array): Uint8Array {
  const copy = packet.slice();
  if ((copy[0] as number) >> 4 === 6) {
    copy[7] = (copy[7] as number) - 1;
    return copy;
  }
  copy[8] = (copy[8] as number) - 1;
  return withHeaderChecksum(copy);
}

/** Another TOS or traffic class, the IPv4 checksum computed anew. */
export function withTos(packet: Uint8Array, tos: number): Uint8Array {
  const copy = packet.slice();
  if ((copy[0] as number) >> 4 === 6) {
    copy.set(be(0x6000 + tos * 16 + ((copy[1] as number) & 15), 2));
    return copy;
  }
  copy[1] = tos;
  return withHeaderChecksum(copy);
}

/** Computes the IPv4 header checksum of a packet anew. */
export function withHeaderChecksum(packet: Uint8Array): Uint8Array {
  const length = ((packet[0] as number) & 15) * 4;
  packet.set([0, 0], 10);
  packet.set(be(checksum(packet.subarray(0, length)), 2), 10);
  return packet;
}
