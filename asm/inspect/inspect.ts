/**
 * Inspect: one captured packet, decoded and judged without tables.
 *
 *     link layer ─► outermost IP and transport ─► tunnel, if any ─► inner Ethernet, IP, transport
 *
 * Decoding goes on past whatever is malformed, as far as bytes can be told apart; the
 * verdict is that of the data path's own checks, the first that fails.
 */
import {
  CHECKSUM_BAD,
  DECODED_ETHERNET,
  DECODED_ETHERTYPE,
  DECODED_FLAGS,
  DECODED_INNER,
  DECODED_IS_ETHERNET,
  DECODED_IS_TYPED,
  DECODED_OUTER,
  DECODED_OUTER_VERDICT,
  DECODED_ROW,
  DECODED_SIZE,
  DECODED_TAGS_COUNT,
  DECODED_TUNNEL_PROTOCOL,
  DECODED_VERDICT,
  HEADERS_SIZE,
} from '../layout/decoded';
import { PACKET_IS_ETHERNET, PACKET_SIZE } from '../layout/packet';
import { TUNNEL_GENEVE, TUNNEL_VXLAN } from '../layout/tables';
import { Packet } from '../packet';
import { parse } from '../stage/parse';
import { Verdict } from '../verdict';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_TEB } from '../wire/ethernet';
import { PROTOCOL_IPIP, PROTOCOL_IPV6, PROTOCOL_UDP } from '../wire/protocol';
import { Headers } from './headers';
import { ipBehindLink, LINKTYPE_ETHERNET, readEthernet } from './link';
import { readIp, readIpv6 } from './network';
import { readTransport } from './transport';
import { checkTunnel, payloadEnd, readTunnel, tunnelKind } from './tunnel';

/**
 * Decodes one packet.
 * @param record DECODED_SIZE bytes to be written, 8-byte aligned
 * @param at the packet's first byte
 * @param captured bytes of it that are there
 * @param original bytes of it that were on the wire
 * @param linkType LINKTYPE_ value
 * @param ports u8 × 65536, indexed by UDP destination port: TUNNEL_VXLAN, TUNNEL_GENEVE or 0
 */
export function inspect(
  record: usize,
  at: usize,
  captured: u32,
  original: u32,
  linkType: u32,
  ports: usize,
): void {
  memory.fill(record, 0, DECODED_SIZE);
  const end = at + min<u32>(captured, original);
  const isWhole = captured >= original;
  const verdict = decode(record, at, end, linkType, ports, isWhole);
  store<u32>(record, isWhole ? verdict : Verdict.CaptureTruncated, DECODED_VERDICT);
}

function decode(record: usize, at: usize, end: usize, linkType: u32, ports: usize, isWhole: bool): Verdict {
  const outer = Headers.at(record + DECODED_OUTER);
  const inner = Headers.at(record + DECODED_INNER);
  const isEthernet = linkType === LINKTYPE_ETHERNET;
  const start = isEthernet ? at : ipBehindLink(linkType, at, end);
  if (start === 0) return Verdict.LinkType;
  if (isEthernet) readFrame(record, outer, at, end);
  else readIp(outer, start, end);
  readTransport(outer, isWhole);
  let verdict = parsed(record, start, end, isEthernet);

  const isUdp = outer.protocol() === PROTOCOL_UDP && outer.hasPorts();
  if (isUdp && outer.checksum() === CHECKSUM_BAD) verdict = firstOf(verdict, Verdict.OuterChecksum);
  store<u32>(record, verdict, DECODED_OUTER_VERDICT);
  const kind = tunnelKind(outer, ports);
  if (kind === 0) {
    memory.copy(changetype<usize>(inner), changetype<usize>(outer), HEADERS_SIZE);
    return firstOf(verdict, Verdict.Forward);
  }
  // Whatever Ethernet header the outer packet has is not the inner one.
  clearEthernet(record);
  const carried = readTunnel(record, outer, kind);
  const opened =
    carried === 0 ? Verdict.Forward : decodeCarried(record, inner, kind, carried, payloadEnd(outer), isWhole);
  // A piece of a tunnel packet is well formed whatever is missing behind its end.
  if (outer.isFragment()) return firstOf(verdict, Verdict.Forward);
  return firstOf(firstOf(verdict, checkTunnel(outer, kind)), opened);
}

/** Decodes what stands behind a tunnel header. */
function decodeCarried(
  record: usize,
  inner: Headers,
  kind: u32,
  at: usize,
  end: usize,
  isWhole: bool,
): Verdict {
  const protocol = <u32>load<u16>(record, DECODED_TUNNEL_PROTOCOL);
  const isEthernet = kind === TUNNEL_VXLAN || (kind === TUNNEL_GENEVE && protocol === ETHERTYPE_TEB);
  if (isEthernet) readFrame(record, inner, at, end);
  else if (protocol === ETHERTYPE_IPV4 || protocol === PROTOCOL_IPIP) readIp(inner, at, end);
  else if (protocol === ETHERTYPE_IPV6 || protocol === PROTOCOL_IPV6) readIpv6(inner, at, end);
  else return Verdict.Forward;
  readTransport(inner, isWhole && !Headers.at(record + DECODED_OUTER).isFragment());
  return firstOf(parsed(record, at, end, isEthernet), Verdict.Forward);
}

function readFrame(record: usize, headers: Headers, at: usize, end: usize): void {
  const l3 = readEthernet(record, at, end);
  if (l3 === 0) return;
  const type = <u32>load<u16>(record, DECODED_ETHERTYPE);
  if (type === ETHERTYPE_IPV4) readIp(headers, l3, end);
  else if (type === ETHERTYPE_IPV6) readIpv6(headers, l3, end);
}

/** What the parse stage says to the packet; InProgress if it takes no offence. */
function parsed(record: usize, at: usize, end: usize, isEthernet: bool): Verdict {
  const row = record + DECODED_ROW;
  memory.fill(row, 0, PACKET_SIZE);
  const packet = Packet.at(row);
  packet.setData(at);
  packet.setLength(<u32>(end - at));
  if (isEthernet) packet.addFlags(PACKET_IS_ETHERNET);
  parse(packet);
  return packet.verdict();
}

function firstOf(verdict: Verdict, next: Verdict): Verdict {
  return verdict === Verdict.InProgress || verdict === Verdict.Forward ? next : verdict;
}

function clearEthernet(record: usize): void {
  store<u8>(
    record,
    load<u8>(record, DECODED_FLAGS) & <u8>~(DECODED_IS_ETHERNET | DECODED_IS_TYPED),
    DECODED_FLAGS,
  );
  store<u32>(record, 0, DECODED_ETHERNET);
  store<u16>(record, 0, DECODED_ETHERTYPE);
  store<u16>(record, 0, DECODED_TAGS_COUNT);
}
