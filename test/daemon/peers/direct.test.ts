// Which frames of the underlay's device the data path takes, by the filter as the kernel would run it.
import { describe, expect, it } from 'vitest';
import { directFilter } from '../../../src/daemon/peers/direct-filter.ts';
import { directScript } from '../../../src/daemon/peers/direct-rules.ts';
import { address } from '../../../src/net/address.ts';
import { prefix, single } from '../../../src/net/prefix.ts';
import { concat, ethernet, udpPacket } from '../../support/packets.ts';

const blocks = {
  ranges: ['10.244.2.0/24', 'fd00:244:2::/47'].map(prefix),
  own: ['192.0.2.2', '198.51.100.2', '2001:db8::2', '2001:db8:1::2'].map((text) => single(address(text))),
  pods: ['10.244.0.0/15', '172.16.0.0/12', 'fd00:244::/32', 'fd00:9::/33'].map(prefix),
};

/** The five instructions that the filter is made of (Linux net/core/filter.c). */
function takes(frame: Uint8Array, { type = 0, vlan = 0 } = {}): boolean {
  const [count, ...lines] = directFilter(blocks).split('\n');
  expect(lines).toHaveLength(Number(count));
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const facts = new Map([
    [0xfffff004, type],
    [0xfffff030, vlan],
  ]);
  let a = 0;
  for (let i = 0; i < lines.length; i++) {
    const [code, ifTrue = 0, ifFalse = 0, value = 0] = (lines[i] ?? '').split(' ').map(Number);
    if (code === 0x06) return value > 0;
    if (code === 0x20) {
      const fact = facts.get(value);
      if (fact === undefined && value + 4 > frame.length) return false;
      a = fact ?? view.getUint32(value);
    } else if (code === 0x28) a = view.getUint16(value);
    else if (code === 0x54) a = (a & value) >>> 0;
    else if (code === 0x15) i += a === value ? ifTrue : ifFalse;
    else if (code === 0x05) i += value;
    else throw new Error(`code ${code}`);
  }
  throw new Error('the program has no end');
}

const ends = { dst: '02:00:00:00:00:02', src: '02:00:00:00:00:01' };
const frame = (src: string, dst: string) => ethernet(ends, udpPacket({ src, dst }, {}));

describe('frames without encapsulation', () => {
  it.each([
    ['10.244.1.2', '10.244.2.3', true],
    ['192.0.2.1', '10.244.2.255', true],
    ['198.51.100.9', '10.244.2.3', true],
    ['10.244.1.2', '10.244.3.3', false],
    ['10.244.1.2', '192.0.2.2', true],
    ['10.245.1.2', '198.51.100.2', true],
    ['172.31.1.2', '192.0.2.2', true],
    ['10.246.1.2', '192.0.2.2', false],
    ['192.0.2.1', '192.0.2.2', false],
    ['10.244.1.2', '192.0.2.3', false],
    ['fd00:244:1::2', 'fd00:244:3::3', true],
    ['2001:db8::1', 'fd00:244:2::3', true],
    ['fd00:244:1::2', 'fd00:244:4::3', false],
    ['fd00:244:1::2', '2001:db8::2', true],
    ['fd00:9:7fff::2', '2001:db8:1::2', true],
    ['fd00:9:8000::2', '2001:db8:1::2', false],
    ['fd00:a::2', '2001:db8:1::2', false],
    ['2001:db8::1', '2001:db8::2', false],
  ])('from %s to %s: %s', (src, dst, expected) => {
    expect(takes(frame(src, dst))).toBe(expected);
  });

  it('are taken only where they are to this host, and untagged', () => {
    const one = frame('10.244.1.2', '10.244.2.3');
    for (const type of [1, 2, 3, 4]) expect(takes(one, { type })).toBe(false);
    expect(takes(one, { vlan: 1 })).toBe(false);
  });

  it('are IP packets that reach to their addresses', () => {
    const arp = concat(
      frame('10.244.1.2', '10.244.2.3').slice(0, 12),
      new Uint8Array([8, 6]),
      new Uint8Array(46),
    );
    expect(takes(arp)).toBe(false);
    expect(takes(frame('10.244.1.2', '10.244.2.3').slice(0, 33))).toBe(false);
  });

  it('are kept from the kernel by the same blocks', () => {
    const script = directScript('eth0', blocks, [address('192.0.2.1')]);
    expect(script).toContain(
      'set ranges4 { type ipv4_addr; flags interval; auto-merge; elements = { 10.244.2.0/24 } }',
    );
    expect(script).toContain('set nodes6 { type ipv6_addr; flags interval; auto-merge; }');
    expect(script).toContain('type filter hook ingress device "eth0" priority -10');
  });
});
