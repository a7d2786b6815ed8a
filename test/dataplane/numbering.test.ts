import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Numbering } from '../../src/dataplane/numbering.ts';

describe('numbering', () => {
  it('keeps a number as long as its name is in use, whatever comes and goes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uniqueArray(fc.constantFrom(...'abcdefgh'), { maxLength: 6 }), { maxLength: 20 }),
        (rounds) => {
          const numbering = new Numbering(1, 7);
          let before = new Map<string, number>();
          for (const names of rounds) {
            const added = numbering.assign(names) ?? [];
            const now = new Map(names.map((name) => [name, numbering.numberOf(name) ?? -1]));
            expect(new Set(now.values()).size).toBe(names.length);
            for (const [name, number] of now) {
              expect(number).toBeGreaterThanOrEqual(1);
              expect(number).toBeLessThan(7);
              if (before.has(name)) expect(number).toBe(before.get(name));
              expect(added.includes(name)).toBe(!before.has(name));
            }
            before = now;
          }
        },
      ),
    );
  });

  it('changes nothing when there are too many names', () => {
    const numbering = new Numbering(0, 2);
    numbering.assign(['a']);
    expect(numbering.assign(['b', 'c', 'd'])).toBeUndefined();
    expect(numbering.numberOf('a')).toBe(0);
    expect([numbering.add('b'), numbering.add('c')]).toEqual([1, undefined]);
  });

  it('has copies of its own', () => {
    const numbering = new Numbering(0, 2);
    numbering.add('a');
    const copy = numbering.copy();
    copy.assign(['b']);
    expect([numbering.numberOf('a'), numbering.numberOf('b'), copy.numberOf('a')]).toEqual([
      0,
      undefined,
      undefined,
    ]);
  });
});
