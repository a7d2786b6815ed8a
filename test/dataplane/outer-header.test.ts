// The headers before a superframe that the kernel splits, byte by byte.
import { describe, expect, it } from 'vitest';
import { injectionMac, outerHeader } from '../../src/dataplane/outer-header.ts';
import { address } from '../../src/net/address.ts';
import { hex } from '../support/packets.ts';

const settings = (ttl: number) => ({
  node: 'node-1',
  underlay: { dscp: 46, ttl },
  ports: { vxlan: 4789, geneve: 6081 },
});
const four = { family: 4, local: address('192.0.2.1'), remote: address('192.0.2.2') } as const;
const six = { family: 6, local: address('2001:db8::1'), remote: address('2001:db8::2') } as const;
const ethernet = 6 + 6;

describe('outer header of injected frames', () => {
  it('is addressed to the injection TAP', () => {
    const header = outerHeader({ encapsulation: 'vxlan', ...four }, settings(64));
    expect(hex(header.subarray(0, 6))).toBe(hex(injectionMac('node-1')));
    expect(hex(header.subarray(6, ethernet))).not.toBe(hex(injectionMac('node-1')));
  });

  it('leaves lengths, identification, checksums and the source port open, over IPv4', () => {
    const header = outerHeader({ encapsulation: 'vxlan', ...four }, settings(64));
    expect(hex(header.subarray(ethernet))).toBe(
      ['0800', '45b8000000004000', '41110000', 'c0000201', 'c0000202', '000012b500000000'].join(''),
    );
  });

  it('does so over IPv6', () => {
    const header = outerHeader({ encapsulation: 'geneve', ...six }, settings(64));
    const ends = ['20010db8000000000000000000000001', '20010db8000000000000000000000002'];
    expect(hex(header.subarray(ethernet))).toBe(
      ['86dd', '6b80000000001141', ...ends, '000017c100000000'].join(''),
    );
  });

  it('allows for the hop that forwarding takes, as far as a TTL goes', () => {
    const ttlOf = (ttl: number) => outerHeader({ encapsulation: 'vxlan', ...four }, settings(ttl))[14 + 8];
    expect([1, 64, 255].map(ttlOf)).toEqual([2, 65, 255]);
  });

  it('does not exist for IPIP', () => {
    expect(() => outerHeader({ encapsulation: 'ipip', ...four }, settings(64))).toThrow('no UDP header');
  });
});
