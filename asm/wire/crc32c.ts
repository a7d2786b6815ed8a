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

const POLYNOMIAL: u32 = 0x82f63b78;
/** x⁰ and x⁸ as polynomials are written here: the highest power in the lowest bit. */
const ONE: u32 = 0x80000000;
const BYTE: u32 = 0x00800000;

/**
 * What a CRC changes by where the first four bytes of `n` change by exclusive-or with `word` (as loaded little-endian):
 * CRC-32c without its initial and final complement is linear. Takes log n multiplications.
 */
export function crc32cZeros(word: u32, n: u32): u32 {
  let power = ONE;
  let square = BYTE;
  for (let left = n; left !== 0; left >>= 1) {
    if (left & 1) power = product(square, power);
    square = product(square, square);
  }
  return product(power, word);
}

/** a × b modulo the polynomial. */
function product(a: u32, b: u32): u32 {
  let sum: u32 = 0;
  for (let bit = ONE; bit !== 0; bit >>= 1) {
    if (a & bit) sum ^= b;
    b = b & 1 ? (b >> 1) ^ POLYNOMIAL : b >> 1;
  }
  return sum;
}
