/** Numbers that look random and are the same in every run. */
export type Random = (below: number) => number;

/** Marsaglia's xorshift. */
export function random(seed: number): Random {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Fisher and Yates, in place. */
export function shuffle<T>(list: T[], next: Random): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = next(i + 1);
    [list[i], list[j]] = [list[j] as T, list[i] as T];
  }
  return list;
}
