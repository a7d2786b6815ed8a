import fc from 'fast-check';
import { expect, it } from 'vitest';
import { median, medianInterval, meets } from '../../src/bench/statistics.ts';

const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);

it('takes the mean of the two in the middle', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});

// Ranks as tables of the sign test have them, e.g. Conover, Practical Nonparametric Statistics, table A3 (p = 0.5).
it.each([
  [5, null, null],
  [6, 1, 6],
  [9, 2, 8],
  [10, 2, 9],
  [15, 4, 12],
  [20, 6, 15],
  [25, 8, 18],
])('gives of %i values the ranks %s and %s', (n, low, high) => {
  expect(medianInterval(upTo(n).toReversed())).toEqual({ median: (n + 1) / 2, low, high });
});

it('has the median within its interval, whatever the values', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 6 }), (values) => {
      const { median: middle, low, high } = medianInterval(values);
      expect(low).toBeLessThanOrEqual(middle);
      expect(high).toBeGreaterThanOrEqual(middle);
    }),
  );
});

it('holds the end of the interval that is nearer to a target against it', () => {
  const interval = { median: 1.2, low: 1.1, high: 1.3 };
  expect(meets(interval, 1.1, 'more')).toBe(true);
  expect(meets(interval, 1.15, 'more')).toBe(false);
  expect(meets(interval, 1.3, 'less')).toBe(true);
  expect(meets(interval, 1.25, 'less')).toBe(false);
  expect(meets({ median: 2, low: null, high: null }, 1, 'more')).toBeNull();
});
