/**
 * Longest-prefix match over 128-bit addresses (asm/layout/trie.ts draws the trie).
 *
 * The cost of a look-up is bounded by the bytes of an address, however many prefixes there are and of however many
 * lengths: an IPv4 one reads four nodes and a bucket at most. The control thread builds tries (src/dataplane/trie.ts).
 */
import {
  TRIE_AT,
  TRIE_BUCKET_AROUND,
  TRIE_BUCKET_BITS,
  TRIE_BUCKET_VALUES,
  TRIE_CHILDREN,
  TRIE_CHILDREN_BEFORE,
  TRIE_IS_BUCKET,
  TRIE_LEAVES,
  TRIE_LEAVES_BEFORE,
  TRIE_NODE_SIZE,
  TRIE_NOTHING,
  TRIE_OUTSIDE,
  TRIE_SLOT_PAIR,
  TRIE_SLOTS,
} from '../layout/trie';

/** Whether the 16 bytes at `address` are an IPv4 address (::ffff:a.b.c.d). */
export function isMapped(address: usize): bool {
  return load<u64>(address) === 0 && load<u32>(address, 8) === 0xffff0000;
}

/** How many of its leading bytes, 0–16, the key at `key` has in common with an address. */
function agreeingBytes(key: usize, address: v128): u32 {
  return ctz<u32>(~i8x16.bitmask(i8x16.eq(address, v128.load(key))) | 0x10000);
}

/** Whether an address agrees with a key in its leading `bits`; it is given twice, where it lies and loaded. */
function isWithin(key: usize, bits: u32, address: usize, loaded: v128): bool {
  const agreeing = agreeingBytes(key, loaded);
  const whole = bits >> 3;
  if (agreeing !== whole) return agreeing > whole;
  const difference = <u32>load<u8>(key + whole) ^ <u32>load<u8>(address + whole);
  return difference >> (8 - (bits & 7)) === 0;
}

function bucketFind(bucket: usize, address: usize, loaded: v128): u32 {
  if (isWithin(bucket, load<u32>(bucket, TRIE_BUCKET_BITS), address, loaded))
    return load<u32>(bucket, TRIE_BUCKET_VALUES);
  if (isWithin(bucket + 16, load<u32>(bucket, TRIE_BUCKET_BITS + 4), address, loaded))
    return load<u32>(bucket, TRIE_BUCKET_VALUES + 4);
  return load<u32>(bucket, TRIE_BUCKET_AROUND);
}

/** Value of the longest prefix in the trie at `trie` that holds the 16 bytes at `address`, TRIE_NOTHING: none. */
export function prefixFind(trie: usize, address: usize): u32 {
  if (trie === 0) return TRIE_NOTHING;
  const wanted = v128.load(address);
  let node = trie;
  for (;;) {
    const at = load<u32>(node, TRIE_AT);
    if (agreeingBytes(node, wanted) < at) break;
    const slot = <u32>load<u8>(address + at);
    const word = slot >> 6;
    const pair = node + TRIE_SLOTS + word * TRIE_SLOT_PAIR;
    const bit: u64 = (<u64>1) << (slot & 63);
    const children = load<u64>(pair);
    if ((children & bit) === 0) {
      const begun = load<u64>(pair, 8) & (bit | (bit - 1));
      const leaf = <u32>load<u8>(node + word, TRIE_LEAVES_BEFORE) + <u32>popcnt<u64>(begun) - 1;
      const found = load<u32>(trie + load<u32>(node, TRIE_LEAVES) + (leaf << 2));
      return found & TRIE_IS_BUCKET ? bucketFind(trie + (found & ~TRIE_IS_BUCKET), address, wanted) : found;
    }
    const child = <u32>load<u8>(node + word, TRIE_CHILDREN_BEFORE) + <u32>popcnt<u64>(children & (bit - 1));
    node = trie + load<u32>(node, TRIE_CHILDREN) + child * TRIE_NODE_SIZE;
  }
  return load<u32>(node, TRIE_OUTSIDE);
}
