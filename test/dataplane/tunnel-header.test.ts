import { describe, expect, it } from 'vitest';
import { overhead, tunnelHeader } from '../../src/dataplane/tunnel-header.ts';
import { desiredFrom, node } from '../support/cluster.ts';
import { loadConfigText } from '../support/configuration.ts';

const header = (more: object, family: 4 | 6 = 4) => {
  const [tunnel] = desiredFrom([node(1), node(2)], 'node-1', more).tunnels.filter(
    (one) => one.family === family,
  );
  if (!tunnel) throw new Error('no tunnel');
  const config = loadConfigText('node-1', more);
  return {
    hex: Buffer.from(tunnelHeader(tunnel, config)).toString('hex'),
    overhead: overhead(tunnel, config),
  };
};

const underlay = { addresses: ['192.0.2.1', '2001:db8::1'], dscp: 46, ttl: 9 };
const options = [
  { class: 0x0102, type: 1, critical: true, data: 'deadbeef' },
  { class: 0xffff, type: 0x7f },
];

describe('tunnel headers', () => {
  it.each([
    ['vxlan', { encapsulation: 'vxlan', vni: 0xabcdef }, 4, '08000000abcdef00', 50],
    ['vxlan over IPv6', { encapsulation: 'vxlan' }, 6, '0800000000000100', 70],
    ['geneve', { vni: 7 }, 4, '0000655800000700', 50],
    [
      'geneve with options',
      { geneve: { options } },
      4,
      '0340655800000100' + '01028101deadbeef' + 'ffff7f00',
      62,
    ],
    ['geneve with IP payload', { geneve: { payload: 'ip' } }, 6, '0000655800000100', 56],
    [
      'ipip',
      { encapsulation: 'ipip', underlay },
      4,
      '45b80000' + '00004000' + '09000000' + 'c0000201' + 'c0000202',
      20,
    ],
    [
      'ipip over IPv6',
      { encapsulation: 'ipip', underlay },
      6,
      '6b800000' + '00000009' + '20010db8000000000000000000000001' + '20010db8000000000000000000000002',
      40,
    ],
  ] as const)('of %s', (_, more, family, hex, bytes) => {
    expect(header(more, family)).toEqual({ hex, overhead: bytes });
  });
});
