/**
 * Translate: makes a packet say that it goes between other ends.
 *
 *     row of the packet: addresses and ports as they should be ──► IP header, ports, checksums
 *
 * Checksums are brought up to date by what has changed (RFC 1624), so that a wrong one stays wrong. One that the sender left
 * open holds the sum of the pseudo-header alone, so that only the addresses count.
 */
import { NO_TUNNEL } from '../layout/burst';
import { TRANSLATION_DESTINATION, TRANSLATION_PORTS, TRANSLATION_SOURCE } from '../layout/flows';
import {
  PACKET_HAS_PORTS,
  PACKET_IS_FRAGMENT,
  PACKET_IS_LATER_FRAGMENT,
  PACKET_IS_PARTIAL,
  PACKET_IS_TRANSLATED,
} from '../layout/packet';
import { Packet } from '../packet';
import { receivedOf } from '../table/received';
import { Verdict } from '../verdict';
import { copyAddress } from '../wire/address';
import { complement, fold } from '../wire/checksum';
import { crc32cZeros } from '../wire/crc32c';
import { PROTOCOL_SCTP, PROTOCOL_UDP } from '../wire/protocol';
import { SCTP_LEN, Sctp } from '../wire/sctp';
import { checksumField, isOpenChecksum } from './checksum';

/** Keeps the packet's ends as they are: what it was when it came. */
export function keepReceived(packet: Packet): void {
  const row = receivedOf(packet);
  copyAddress(row + TRANSLATION_SOURCE, packet.source());
  copyAddress(row + TRANSLATION_DESTINATION, packet.destination());
  store<u32>(row, packet.ports(), TRANSLATION_PORTS);
}

/** Gives the row, not yet the bytes, the ends in a translation row. */
export function setEnds(packet: Packet, row: usize): void {
  copyAddress(packet.source(), row + TRANSLATION_SOURCE);
  copyAddress(packet.destination(), row + TRANSLATION_DESTINATION);
  packet.setPortPair(load<u32>(row, TRANSLATION_PORTS));
}

/** The same for a packet from the responder. */
export function setEndsReversed(packet: Packet, row: usize): void {
  copyAddress(packet.source(), row + TRANSLATION_DESTINATION);
  copyAddress(packet.destination(), row + TRANSLATION_SOURCE);
  packet.setPortPair(rotl<u32>(load<u32>(row, TRANSLATION_PORTS), 16));
}

/** Translates a reply of a connection that `row` gives other ends. HASH stays as it was. */
export function translateReply(packet: Packet, row: usize): void {
  keepReceived(packet);
  setEndsReversed(packet, row);
  translate(packet);
}

/**
 * Writes the ends that the row has been given since keepReceived into the packet's bytes. A fragment of an SCTP packet is
 * dropped where its ports change: what the CRC changes by depends on the length of the whole, which no first fragment tells.
 */
export function translate(packet: Packet): void {
  rewrite(packet);
  if (
    packet.protocol() === PROTOCOL_SCTP &&
    packet.has(PACKET_IS_FRAGMENT) &&
    packet.ports() !== load<u32>(receivedOf(packet), TRANSLATION_PORTS)
  )
    packet.setVerdict(Verdict.ServiceSctpFragment);
}

/** Makes a translated packet again what it was when it came: its sender would not know what is quoted to it otherwise. */
export function untranslate(packet: Packet): void {
  if (!packet.has(PACKET_IS_TRANSLATED)) return;
  setEnds(packet, receivedOf(packet));
  rewrite(packet);
}

/**
 * Writes the row's ends into the packet's bytes.
 * @returns what the sum of its addresses gains by it
 */
export function rewrite(packet: Packet): u64 {
  const isOpen = packet.has(PACKET_IS_PARTIAL) || (packet.tunnel() !== NO_TUNNEL && isOpenChecksum(packet));
  packet.addFlags(PACKET_IS_TRANSLATED);
  const ip = packet.ip();
  let addresses: u64 = 0;
  if (packet.version() === 4) {
    addresses = replaced32(ip + 12, load<u32>(packet.source(), 12));
    addresses += replaced32(ip + 16, load<u32>(packet.destination(), 12));
    store<u16>(ip, <u16>complement(addresses + <u64>(load<u16>(ip, 10) ^ 0xffff)), 10);
  } else {
    // Source and destination lie side by side in the row and in the header alike.
    const ends = packet.source();
    for (let i: u32 = 0; i < 32; i += 4) addresses += replaced32(ip + 8 + i, load<u32>(ends + i));
  }
  if (packet.has(PACKET_IS_LATER_FRAGMENT) || !packet.has(PACKET_HAS_PORTS)) return addresses;
  rewriteTransport(packet, addresses, isOpen);
  return addresses;
}

function rewriteTransport(packet: Packet, addresses: u64, isOpen: bool): void {
  const transport = packet.transport();
  const before = load<u32>(transport);
  const after = <u32>bswap<u16>(<u16>packet.sport()) | ((<u32>bswap<u16>(<u16>packet.dport())) << 16);
  const ports = replaced32(transport, after);
  const protocol = packet.protocol();
  // Of a quoted packet the end may be missing.
  const left = packet.length() - packet.l4();
  if (protocol === PROTOCOL_SCTP) {
    if (left < SCTP_LEN) return;
    // The CRC of a sum of messages is the sum of their CRCs: what changes is that of the ports followed by zeros.
    const change = crc32cZeros(before ^ after, packet.end() - packet.l4());
    store<u32>(transport, Sctp.at(transport).checksum() ^ change, 8);
    return;
  }
  const field = checksumField(protocol);
  if (field === 0 || left < field + 2) return;
  const at = transport + field;
  const value = <u32>load<u16>(at);
  if (isOpen) {
    store<u16>(at, <u16>fold(<u64>value + addresses));
    return;
  }
  // A UDP checksum of zero means that there is none (RFC 768).
  if (value === 0 && protocol === PROTOCOL_UDP) return;
  const updated = complement(<u64>(value ^ 0xffff) + addresses + ports);
  store<u16>(at, <u16>(updated === 0 && protocol === PROTOCOL_UDP ? 0xffff : updated));
}

/** Replaces a word. @returns what the sum of the region gains by it (RFC 1624 eqn. 3), in memory order */
function replaced32(at: usize, after: u32): u64 {
  const before = load<u32>(at);
  store<u32>(at, after);
  return <u64>~before + <u64>after;
}
