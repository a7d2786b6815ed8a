/** Results as lines for a terminal. */
import { peers } from './peers/all.ts';
import type { BenchResult, Comparison, FigureResult, IdleResult } from './results.ts';
import type { Interval } from './statistics.ts';

const units = {
  'bit/s': (value: number) => `${(value / 1e9).toFixed(2)} Gbit/s`,
  'packets/s': (value: number) => `${(value / 1e3).toFixed(0)} kpackets/s`,
  s: (value: number) => `${(value * 1e6).toFixed(0)} µs`,
  's/GB': (value: number) => `${value.toFixed(2)} s/GB`,
  'share of a core': (value: number) => `${(value * 100).toFixed(2)} %`,
  bytes: (value: number) => `${(value / 1e6).toFixed(0)} MB`,
} as const;

export const quantity = (value: number, unit: keyof typeof units): string => units[unit](value);

export const interval = ({ low, high }: Interval): string =>
  low === null || high === null ? '' : `${low.toFixed(2)}–${high.toFixed(2)}`;

/** E.g. `≥ 1.25`. */
export const aim = ({ better }: FigureResult, { target }: Comparison): string =>
  target === null ? '' : `${better === 'more' ? '≥' : '≤'} ${target}`;

export const verdict = ({ target, met }: Comparison): string =>
  target === null ? 'reported' : met === null ? 'too few pairs to tell' : met ? 'met' : 'missed';

export function figureLines(figure: FigureResult): string[] {
  const head = `${figure.title} (${figure.name}): Overweft ${quantity(figure.overweft, figure.unit)}`;
  const rows = figure.comparisons.map((one) => {
    const { title } = peers[one.peer];
    const cells = [
      `  ${title.padEnd(26)}`,
      quantity(one.value, figure.unit).padStart(16),
      `ratio ${one.ratio.median.toFixed(2)}`.padStart(14),
      interval(one.ratio).padEnd(12),
      [aim(figure, one), verdict(one)].filter((text) => text !== '').join(' '),
    ];
    return cells.join(' ').trimEnd();
  });
  return [head, ...rows];
}

export const idleLine = ({ title, name, unit, value, limit, met }: IdleResult): string =>
  `${title} (${name}): ${quantity(value.median, unit)}, at most ${quantity(limit, unit)}: ${met ? 'met' : 'missed'}`;

export const missingLines = ({ missing }: BenchResult): string[] =>
  missing.map(({ title, reason }) => `not measured: ${title}: ${reason}`);
