/**
 * Reads ports and judges the checksum of TCP, UDP and SCTP.
 */
import { CHECKSUM_BAD, CHECKSUM_NONE, CHECKSUM_OK, CHECKSUM_PARTIAL, CHECKSUM_ZERO } from '../layout/decoded';
import { fold, sum, word } from '../wire/checksum';
import { crc32c } from '../wire/crc32c';
import { PROTOCOL_SCTP, PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/protocol';
import { SCTP_LEN, Sctp } from '../wire/sctp';
import { TCP_CHECKSUM, TCP_LEN, Tcp } from '../wire/tcp';
import { UDP_CHECKSUM, UDP_LEN, Udp } from '../wire/udp';
import { Headers } from './headers';
import { LONGEST } from './network';

/** Bytes in which both ports are; SCTP's are of no use without the rest of its header. */
const PORTS_LEN: u32 = 4;

/** Reads what follows the IP header. `isWhole`: nothing of the packet is missing from the capture. */
export function readTransport(headers: Headers, isWhole: bool): void {
  if (headers.version() === 0 || headers.isLaterFragment()) return;
  const protocol = headers.protocol();
  if (protocol !== PROTOCOL_TCP && protocol !== PROTOCOL_UDP && protocol !== PROTOCOL_SCTP) return;
  const l4 = headers.l4();
  const bytes = <u32>(headers.end() - l4);
  if (bytes < (protocol === PROTOCOL_SCTP ? SCTP_LEN : PORTS_LEN)) return;
  // The ports stand alike in all three.
  headers.setPorts(Udp.at(l4).sourcePort(), Udp.at(l4).destinationPort());
  if (!isWhole || headers.isFragment()) return;
  if (protocol === PROTOCOL_TCP) headers.setChecksum(checksumOfTcp(headers, l4, bytes));
  else if (protocol === PROTOCOL_UDP) headers.setChecksum(checksumOfUdp(headers, l4, bytes));
  else headers.setChecksum(checksumOfSctp(l4, bytes));
}

/** Bytes of the UDP datagram behind `headers`, header counted in: at most what is there; 0: its length is malformed. */
export function datagramLength(headers: Headers): u32 {
  const bytes = <u32>(headers.end() - headers.l4());
  if (bytes < UDP_LEN) return 0;
  const length = Udp.at(headers.l4()).length();
  // A datagram too long for the field (RFC 2675 §4).
  if (length === 0 && (headers.version() === 6 || bytes > LONGEST)) return bytes;
  return length < UDP_LEN ? 0 : min<u32>(length, bytes);
}

function checksumOfTcp(headers: Headers, l4: usize, bytes: u32): u32 {
  if (bytes < TCP_CHECKSUM + 2 || Tcp.at(l4).headerLength() < TCP_LEN) return CHECKSUM_NONE;
  return judged(headers, l4, bytes, load<u16>(l4, TCP_CHECKSUM));
}

function checksumOfUdp(headers: Headers, l4: usize, bytes: u32): u32 {
  if (bytes < UDP_LEN) return CHECKSUM_NONE;
  const udp = Udp.at(l4);
  const length = datagramLength(headers);
  if (length === 0) return CHECKSUM_NONE;
  if (udp.checksum() === 0) return CHECKSUM_ZERO;
  if (udp.length() > bytes) return CHECKSUM_NONE;
  return judged(headers, l4, length, load<u16>(l4, UDP_CHECKSUM));
}

function judged(headers: Headers, l4: usize, bytes: u32, field: u16): u32 {
  const pseudo = pseudoSumOf(headers, bytes);
  if (fold(pseudo + sum(l4, bytes)) === 0xffff) return CHECKSUM_OK;
  return fold(pseudo) === <u32>field ? CHECKSUM_PARTIAL : CHECKSUM_BAD;
}

/** Of the addresses between which the packet travels in the end; memory order. */
function pseudoSumOf(headers: Headers, bytes: u32): u64 {
  const size: u32 = headers.version() === 4 ? 4 : 16;
  return (
    word(headers.protocol()) + <u64>bswap<u32>(bytes) + sum(headers.first(), size) + sum(headers.last(), size)
  );
}

/** The field counts as zero (RFC 9260 §6.8). */
function checksumOfSctp(l4: usize, bytes: u32): u32 {
  const sctp = Sctp.at(l4);
  let crc = crc32c(0xffffffff, l4, SCTP_LEN - 4);
  for (let i = 0; i < 32; i++) crc = (crc >> 1) ^ (0x82f63b78 & (0 - (crc & 1)));
  crc = crc32c(crc, l4 + SCTP_LEN, bytes - SCTP_LEN);
  return ~crc === sctp.checksum() ? CHECKSUM_OK : CHECKSUM_BAD;
}
