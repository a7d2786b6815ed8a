import { expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { masqueradeCommands } from '../../../src/daemon/outside/masquerade-rules.ts';
import { address } from '../../../src/net/address.ts';
import { prefix } from '../../../src/net/prefix.ts';

const config = parseConfig(
  `{ node: node-1, store: { type: file, directory: /m }, underlay: { addresses: [192.0.2.1] },
     masquerade: { exceptCIDRs: [10.0.0.0/8, 2001:db8:1::/48] } }`,
  'config.yaml',
);

const peer = (name: string, addresses: string[], podCIDRs: string[]) => ({
  name,
  isStatic: false,
  labels: {},
  addresses: addresses.map(address),
  nodeAddresses: addresses.map(address),
  podCIDRs: podCIDRs.map(prefix),
  routerMac: new Uint8Array(6),
  encapsulations: ['geneve' as const],
  takesDirect: false,
  vni: 1,
  mtu: undefined,
  version: undefined,
  probes: [],
});

const rulesOf = (commands: readonly object[], chain: string) =>
  commands.flatMap((command) => {
    const { add } = command as { add?: { rule?: { chain: string; expr: object[] } } };
    return add?.rule?.chain === chain ? [add.rule.expr] : [];
  });

it('masquerades towards whatever is neither a pod, nor a node, nor excepted, with blocks that do not overlap', () => {
  const node = {
    name: 'node-1',
    routerMac: new Uint8Array(6),
    podCIDRs: [prefix('10.244.1.0/24')],
    podNetworkAddresses: [],
    internalIPs: [],
    resolverAddresses: [],
  };
  const peers = [
    peer('node-2', ['192.0.2.2', '2001:db8::2'], ['10.244.2.0/24']),
    peer('vtep', ['198.51.100.1'], ['172.16.0.0/24', '172.16.0.0/24']),
  ];
  const clusterCIDRs = [prefix('10.244.0.0/16')];
  const rules = rulesOf(masqueradeCommands({ node, peers, clusterCIDRs }, config), 'postrouting');
  const block = (addr: string, len: number) => ({ prefix: { addr, len } });
  expect(rules).toEqual([
    [
      {
        match: {
          op: '==',
          left: { payload: { protocol: 'ip', field: 'saddr' } },
          right: { set: [block('10.244.0.0', 16)] },
        },
      },
      {
        match: {
          op: '!=',
          left: { payload: { protocol: 'ip', field: 'daddr' } },
          right: {
            set: [
              block('10.0.0.0', 8),
              block('172.16.0.0', 24),
              block('192.0.2.2', 32),
              block('198.51.100.1', 32),
              block('192.0.2.1', 32),
            ],
          },
        },
      },
      { masquerade: { flags: 'fully-random' } },
    ],
  ]);
});
