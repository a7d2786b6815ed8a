import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromBytes } from '../../src/net/address.ts';
import { fillSlots, sharesOf, slotOf } from '../../src/service/maglev.ts';

const key = fc
  .tuple(fc.integer({ min: 0, max: 0xffffff }), fc.integer({ min: 1, max: 65_535 }))
  .map(([n, port]) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}:${port}`);
const keys = (most: number) =>
  fc.uniqueArray(key, { minLength: 2, maxLength: most }).map((list) => [...list].sort());

describe('slots', () => {
  it('are none without backends, and one for one', () => {
    expect(fillSlots([])).toHaveLength(0);
    expect([...fillSlots(['a'])]).toEqual([0]);
  });

  it('give every backend the same share, give or take one slot', () => {
    fc.assert(
      fc.property(keys(400), (backends) => {
        const slots = fillSlots(backends);
        const shares = sharesOf(slots, backends.length);
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
        expect(Math.min(...shares)).toBeGreaterThanOrEqual(50);
        expect(slots.length).toBeLessThanOrEqual(65_536);
      }),
      { numRuns: 40 },
    );
  });

  it('move little beyond the share of a backend that goes, and as little when it comes back', () => {
    fc.assert(
      fc.property(keys(160), fc.nat(), (backends, n) => {
        const gone = backends[n % backends.length];
        const left = backends.filter((one) => one !== gone);
        const [before, after] = [fillSlots(backends), fillSlots(left)];
        // Another number of slots is another table; with one backend left all slots are its own.
        if (before.length !== after.length) return;
        const moved = before.filter((index, slot) => backends[index] !== left[after[slot] ?? 0]).length;
        const unavoidable = before.filter((index) => backends[index] === gone).length;
        expect((moved - unavoidable) / before.length).toBeLessThan(0.06);
      }),
      { numRuns: 200 },
    );
  });

  it('depend on nothing but the backends', () => {
    const backends = ['10.244.1.1:8080', '10.244.1.2:8080', '10.244.1.3:8080'];
    expect([...fillSlots(backends).subarray(0, 16)]).toEqual([...fillSlots([...backends]).subarray(0, 16)]);
    expect([...fillSlots(backends).subarray(0, 16)]).toMatchInlineSnapshot(`
      [
        0,
        1,
        0,
        2,
        2,
        2,
        0,
        1,
        2,
        2,
        1,
        2,
        1,
        2,
        1,
        1,
      ]
    `);
  });

  it('are found evenly from neighbouring clients and ports', () => {
    const counts = new Array<number>(1024).fill(0);
    const found = 102_400;
    for (let i = 0; i < found; i++) {
      const bytes = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 244, i >> 8, i & 255]);
      const slot = slotOf(fromBytes(bytes), 32_768 + (i >> 6), 1024);
      counts[slot] = (counts[slot] ?? 0) + 1;
    }
    // χ² of 1023 degrees of freedom: mean 1023, deviation 45.
    const chi = counts.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0);
    expect(chi).toBeGreaterThan(820);
    expect(chi).toBeLessThan(1220);
  });
});
