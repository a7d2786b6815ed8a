import { expect, it } from 'vitest';
import type { Decision } from '../../src/policy/compiled.ts';
import { DecisionNumbers } from '../../src/policy/decisions.ts';

const decision = (rule: number): Decision => ({
  verdict: 'allow',
  direction: 'ingress',
  tier: 'NetworkPolicy',
  policies: ['NetworkPolicy:default/web'],
  rule,
  name: null,
});

it('numbers decisions for as long as they are in use, and refuses one more than there are numbers', () => {
  const numbers = new DecisionNumbers(4);
  const [first, second, third] = [0, 1, 2].map((rule) => numbers.of(decision(rule)));
  expect(numbers.of(decision(1))).toBe(second);
  expect(() => numbers.of(decision(3))).toThrow('are more than 3, which is how many can be counted');
  numbers.keep(new Set([first as number, third as number]));
  expect(numbers.of(decision(0))).toBe(first);
  expect(numbers.of(decision(3))).toBe(second);
  expect(numbers.snapshot().get(second as number)).toEqual(decision(3));
});
