/**
 * The Internet checksum, RFC 1071, and its incremental update, RFC 1624.
 *
 * A one's complement sum does not care in which byte order its words are read, as long
 * as the result is stored in the same order (RFC 1071 §2 B). Everything here adds words as
 * they lie in memory, little-endian: *memory order*. A field read or written with a plain
 * 16-bit load or store needs no swap; a number that never was in memory goes through `word`.
 *
 *     sum(p, n)      → u64, any number of carries still inside
 *     fold(sum)      → u32, 16 bits
 *     complement(s)  → u32, what belongs in the field
 */

/** A 16-bit number in memory order. */
export function word(value: u32): u64 {
  return <u64>(((value & 0xff) << 8) | ((value >> 8) & 0xff));
}

/** Folds all carries: 16 bits, 0 only if every summand was 0. */
export function fold(sum: u64): u32 {
  let s = (sum >> 32) + (sum & 0xffffffff);
  s = (s >> 32) + (s & 0xffffffff);
  let t = <u32>s;
  t = (t >> 16) + (t & 0xffff);
  return (t >> 16) + (t & 0xffff);
}

/** The checksum that makes a region of this sum add up to 0xffff. */
export function complement(sum: u64): u32 {
  return fold(sum) ^ 0xffff;
}

/** The checksum field after one 16-bit word has changed (RFC 1624 eqn. 3); all in memory order. */
export function updated16(field: u32, before: u32, after: u32): u32 {
  let s = (field ^ 0xffff) + (before ^ 0xffff) + after;
  s = (s >> 16) + (s & 0xffff);
  return ((s >> 16) + (s & 0xffff)) ^ 0xffff;
}

/** The checksum field after one 32-bit word has changed; all in memory order. */
export function updated32(field: u32, before: u32, after: u32): u32 {
  return complement(<u64>(field ^ 0xffff) + <u64>~before + <u64>after);
}

/** Sum of `n` bytes at `p`, of any alignment; an odd last byte counts as the first of its word. */
export function sum(p: usize, n: u32): u64 {
  let s: u64 = 0;
  const end = p + n;
  if (n >= 64) {
    // Four independent accumulators hide the latency of the adds. A lane gains at most
    // 2 × 0xffff a step and so cannot overflow within 2^15 steps, 2 MiB.
    let a = i32x4.splat(0);
    let b = a;
    let c = a;
    let d = a;
    const blocks = p + (n & ~63);
    while (p < blocks) {
      a = i32x4.add(a, i32x4.extadd_pairwise_i16x8_u(v128.load(p)));
      b = i32x4.add(b, i32x4.extadd_pairwise_i16x8_u(v128.load(p, 16)));
      c = i32x4.add(c, i32x4.extadd_pairwise_i16x8_u(v128.load(p, 32)));
      d = i32x4.add(d, i32x4.extadd_pairwise_i16x8_u(v128.load(p, 48)));
      p += 64;
    }
    const ab = i32x4.add(a, b);
    const cd = i32x4.add(c, d);
    const wide = i64x2.add(
      i64x2.add(i64x2.extend_low_i32x4_u(ab), i64x2.extend_high_i32x4_u(ab)),
      i64x2.add(i64x2.extend_low_i32x4_u(cd), i64x2.extend_high_i32x4_u(cd)),
    );
    s = i64x2.extract_lane(wide, 0) + i64x2.extract_lane(wide, 1);
  }
  while (p + 8 <= end) {
    const w = load<u64>(p);
    s += (w & 0xffffffff) + (w >> 32);
    p += 8;
  }
  if (p + 4 <= end) {
    s += <u64>load<u32>(p);
    p += 4;
  }
  if (p + 2 <= end) {
    s += <u64>load<u16>(p);
    p += 2;
  }
  if (p < end) s += <u64>load<u8>(p);
  return s;
}

/** Sum of 20 bytes: an IPv4 header without options. */
export function sum20(p: usize): u64 {
  const a = load<u64>(p);
  const b = load<u64>(p, 8);
  return (a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32) + <u64>load<u32>(p, 16);
}

/** The slow, obvious twin of `sum`: byte by byte, folded at the end. */
export function sumReference(p: usize, n: u32): u64 {
  let s: u64 = 0;
  for (let i: u32 = 0; i < n; i++) s += (<u64>load<u8>(p + i)) << ((i & 1) << 3);
  return s;
}

/**
 * Sum of the pseudo-header: addresses at `p` (both, `bytes` long together, adjacent), the
 * protocol and the transport length (RFC 793 §3.1, RFC 8200 §8.1).
 */
export function pseudoSum(p: usize, bytes: u32, protocol: u32, length: u32): u64 {
  let s = <u64>load<u32>(p) + <u64>load<u32>(p, 4);
  if (bytes === 32) {
    s += <u64>load<u32>(p, 8) + <u64>load<u32>(p, 12) + <u64>load<u32>(p, 16);
    s += <u64>load<u32>(p, 20) + <u64>load<u32>(p, 24) + <u64>load<u32>(p, 28);
  }
  return s + word(protocol) + <u64>bswap<u32>(length);
}
