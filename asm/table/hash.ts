/**
 * Hashes of table keys: two u64 words to 32 bits by multiply and fold.
 *
 * Good spread for addresses that differ in few bits; not keyed, because the keys of these
 * tables come from the cluster's own objects. Flows, whose keys a stranger chooses, mix
 * in a random seed (CONTROL_SEED) first.
 */
export function hashWords(low: u64, high: u64): u32 {
  let h = (low ^ (high * 0x9e3779b97f4a7c15)) * 0xff51afd7ed558ccd;
  h ^= h >> 32;
  h *= 0xc4ceb9fe1a85ec53;
  return <u32>(h >> 32) ^ <u32>h;
}
