/**
 * Opens the outermost tunnel: reads its header into the record and says where the inner
 * packet begins.
 */
import {
  DECODED_FLAGS,
  DECODED_IS_CRITICAL,
  DECODED_IS_OAM,
  DECODED_IS_TUNNEL_READ,
  DECODED_OPTIONS,
  DECODED_OPTIONS_COUNT,
  DECODED_TUNNEL,
  DECODED_TUNNEL_PROTOCOL,
  DECODED_VNI,
  OPTION_CLASS,
  OPTION_IS_CRITICAL,
  OPTION_LENGTH,
  OPTION_SIZE,
  OPTION_TYPE,
  OPTIONS_MAX,
} from '../layout/decoded';
import { TUNNEL_IPIP, TUNNEL_VXLAN } from '../layout/tables';
import { checkGeneve, checkIpip, checkVxlan } from '../stage/decap';
import { Verdict } from '../verdict';
import { GENEVE_LEN, GENEVE_OPTION_CRITICAL, GENEVE_OPTION_LEN, Geneve, GeneveOption } from '../wire/geneve';
import { PROTOCOL_IPIP, PROTOCOL_IPV6, PROTOCOL_UDP } from '../wire/protocol';
import { UDP_LEN } from '../wire/udp';
import { VXLAN_LEN, Vxlan } from '../wire/vxlan';
import { Headers } from './headers';
import { datagramLength } from './transport';

/**
 * The kind of tunnel that `outer` opens, TUNNEL_*, 0 for none.
 * @param ports u8 × 65536, indexed by UDP destination port: TUNNEL_* kind
 */
export function tunnelKind(outer: Headers, ports: usize): u32 {
  if (outer.version() === 0 || outer.isLaterFragment()) return 0;
  const protocol = outer.protocol();
  if (protocol === PROTOCOL_IPIP || protocol === PROTOCOL_IPV6) return TUNNEL_IPIP;
  if (protocol !== PROTOCOL_UDP || datagramLength(outer) === 0) return 0;
  return <u32>load<u8>(ports + outer.dport());
}

/** Reads the tunnel's header. @returns offset of the inner packet, 0: the header is cut short or unreadable */
export function readTunnel(record: usize, outer: Headers, kind: u32): usize {
  store<u8>(record, <u8>kind, DECODED_TUNNEL);
  if (kind === TUNNEL_IPIP) {
    store<u16>(record, <u16>outer.protocol(), DECODED_TUNNEL_PROTOCOL);
    addFlags(record, DECODED_IS_TUNNEL_READ);
    return outer.l4();
  }
  const at = outer.l4() + UDP_LEN;
  return kind === TUNNEL_VXLAN
    ? readVxlan(record, at, payloadEnd(outer))
    : readGeneve(record, at, payloadEnd(outer));
}

/** End of the UDP payload. */
export function payloadEnd(outer: Headers): usize {
  return outer.protocol() === PROTOCOL_UDP ? outer.l4() + datagramLength(outer) : outer.end();
}

/** What the decap stage says to the tunnel's header; InProgress if it takes no offence. */
export function checkTunnel(outer: Headers, kind: u32): Verdict {
  if (kind === TUNNEL_IPIP) return checkIpip(outer.l4(), <u32>(outer.end() - outer.l4()), outer.protocol());
  const at = outer.l4() + UDP_LEN;
  const bytes = <u32>(payloadEnd(outer) - at);
  return kind === TUNNEL_VXLAN ? checkVxlan(at, bytes) : checkGeneve(at, bytes);
}

function readVxlan(record: usize, at: usize, end: usize): usize {
  if (at + VXLAN_LEN > end) return 0;
  store<u32>(record, Vxlan.at(at).vni(), DECODED_VNI);
  addFlags(record, DECODED_IS_TUNNEL_READ);
  return at + VXLAN_LEN;
}

function readGeneve(record: usize, at: usize, end: usize): usize {
  if (at + GENEVE_LEN > end) return 0;
  const geneve = Geneve.at(at);
  store<u32>(record, geneve.vni(), DECODED_VNI);
  store<u16>(record, <u16>geneve.protocol(), DECODED_TUNNEL_PROTOCOL);
  addFlags(
    record,
    DECODED_IS_TUNNEL_READ |
      (geneve.isOam() ? DECODED_IS_OAM : 0) |
      (geneve.isCritical() ? DECODED_IS_CRITICAL : 0),
  );
  const inner = at + GENEVE_LEN + geneve.optionsLength();
  if (inner > end) return 0;
  readOptions(record, at + GENEVE_LEN, inner);
  return inner;
}

function readOptions(record: usize, at: usize, end: usize): void {
  let count: u32 = 0;
  while (at + GENEVE_OPTION_LEN <= end && count < OPTIONS_MAX) {
    const option = GeneveOption.at(at);
    const length = GENEVE_OPTION_LEN + option.dataLength();
    if (at + length > end) break;
    const row = record + DECODED_OPTIONS + count * OPTION_SIZE;
    store<u16>(row, <u16>option.optionClass(), OPTION_CLASS);
    store<u8>(row, <u8>(option.type() & ~GENEVE_OPTION_CRITICAL), OPTION_TYPE);
    store<u8>(row, <u8>(option.type() >> 7), OPTION_IS_CRITICAL);
    store<u32>(row, length, OPTION_LENGTH);
    count++;
    at += length;
  }
  store<u32>(record, count, DECODED_OPTIONS_COUNT);
}

function addFlags(record: usize, flags: u32): void {
  store<u8>(record, load<u8>(record, DECODED_FLAGS) | <u8>flags, DECODED_FLAGS);
}
