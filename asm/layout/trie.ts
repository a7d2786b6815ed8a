/**
 * Prefix trie: longest-prefix match of one family, routes or CIDR classes.
 *
 *     trie ┌────────┬────────┬─────┬────────┐┌────────────────┐┌──────────────────┐
 *          │ root   │ node 1 │  …  │ node n ││ buckets        ││ leaves: u32 each │
 *          └────────┴────────┴─────┴────────┘└────────────────┘└──────────────────┘
 *
 * A node decides by one byte of the address: each of its 256 slots leads to another node or to a leaf, which is the value
 * of the longest prefix there, or where more than none and fewer than three prefixes lie below, the offset of a bucket
 * that holds them. Bytes on which all prefixes below agree are skipped (`at` jumps ahead) and compared with `key`. Children
 * lie side by side in the order of their slots, so do leaves, neighbouring slots with one value sharing one leaf; counting
 * bits finds their place (as in Asai and Ohara, "Poptrie", SIGCOMM 2015). So a look-up reads one node a level, one leaf and
 * at most one bucket, and there are as many levels at most as the address has bytes.
 *
 *     node
 *      0        16    20         24         28       32      36       40       64
 *      ├ key ───┼ at ─┼ outside ─┼ children ┼ leaves ┼ nodes<┼ leaves<┼ (zero)─┤
 *      64            72           80                                          128
 *      ├ nodes 0–63 ─┼ runs 0–63 ─┼ nodes 64–127 … runs 192–255 ──────────────┤
 *
 *     bucket, a cache line: the longer prefix first
 *      0        16       32       36       40        44        48       52    64
 *      ├ key 0 ─┼ key 1 ─┼ bits 0 ┼ bits 1 ┼ value 0 ┼ value 1 ┼ around ┼zero─┤
 *
 * Offsets in a trie count from its start, so that it can be copied as it is.
 */
export const TRIE_NODE_SIZE: u32 = 128;
/** 16 bytes: an address that agrees with every prefix below in the bytes before `at`. */
export const TRIE_KEY: u32 = 0;
/** u32: the byte that decides, 0–15. */
export const TRIE_AT: u32 = 16;
/** u32: value for addresses that differ from the key before `at`. */
export const TRIE_OUTSIDE: u32 = 20;
/** u32: offset of the first child. */
export const TRIE_CHILDREN: u32 = 24;
/** u32: offset of the first leaf. */
export const TRIE_LEAVES: u32 = 28;
/** u8 × 4: children of the slots before 0, 64, 128 and 192. */
export const TRIE_CHILDREN_BEFORE: u32 = 32;
/** u8 × 4: leaves of the slots before these. */
export const TRIE_LEAVES_BEFORE: u32 = 36;
/** Four pairs of u64, slot 64 n + i as bit i of pair n: slots with a child; slots at which a leaf begins. */
export const TRIE_SLOTS: u32 = 64;
export const TRIE_SLOT_PAIR: u32 = 16;
/** Value of a leaf that no prefix covers. */
export const TRIE_NOTHING: u32 = 0;
/** Bit of a leaf: the others are the offset of a bucket. Values are smaller. */
export const TRIE_IS_BUCKET: u32 = 0x80000000;

export const TRIE_BUCKET_SIZE: u32 = 64;
export const TRIE_BUCKET_PREFIXES: u32 = 2;
/** 16 bytes × 2: prefixes, masked. */
export const TRIE_BUCKET_KEYS: u32 = 0;
/** u32 × 2: length of 128, TRIE_NO_BITS: there is no such prefix. */
export const TRIE_BUCKET_BITS: u32 = 32;
/** u32 × 2: value of what the prefix holds. */
export const TRIE_BUCKET_VALUES: u32 = 40;
/** u32: value of what neither holds. */
export const TRIE_BUCKET_AROUND: u32 = 48;
/** No address agrees with anything in so many bits. */
export const TRIE_NO_BITS: u32 = 255;

/**
 * Bytes that hold a trie of one prefix, and n times as many one of n: no more nodes than prefixes, as each but the root
 * either ends a prefix or divides others, no more buckets either, and a leaf a node and two more a prefix.
 */
export const TRIE_BYTES_PER_PREFIX: u32 = 208;
