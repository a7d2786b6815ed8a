/** Transport checksums of a parsed packet: what they are worth, and how they are completed. */
import { CHECKSUM_BAD, CHECKSUM_NONE, CHECKSUM_OK, CHECKSUM_PARTIAL, CHECKSUM_ZERO } from '../layout/decoded';
import { PACKET_IS_FRAGMENT } from '../layout/packet';
import { STAT_CHECKSUMS_COMPLETED } from '../layout/tables';
import { Packet } from '../packet';
import { countStat } from '../table/counters';
import { complement, fold, pseudoSum, sum } from '../wire/checksum';
import { PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/protocol';
import { TCP_CHECKSUM } from '../wire/tcp';
import { UDP_CHECKSUM, Udp } from '../wire/udp';

/** Sum of the pseudo-header of a parsed packet with `length` bytes of transport. */
export function pseudoOf(packet: Packet, length: u32): u64 {
  return packet.version() === 4
    ? pseudoSum(packet.ip() + 12, 8, packet.protocol(), length)
    : pseudoSum(packet.ip() + 8, 32, packet.protocol(), length);
}

/** Bytes from the transport header to its checksum, 0: none that is known here. */
export function checksumField(protocol: u32): u32 {
  return protocol === PROTOCOL_TCP ? TCP_CHECKSUM : protocol === PROTOCOL_UDP ? UDP_CHECKSUM : 0;
}

/** Bytes that the transport checksum covers: a UDP datagram may end before its IP packet does. */
export function checksumLength(packet: Packet): u32 {
  const length = packet.end() - packet.l4();
  return packet.protocol() === PROTOCOL_UDP ? min(length, Udp.at(packet.transport()).length()) : length;
}

/**
 * Whether the transport checksum of a TCP or UDP packet was left open: the field holds the sum of the pseudo-header. Of a
 * packet in 65536 that is the right checksum, too.
 */
export function isOpenChecksum(packet: Packet): bool {
  const field = checksumField(packet.protocol());
  if (field === 0 || packet.has(PACKET_IS_FRAGMENT)) return false;
  return <u32>load<u16>(packet.transport() + field) === fold(pseudoOf(packet, checksumLength(packet)));
}

/** Verifies the transport checksum: one of CHECKSUM_*. */
export function checksumState(packet: Packet): u32 {
  const field = checksumField(packet.protocol());
  if (field === 0 || packet.has(PACKET_IS_FRAGMENT)) return CHECKSUM_NONE;
  const transport = packet.transport();
  const value = <u32>load<u16>(transport + field);
  if (value === 0 && field === UDP_CHECKSUM) return CHECKSUM_ZERO;
  const length = checksumLength(packet);
  const pseudo = pseudoOf(packet, length);
  if (fold(pseudo + sum(transport, length)) === 0xffff) return CHECKSUM_OK;
  return value === fold(pseudo) ? CHECKSUM_PARTIAL : CHECKSUM_BAD;
}

/** Completes a partial checksum of the region from `start`; the field is `offset` bytes into it. */
export function completePartial(start: usize, bytes: u32, offset: u32): void {
  const value = complement(sum(start, bytes));
  // A UDP checksum of zero means that there is none (RFC 768).
  store<u16>(start + offset, <u16>(value === 0 && offset === UDP_CHECKSUM ? 0xffff : value));
  countStat(STAT_CHECKSUMS_COMPLETED, 1);
}
