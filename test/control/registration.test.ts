import { describe, expect, it } from 'vitest';
import { configSchema, type Encapsulation } from '../../src/config/schema.ts';
import { annotationsOf, encapsulationsBetween } from '../../src/control/registration.ts';
import { Known, topologyOf } from '../../src/control/topology.ts';
import { address } from '../../src/net/address.ts';
import { clusterFrom } from '../support/cluster.ts';

describe('the encapsulation between two nodes', () => {
  const side = (name: string, encapsulation?: Encapsulation, encapsulations?: Encapsulation[]) => ({
    name,
    encapsulation,
    encapsulations,
  });
  it.each([
    ['what both would have', side('a', 'vxlan'), side('b', 'vxlan'), ['vxlan']],
    ['the wish of the one that has one', side('a'), side('b', 'ipip'), ['ipip']],
    [
      'the wish of the first by name, and the other may still arrive',
      side('a', 'vxlan'),
      side('b', 'geneve'),
      ['vxlan', 'geneve'],
    ],
    [
      'the other wish, where the first is not taken',
      side('a', 'ipip'),
      side('b', 'geneve', ['geneve', 'vxlan']),
      ['geneve'],
    ],
    [
      'what both take, where neither wish is',
      side('a', 'ipip', ['ipip', 'vxlan']),
      side('b', 'geneve', ['geneve', 'vxlan']),
      ['vxlan'],
    ],
    [
      'none, where they take nothing alike',
      side('a', 'ipip', ['ipip']),
      side('b', 'geneve', ['geneve', 'vxlan']),
      [],
    ],
    ['the configured one, where neither says anything', side('a'), side('b'), ['geneve']],
  ])('is %s, from either side', (_, a, b, expected) => {
    expect(encapsulationsBetween(a, b, 'geneve')).toEqual(expected);
    expect(encapsulationsBetween(b, a, 'geneve')).toEqual(expected);
  });
});

describe('what nodes say of themselves', () => {
  const config = configSchema.parse({
    node: 'node-1',
    store: { type: 'file', directory: '/m' },
    underlay: { addresses: ['192.0.2.1', '2001:db8::1'] },
  });
  const node = (
    name: string,
    annotations: Record<string, string> = {},
    podCIDR = '10.244.2.0/24',
    address = '192.0.2.2',
  ) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, annotations },
    spec: { podCIDRs: [podCIDR] },
    status: { addresses: [{ type: 'InternalIP', address }] },
  });
  const own = node('node-1', { 'overweft.io/encapsulation': 'geneve' }, '10.244.1.0/24', '192.0.2.1');
  const seen = (...nodes: object[]) => topologyOf(clusterFrom(nodes).nodes, config, []);
  const tunnels = (...nodes: object[]) =>
    seen(...nodes).tunnels.map(({ key, remote, isPreferred }) => `${key} ${remote.text} ${isPreferred}`);

  it('leads tunnels to the addresses that the daemon names, and knows the others as the node, too', () => {
    const said = node('node-2', { 'overweft.io/underlay-addresses': '198.51.100.2, 2001:db8::2' });
    expect(tunnels(own, said)).toEqual([
      'node-2/geneve/ipv4 198.51.100.2 true',
      'node-2/geneve/ipv6 2001:db8::2 false',
    ]);
    const { endpoints } = seen(own, said);
    for (const address of ['192.0.2.2', '198.51.100.2', '2001:db8::2'])
      expect(endpoints.get(address), address).toMatchObject({ node: 'node-2' });
  });

  it('takes a daemon that says nothing by its InternalIP and as configured here', () => {
    expect(tunnels(own, node('node-2'))).toEqual(['node-2/geneve/ipv4 192.0.2.2 true']);
  });

  it('takes what a later version says without what is not known here', () => {
    const later = node('node-2', {
      'overweft.io/encapsulation': 'vxlan',
      'overweft.io/encapsulations': 'vxlan,geneve,srv6',
      'overweft.io/shape': 'round',
    });
    expect(tunnels(own, later)).toEqual([
      'node-2/geneve/ipv4 192.0.2.2 true',
      'node-2/vxlan/ipv4 192.0.2.2 false',
    ]);
  });

  it('says of a node that takes nothing alike that it cannot be reached', () => {
    const ipip = node('node-2', {
      'overweft.io/encapsulation': 'ipip',
      'overweft.io/encapsulations': 'ipip',
    });
    const rootless = node(
      'node-1',
      { 'overweft.io/encapsulations': 'geneve,vxlan' },
      '10.244.1.0/24',
      '192.0.2.1',
    );
    const { tunnels, warnings } = seen(rootless, ipip);
    expect(tunnels).toEqual([]);
    expect(warnings).toEqual(['Node node-2: takes no encapsulation that this node takes']);
  });

  it('is reached without encapsulation where it says so, once both ends have had time to learn of it', () => {
    const mac = (last: number) => Uint8Array.of(2, 0, 0, 0, 0, last);
    const way = (isSettled: boolean) => ({
      local: address('192.0.2.1'),
      remote: address('192.0.2.2'),
      localMac: mac(1),
      remoteMac: mac(2),
      isSettled,
    });
    const ways = (isSettled: boolean, annotations: Record<string, string>) => {
      const found = { choices: new Map(), ways: new Map([['node-2', way(isSettled)]]), unusable: new Map() };
      const { nodes } = clusterFrom([own, node('node-2', annotations)]);
      const { tunnels } = topologyOf(nodes, config, [], new Known(found));
      return tunnels.map(({ key, isPreferred }) => `${key} ${isPreferred}`);
    };
    const direct = { 'overweft.io/direct': 'subnet' };
    expect(ways(false, direct)).toEqual(['node-2/geneve/ipv4 true', 'node-2/direct/ipv4 false']);
    expect(ways(true, direct)).toEqual(['node-2/direct/ipv4 true', 'node-2/geneve/ipv4 false']);
    for (const other of [{}, { 'overweft.io/direct': 'everywhere' }])
      expect(ways(true, other)).toEqual(['node-2/geneve/ipv4 true']);
  });

  it('leaves out a node that is reached by what this daemon cannot use, and says so by name', () => {
    const nodes = [
      own,
      node('node-2', { 'overweft.io/encapsulation': 'ipip' }),
      node('node-3', {}, '10.244.3.0/24', '192.0.2.3'),
    ];
    const quiet = { ...own, metadata: { name: 'node-1' } };
    const known = new Known({
      choices: new Map(),
      ways: new Map(),
      unusable: new Map([['ipip', 'only root can']]),
    });
    const unable = (...objects: object[]) => {
      const { tunnels, warnings } = topologyOf(clusterFrom(objects).nodes, config, [], known);
      return { keys: tunnels.map(({ key }) => key), warnings };
    };
    expect(unable(quiet, ...nodes.slice(1))).toEqual({
      keys: ['node-3/geneve/ipv4'],
      warnings: ['Node node-2: is reached by ipip alone, which this daemon cannot use: only root can'],
    });
    // What the peer would rather have is no way in, but no reason to do without it either.
    expect(unable(...nodes)).toEqual({ keys: ['node-2/geneve/ipv4', 'node-3/geneve/ipv4'], warnings: [] });
  });

  it('writes what it reads', () => {
    const annotations = {
      'overweft.io/encapsulation': 'geneve',
      'overweft.io/encapsulations': 'geneve,vxlan',
      'overweft.io/direct': 'subnet',
      'overweft.io/underlay-addresses': '192.0.2.2,2001:db8::2',
      'overweft.io/mtu': '9000',
      'overweft.io/router-mac': '02:00:00:00:00:22',
      'overweft.io/version': '0.1.0',
    };
    const [, two] = clusterFrom([own, node('node-2', annotations)]).nodes;
    expect(annotationsOf(two?.registration ?? {})).toEqual(annotations);
    const [peer] = seen(own, node('node-2', annotations)).peers;
    expect(peer).toMatchObject({ mtu: 9000, version: '0.1.0' });
  });
});
