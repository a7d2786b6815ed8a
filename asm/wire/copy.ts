/**
 * Copies `n` bytes that do not overlap. For headers and small packets: memory.copy leaves
 * WebAssembly, which costs more than they do.
 */
export function copyShort(to: usize, from: usize, n: u32): void {
  const vectors = n & ~15;
  let at: u32 = 0;
  for (; at < vectors; at += 16) v128.store(to + at, v128.load(from + at));
  if (n & 8) {
    store<u64>(to + at, load<u64>(from + at));
    at += 8;
  }
  if (n & 4) {
    store<u32>(to + at, load<u32>(from + at));
    at += 4;
  }
  if (n & 2) {
    store<u16>(to + at, load<u16>(from + at));
    at += 2;
  }
  if (n & 1) store<u8>(to + at, load<u8>(from + at));
}
