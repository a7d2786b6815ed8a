/**
 * Longest-prefix match over 128-bit addresses, both families in one table.
 *
 * One open-addressed hash holds every prefix under its masked address and length; beside
 * it stands a list of the lengths in use, longest first, one for each family:
 *
 *     lengths  │ n │ 128 │ 120 │ 96 │        (bytes; an IPv4 /24 is 120)
 *                     │     │
 *                     ▼     ▼
 *     hash     key = address & mask(length), length → kind, target
 *
 * A look-up costs one probe for each length in use, however many prefixes there are.
 */
import { PREFIX_KIND, PREFIX_LENGTH, PREFIX_SIZE, PREFIX_TARGET } from '../layout/tables';
import { hashWords } from './hash';

/** Whether the 16 bytes at `address` are an IPv4 address (::ffff:a.b.c.d). */
export function isMapped(address: usize): bool {
  return load<u64>(address) === 0 && load<u32>(address, 8) === 0xffff0000;
}

/** Mask of the `n` (0–64) leading bits of eight network-order bytes, as a little-endian u64. */
function mask64(n: u32): u64 {
  return n === 0 ? 0 : bswap<u64>(u64.MAX_VALUE << (64 - <u64>n));
}

function slotHash(low: u64, high: u64, length: u32): u32 {
  return hashWords(low, high ^ ((<u64>length) << 32));
}

/**
 * Adds or replaces a prefix.
 * @returns false when the table is full (half of its slots taken)
 */
export function prefixPut(
  base: usize,
  mask: u32,
  countAt: usize,
  lengths: usize,
  low: u64,
  high: u64,
  length: u32,
  kind: u32,
  target: u32,
): bool {
  const maskedLow = length >= 64 ? low : low & mask64(length);
  const maskedHigh = length > 64 ? high & mask64(length - 64) : 0;
  const row = slotFor(base, mask, maskedLow, maskedHigh, length);
  if (load<u32>(row, PREFIX_LENGTH) === 0) {
    const count = load<u32>(countAt);
    if (count >= (mask + 1) >> 1) return false;
    store<u32>(countAt, count + 1);
    store<u64>(row, maskedLow);
    store<u64>(row, maskedHigh, 8);
    store<u32>(row, length + 1, PREFIX_LENGTH);
    lengthAdd(lengths, length);
  }
  store<u32>(row, kind, PREFIX_KIND);
  store<u32>(row, target, PREFIX_TARGET);
  return true;
}

/** The row of a masked prefix, or the free one where it would go. */
function slotFor(base: usize, mask: u32, low: u64, high: u64, length: u32): usize {
  let slot = slotHash(low, high, length) & mask;
  let row = base + slot * PREFIX_SIZE;
  for (;;) {
    const taken = load<u32>(row, PREFIX_LENGTH);
    if (taken === 0) break;
    if (taken === length + 1 && load<u64>(row) === low && load<u64>(row, 8) === high) break;
    slot = (slot + 1) & mask;
    row = base + slot * PREFIX_SIZE;
  }
  return row;
}

/** Keeps the list of lengths sorted, longest first, each once. */
function lengthAdd(lengths: usize, length: u32): void {
  const n = <u32>load<u8>(lengths);
  let at: u32 = 0;
  while (at < n && <u32>load<u8>(lengths + at, 1) > length) at++;
  if (at < n && <u32>load<u8>(lengths + at, 1) === length) return;
  for (let i = n; i > at; i--) store<u8>(lengths + i, load<u8>(lengths + i), 1);
  store<u8>(lengths + at, <u8>length, 1);
  store<u8>(lengths, <u8>(n + 1));
}

/** Absolute offset of the longest prefix that holds the 16 bytes at `address`, 0: none. */
export function prefixFind(base: usize, mask: u32, lengths: usize, address: usize): usize {
  const low = load<u64>(address);
  const high = load<u64>(address, 8);
  const n = <u32>load<u8>(lengths);
  for (let i: u32 = 0; i < n; i++) {
    const length = <u32>load<u8>(lengths + i, 1);
    const maskedLow = length >= 64 ? low : low & mask64(length);
    const maskedHigh = length > 64 ? high & mask64(length - 64) : 0;
    const row = slotFor(base, mask, maskedLow, maskedHigh, length);
    if (load<u32>(row, PREFIX_LENGTH) !== 0) return row;
  }
  return 0;
}
