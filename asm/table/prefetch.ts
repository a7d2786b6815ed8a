/**
 * Prefetch: has a word at hand before it is needed. WebAssembly has no instruction for it; a load whose value nobody waits
 * for does the same, as the processor goes on while it is under way. Over a whole vector the misses overlap.
 */
export function prefetch(at: usize): void {
  load<u32>(at);
}
