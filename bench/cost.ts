// Cost of a packet as something grows: ratios within rounds, because a machine's speed drifts.
import { quantile } from './measure.ts';

export interface Cost {
  /** Nanoseconds a packet, median of the rounds. */
  readonly ns: number;
  /** Over that of the smallest size in the same round: median, and the quarter points around it. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
}

/** @param base of the smallest size, round for round */
export function costOf(own: readonly number[], base: readonly number[]): Cost {
  const ratios = own.map((ns, i) => ns / (base[i] ?? Number.NaN));
  return {
    ns: quantile(own, 0.5),
    ratio: quantile(ratios, 0.5),
    low: quantile(ratios, 0.25),
    high: quantile(ratios, 0.75),
  };
}
