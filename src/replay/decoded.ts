import {
  CHECKSUM_BAD,
  CHECKSUM_NONE,
  CHECKSUM_OK,
  CHECKSUM_PARTIAL,
  CHECKSUM_ZERO,
  DECODED_ETHERNET,
  DECODED_ETHERTYPE,
  DECODED_FLAGS,
  DECODED_INNER,
  DECODED_IS_CRITICAL,
  DECODED_IS_ETHERNET,
  DECODED_IS_OAM,
  DECODED_IS_TUNNEL_READ,
  DECODED_IS_TYPED,
  DECODED_OPTIONS,
  DECODED_OPTIONS_COUNT,
  DECODED_OUTER,
  DECODED_TAGS,
  DECODED_TAGS_COUNT,
  DECODED_TUNNEL,
  DECODED_TUNNEL_PROTOCOL,
  DECODED_VERDICT,
  DECODED_VNI,
  HEADERS_CHECKSUM,
  HEADERS_DESTINATION,
  HEADERS_DPORT,
  HEADERS_FLAGS,
  HEADERS_FRAGMENT_OFFSET,
  HEADERS_HAS_MORE,
  HEADERS_HAS_PORTS,
  HEADERS_PROTOCOL,
  HEADERS_SOURCE,
  HEADERS_SPORT,
  HEADERS_TOS,
  HEADERS_TTL,
  HEADERS_VERSION,
  OPTION_CLASS,
  OPTION_IS_CRITICAL,
  OPTION_LENGTH,
  OPTION_SIZE,
  OPTION_TYPE,
} from '../../asm/layout/decoded.ts';
import { TUNNEL_GENEVE, TUNNEL_IPIP, TUNNEL_VXLAN } from '../../asm/layout/tables.ts';
import { Verdict } from '../../asm/verdict.ts';
import { verdictNames } from '../dataplane/statistics.ts';
import { fromBytes } from '../net/address.ts';
import type { DecodedRecord } from './inspector.ts';

const IPPROTO_UDP = 17;
const VLAN_ID = 0xfff;

/** `none`: not there, not readable, or not to be judged (fragments, packets cut short). */
export type ChecksumState = 'ok' | 'zero' | 'bad' | 'partial' | 'none';

/** What one packet is and what becomes of it; keys in the order in which they are printed. */
export interface Decoded {
  /** The outermost IP and transport headers; null where there is no IP. */
  readonly outer: Outer | null;
  /** The outermost tunnel. */
  readonly tunnel: Tunnel | null;
  /** What the tunnel carries, or the packet itself; null where neither Ethernet nor IP can be read. */
  readonly inner: Inner | null;
  readonly verdict: 'forward' | 'drop';
  /** Name of the drop, null where there is none. */
  readonly reason: string | null;
}

export interface Outer {
  readonly src: string;
  readonly dst: string;
  /** Of IPv6 the upper one, behind extension headers. */
  readonly protocol: number;
  /** Of UDP, TCP and SCTP. */
  readonly sport: number | null;
  readonly dport: number | null;
  /** UDP's. */
  readonly checksum: ChecksumState;
}

export interface Tunnel {
  readonly type: 'vxlan' | 'geneve' | 'ipip';
  /** Null for IPIP, and where the header is cut short. */
  readonly vni: number | null;
  /** EtherType that a GENEVE header names, IP protocol of IPIP. */
  readonly protocol: number | null;
  /** GENEVE only, as all that follows. */
  readonly oam: boolean | null;
  readonly critical: boolean | null;
  readonly options: readonly Option[] | null;
}

export interface Option {
  readonly class: number;
  /** Without the critical bit. */
  readonly type: number;
  readonly critical: boolean;
  /** Bytes, the option's own header counted in. */
  readonly length: number;
}

export interface Inner {
  readonly ethernet: Ethernet | null;
  readonly ip: Ip | null;
  readonly l4: Transport | null;
}

export interface Ethernet {
  readonly src: string;
  readonly dst: string;
  /** EtherType behind any tags; null where a length stands instead (IEEE 802.3). */
  readonly type: number | null;
  /** VLAN identifiers, outermost first. */
  readonly vlans: readonly number[];
}

export interface Ip {
  readonly version: 4 | 6;
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly ttl: number;
  readonly dscp: number;
  readonly ecn: number;
  /** Offset in bytes; 0 and no more: the packet is whole. */
  readonly fragment: { readonly offset: number; readonly more: boolean };
}

export interface Transport {
  readonly sport: number;
  readonly dport: number;
  readonly checksum: ChecksumState;
}

const checksums: Readonly<Record<number, ChecksumState>> = {
  [CHECKSUM_NONE]: 'none',
  [CHECKSUM_OK]: 'ok',
  [CHECKSUM_ZERO]: 'zero',
  [CHECKSUM_BAD]: 'bad',
  [CHECKSUM_PARTIAL]: 'partial',
};

const tunnelTypes: Readonly<Record<number, Tunnel['type']>> = {
  [TUNNEL_VXLAN]: 'vxlan',
  [TUNNEL_GENEVE]: 'geneve',
  [TUNNEL_IPIP]: 'ipip',
};

/** The record as an object of its own. */
export function readDecoded(record: DecodedRecord): Decoded {
  const verdict = record.view.getUint32(DECODED_VERDICT, true);
  const isForward = verdict === Verdict.Forward;
  return {
    outer: readOuter(record),
    tunnel: readTunnel(record),
    inner: readInner(record),
    verdict: isForward ? 'forward' : 'drop',
    reason: isForward ? null : (verdictNames[verdict] as string),
  };
}

function readOuter(record: DecodedRecord): Outer | null {
  const { bytes, view } = record;
  const version = bytes[DECODED_OUTER + HEADERS_VERSION];
  if (version === 0) return null;
  const hasPorts = bytes[DECODED_OUTER + HEADERS_HAS_PORTS] === 1;
  const protocol = bytes[DECODED_OUTER + HEADERS_PROTOCOL] as number;
  return {
    src: address(bytes, DECODED_OUTER + HEADERS_SOURCE, version === 4),
    dst: address(bytes, DECODED_OUTER + HEADERS_DESTINATION, version === 4),
    protocol,
    sport: hasPorts ? view.getUint16(DECODED_OUTER + HEADERS_SPORT, true) : null,
    dport: hasPorts ? view.getUint16(DECODED_OUTER + HEADERS_DPORT, true) : null,
    checksum: protocol === IPPROTO_UDP ? checksum(bytes, DECODED_OUTER) : 'none',
  };
}

function readTunnel({ bytes, view }: DecodedRecord): Tunnel | null {
  const type = tunnelTypes[bytes[DECODED_TUNNEL] as number];
  if (type === undefined) return null;
  const flags = bytes[DECODED_FLAGS] as number;
  const isRead = (flags & DECODED_IS_TUNNEL_READ) !== 0;
  const isGeneve = isRead && type === 'geneve';
  return {
    type,
    vni: isRead && type !== 'ipip' ? view.getUint32(DECODED_VNI, true) : null,
    protocol: isRead && type !== 'vxlan' ? view.getUint16(DECODED_TUNNEL_PROTOCOL, true) : null,
    oam: isGeneve ? (flags & DECODED_IS_OAM) !== 0 : null,
    critical: isGeneve ? (flags & DECODED_IS_CRITICAL) !== 0 : null,
    options: isGeneve ? readOptions(view) : null,
  };
}

function readOptions(view: DataView): Option[] {
  const options: Option[] = [];
  const count = view.getUint32(DECODED_OPTIONS_COUNT, true);
  for (let row = DECODED_OPTIONS; options.length < count; row += OPTION_SIZE)
    options.push({
      class: view.getUint16(row + OPTION_CLASS, true),
      type: view.getUint8(row + OPTION_TYPE),
      critical: view.getUint8(row + OPTION_IS_CRITICAL) === 1,
      length: view.getUint32(row + OPTION_LENGTH, true),
    });
  return options;
}

function readInner(record: DecodedRecord): Inner | null {
  const ethernet = readEthernet(record);
  const ip = readIp(record);
  return ethernet === null && ip === null ? null : { ethernet, ip, l4: readTransport(record) };
}

function readEthernet({ bytes, view, memory }: DecodedRecord): Ethernet | null {
  const flags = bytes[DECODED_FLAGS] as number;
  if ((flags & DECODED_IS_ETHERNET) === 0) return null;
  const at = view.getUint32(DECODED_ETHERNET, true);
  const vlans: number[] = [];
  const tags = view.getUint16(DECODED_TAGS_COUNT, true);
  for (let tag = DECODED_TAGS; vlans.length < tags; tag += 2) vlans.push(view.getUint16(tag, true) & VLAN_ID);
  return {
    src: mac(memory, at + 6),
    dst: mac(memory, at),
    type: (flags & DECODED_IS_TYPED) === 0 ? null : view.getUint16(DECODED_ETHERTYPE, true),
    vlans,
  };
}

function readIp({ bytes, view }: DecodedRecord): Ip | null {
  const version = bytes[DECODED_INNER + HEADERS_VERSION];
  if (version !== 4 && version !== 6) return null;
  const tos = bytes[DECODED_INNER + HEADERS_TOS] as number;
  const flags = bytes[DECODED_INNER + HEADERS_FLAGS] as number;
  return {
    version,
    src: address(bytes, DECODED_INNER + HEADERS_SOURCE, version === 4),
    dst: address(bytes, DECODED_INNER + HEADERS_DESTINATION, version === 4),
    protocol: bytes[DECODED_INNER + HEADERS_PROTOCOL] as number,
    ttl: bytes[DECODED_INNER + HEADERS_TTL] as number,
    dscp: tos >> 2,
    ecn: tos & 3,
    fragment: {
      offset: view.getUint16(DECODED_INNER + HEADERS_FRAGMENT_OFFSET, true),
      more: (flags & HEADERS_HAS_MORE) !== 0,
    },
  };
}

function readTransport({ bytes, view }: DecodedRecord): Transport | null {
  if (bytes[DECODED_INNER + HEADERS_HAS_PORTS] !== 1) return null;
  return {
    sport: view.getUint16(DECODED_INNER + HEADERS_SPORT, true),
    dport: view.getUint16(DECODED_INNER + HEADERS_DPORT, true),
    checksum: checksum(bytes, DECODED_INNER),
  };
}

const checksum = (bytes: Buffer, headers: number): ChecksumState =>
  checksums[bytes[headers + HEADERS_CHECKSUM] as number] as ChecksumState;

/** Texts of addresses seen; a capture has few of them, and many times. */
const known = new Map<string, string>();
const MOST_KNOWN = 65536;

function address(bytes: Buffer, at: number, isIpv4: boolean): string {
  if (isIpv4) return `${bytes[at + 12]}.${bytes[at + 13]}.${bytes[at + 14]}.${bytes[at + 15]}`;
  const key = bytes.toString('latin1', at, at + 16);
  let text = known.get(key);
  if (text === undefined) {
    const { family, text: canonical } = fromBytes(bytes.subarray(at, at + 16));
    // An IPv4-mapped address in an IPv6 header, RFC 5952 §5.
    text = family === 4 ? `::ffff:${canonical}` : canonical;
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(key, text);
  }
  return text;
}

function mac(memory: Buffer, at: number): string {
  const hex = memory.toString('hex', at, at + 6);
  return `${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}:${hex.slice(6, 8)}:${hex.slice(8, 10)}:${hex.slice(10)}`;
}
