import { describe, expect, it } from 'vitest';
import { capacity, isForPods, nextFree } from '../../src/ipam/pool.ts';
import { address } from '../../src/net/address.ts';
import { prefix } from '../../src/net/prefix.ts';

describe('pool', () => {
  it.each([
    ['10.244.1.0/24', 253],
    ['10.244.1.4/30', 1],
    ['10.244.1.4/31', 0],
    ['10.244.1.4/32', 0],
    ['10.0.0.0/8', 2 ** 24 - 3],
    ['fd00:244:1::/64', 2 ** 32 - 2],
    ['fd00:244:1::/126', 2],
    ['fd00:244:1::/128', 0],
  ])('%s has room for %i pods', (block, count) => {
    expect(capacity(prefix(block))).toBe(count);
  });

  it.each([
    ['10.244.1.0/24', '10.244.1.0', false],
    ['10.244.1.0/24', '10.244.1.1', false],
    ['10.244.1.0/24', '10.244.1.2', true],
    ['10.244.1.0/24', '10.244.1.254', true],
    ['10.244.1.0/24', '10.244.1.255', false],
    ['10.244.1.0/24', '10.244.2.2', false],
    ['10.244.1.0/24', 'fd00:244:1::2', false],
    ['fd00:244:1::/64', 'fd00:244:1::', false],
    ['fd00:244:1::/64', 'fd00:244:1::1', false],
    ['fd00:244:1::/64', 'fd00:244:1::2', true],
    ['fd00:244:1::/64', 'fd00:244:1::1:2:3:4', true],
  ])('of %s a pod can have %s: %s', (block, text, can) => {
    expect(isForPods(prefix(block), address(text))).toBe(can);
  });

  it('goes round, so that what was released last comes last', () => {
    const block = prefix('10.244.1.0/29');
    const given: string[] = [];
    let after = 0;
    for (let i = 0; i < 8; i++) {
      const next = nextFree(block, after, ({ text }) => text !== '10.244.1.4');
      given.push(next?.address.text ?? '');
      after = next?.offset ?? 0;
    }
    const round = ['10.244.1.2', '10.244.1.3', '10.244.1.5', '10.244.1.6'];
    expect(given).toEqual([...round, ...round]);
    expect(nextFree(block, 3, () => false)).toBeUndefined();
  });

  it('crosses the 16 bits of an IPv6 group', () => {
    const next = nextFree(prefix('fd00:244:1::/64'), 0xffff, () => true);
    expect(next?.address.text).toBe('fd00:244:1::1:0');
  });
});
