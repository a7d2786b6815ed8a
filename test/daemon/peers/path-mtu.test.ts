import { describe, expect, it } from 'vitest';
import { ladder } from '../../../src/daemon/peers/path-mtu.ts';

describe('path MTU ladder', () => {
  it('has rungs strictly between, ever closer', () => {
    for (let low = 1280, high = 9000, rounds = 0; high - low > 1; rounds++) {
      const rungs = ladder(low, high);
      expect(rungs.length).toBeGreaterThan(0);
      expect(rungs.length).toBeLessThanOrEqual(16);
      expect(rungs.every((size) => size > low && size < high)).toBe(true);
      expect(rounds).toBeLessThan(5);
      [low, high] = [
        rungs.findLast((size) => size <= 1404) ?? low,
        rungs.find((size) => size > 1404) ?? high,
      ];
      expect(low <= 1404 && high > 1404).toBe(true);
    }
  });
});
