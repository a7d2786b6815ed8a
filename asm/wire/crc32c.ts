/**
 * CRC-32c as SCTP uses it, RFC 9260 appendix A: reflected polynomial 0x82f63b78, stored little-endian.
 *
 * Bit by bit, without a table: the module has no static data, and nothing on the hot path needs it.
 */
export function crc32c(crc: u32, p: usize, n: u32): u32 {
  for (const end = p + n; p < end; p++) {
    crc ^= <u32>load<u8>(p);
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82f63b78 & (0 - (crc & 1)));
  }
  return crc;
}
