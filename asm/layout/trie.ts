/**
 * Prefix trie: longest-prefix match of one family, routes or CIDR classes.
 *
 *     trie ┌────────┬────────┬─────┬────────┐┌──────────────────────────┐
 *          │ root   │ node 1 │  …  │ node n ││ leaves: u32 each         │
 *          └────────┴────────┴─────┴────────┘└──────────────────────────┘
 *
 * A node decides by one byte of the address: each of its 256 slots leads to another node or to
 * a leaf, the value of the longest prefix there. Bytes on which all prefixes below agree are
 * skipped (`at` jumps ahead) and compared with `key`. Children lie side by side in the order of
 * their slots, so do leaves, neighbouring slots with one value sharing one leaf; counting bits
 * finds their place (as in Asai and Ohara, "Poptrie", SIGCOMM 2015). So a look-up reads one node
 * a level and one leaf, and there are as many levels at most as the address has bytes.
 *
 *      0        16    20         24         28       32      36       40       64
 *      ├ key ───┼ at ─┼ outside ─┼ children ┼ leaves ┼ nodes<┼ leaves<┼ (zero)─┤
 *      64            72           80                                          128
 *      ├ nodes 0–63 ─┼ runs 0–63 ─┼ nodes 64–127 … runs 192–255 ──────────────┤
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
/**
 * Bytes that hold a trie of one prefix, and n times as many one of n: at most 2 n − 1 nodes, as each either ends a prefix
 * or divides others, and one leaf a node and two more a prefix.
 */
export const TRIE_BYTES_PER_PREFIX: u32 = 272;
