import { SocketAddress } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { address, fromBytes, parseAddress, words } from '../../src/net/address.ts';
import { derivedMac, formatMac, parseMac } from '../../src/net/mac.ts';
import { contains, covers, nth, parsePrefix, prefix } from '../../src/net/prefix.ts';

describe('addresses', () => {
  it.each([
    ['192.0.2.1', '00000000000000000000ffffc0000201'],
    ['::', '00000000000000000000000000000000'],
    ['2001:db8::1', '20010db8000000000000000000000001'],
    ['fd00:244:1::2', 'fd000244000100000000000000000002'],
    ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
    ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221'],
  ])('reads %s', (text, hex) => {
    expect(Buffer.from(address(text).bytes).toString('hex')).toBe(hex);
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.0.0.1',
    'fe80::1%eth0',
    ':::',
    '1::2::3',
    'localhost',
    '10.0.0.0/8',
  ])('refuses %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  it.each([
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['1:0:0:2:2:0:0:3', '1::2:2:0:0:3'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
  ])('writes %s as RFC 5952 says', (text, canonical) => {
    expect(address(text).text).toBe(canonical);
  });

  it('reads what it writes, as the platform does', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const one = fromBytes(bytes);
        expect(address(one.text).bytes).toEqual(bytes);
        if (one.family === 6)
          expect(new SocketAddress({ family: 'ipv6', address: one.text }).address).toBeDefined();
      }),
    );
  });

  it('gives words as the data path loads them', () => {
    expect(words(address('2001:db8::1'))).toEqual([0xb80d0120, 0, 0, 0x01000000]);
  });
});

describe('prefixes', () => {
  it.each([
    ['10.244.1.7/24', '10.244.1.0/24', 120],
    ['0.0.0.0/0', '0.0.0.0/0', 96],
    ['::/0', '::/0', 0],
    ['fd00:244:1::9/64', 'fd00:244:1::/64', 64],
    ['2001:db8:ffff::/33', '2001:db8:8000::/33', 33],
    ['192.0.2.1/32', '192.0.2.1/32', 128],
  ])('reads %s', (text, canonical, bits) => {
    expect(prefix(text)).toMatchObject({ text: canonical, bits });
  });

  it.each([
    '10.0.0.0',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/-1',
    '10.0.0/8',
    '::ffff:10.0.0.0/104',
    'x/8',
    '10.0.0.0/8/8',
  ])('refuses %j', (text) => {
    expect(parsePrefix(text)).toBeUndefined();
  });

  it('holds an address exactly when its first bits are the same', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.nat(32), (a, b, length) => {
        const number = (text: string) => text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
        const same = number(a) >> BigInt(32 - length) === number(b) >> BigInt(32 - length);
        expect(contains(prefix(`${a}/${length}`), address(b))).toBe(same);
      }),
    );
  });

  it('does not mix families', () => {
    expect(contains(prefix('::/0'), address('10.0.0.1'))).toBe(false);
    expect(contains(prefix('0.0.0.0/0'), address('2001:db8::1'))).toBe(false);
  });

  it('knows blocks inside blocks', () => {
    expect(covers(prefix('10.0.0.0/8'), prefix('10.1.0.0/16'))).toBe(true);
    expect(covers(prefix('10.1.0.0/16'), prefix('10.0.0.0/8'))).toBe(false);
    expect(covers(prefix('10.0.0.0/8'), prefix('11.0.0.0/16'))).toBe(false);
  });

  it('counts from its first address', () => {
    expect(nth(prefix('10.244.1.0/24'), 1).text).toBe('10.244.1.1');
    expect(nth(prefix('fd00:244:1::/64'), 1).text).toBe('fd00:244:1::1');
  });
});

describe('MACs', () => {
  it('are read and written', () => {
    expect(formatMac(parseMac('02:AB:00:00:00:ff') ?? new Uint8Array())).toBe('02:ab:00:00:00:ff');
    expect(parseMac('02:ab:00:00:00')).toBeUndefined();
  });

  it('are derived alike everywhere, locally administered and unicast', () => {
    const mac = derivedMac('router', 'node-1');
    expect(mac).toEqual(derivedMac('router', 'node-1'));
    expect(mac).not.toEqual(derivedMac('router', 'node-2'));
    expect((mac[0] ?? 0) & 0x03).toBe(0x02);
  });
});
