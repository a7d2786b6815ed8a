/** What repeated measurements say: medians, and how far they can be trusted. */

export interface Interval {
  readonly median: number;
  /** Of the median, at 95 % or more; null where there are too few values for any. */
  readonly low: number | null;
  readonly high: number | null;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}

/**
 * The median and its 95 % interval from order statistics, which takes nothing for granted about how the values are
 * distributed: the k-th smallest and the k-th largest, for the largest k with P(Binomial(n, ½) < k) ≤ 2.5 %. Of 15
 * values these are the 4th and the 12th; fewer than 6 have no such interval.
 */
export function medianInterval(values: readonly number[]): Interval {
  const sorted = values.toSorted((a, b) => a - b);
  const k = rank(sorted.length);
  return {
    median: median(values),
    low: k === 0 ? null : (sorted[k - 1] ?? null),
    high: k === 0 ? null : (sorted[sorted.length - k] ?? null),
  };
}

function rank(n: number): number {
  let k = 0;
  let coefficient = 1;
  let below = 2 ** -n;
  while (below <= 0.025) {
    k++;
    coefficient = (coefficient * (n - k + 1)) / k;
    below += coefficient * 2 ** -n;
  }
  return k;
}

export type Better = 'more' | 'less';

/** Whether the end of the interval that is nearer to the target meets it; null where there is no interval. */
export function meets({ low, high }: Interval, target: number, better: Better): boolean | null {
  const near = better === 'more' ? low : high;
  if (near === null) return null;
  return better === 'more' ? near >= target : near <= target;
}
