import { describe, expect, it } from 'vitest';
import type { Desired } from '../../src/control/desired.ts';
import { formatMac } from '../../src/net/mac.ts';
import { desiredFrom, node, pod } from '../support/cluster.ts';

const cluster = [
  node(1),
  node(2),
  pod({ name: 'pod-1', ips: ['10.244.1.2', 'fd00:244:1::2'] }),
  pod({ name: 'pod-2', node: 'node-2', ips: ['10.244.2.3', 'fd00:244:2::3'] }),
];

const endpoint = (endpoints: Desired['endpoints'], ip: string) => endpoints.get(ip);

describe('what a node should know', () => {
  it('is its own pods, all others behind tunnels, and every node', () => {
    const { endpoints, tunnels, localPods, node: own } = desiredFrom(cluster);
    expect([...localPods.keys()]).toEqual(['default/pod-1']);
    expect(own.podNetworkAddresses.map(({ text }) => text)).toEqual(['10.244.1.1', 'fd00:244:1::1']);
    expect(
      tunnels.map(({ key, isPreferred, local, remote }) => [key, isPreferred, local.text, remote.text]),
    ).toEqual([
      ['node-2/geneve/ipv4', true, '192.0.2.1', '192.0.2.2'],
      ['node-2/geneve/ipv6', false, '2001:db8::1', '2001:db8::2'],
    ]);
    expect(endpoint(endpoints, '10.244.1.2')).toMatchObject({ kind: 'pod' });
    expect(endpoint(endpoints, 'fd00:244:2::3')).toMatchObject({
      kind: 'remote-pod',
      tunnel: 'node-2/geneve/ipv4',
    });
    for (const ip of ['192.0.2.1', '2001:db8::1', '10.244.1.1', 'fd00:244:1::1']) {
      expect(endpoint(endpoints, ip), ip).toMatchObject({ kind: 'node', node: 'node-1' });
    }
    for (const ip of ['192.0.2.2', '2001:db8::2', '10.244.2.1', 'fd00:244:2::1']) {
      expect(endpoint(endpoints, ip), ip).toMatchObject({ kind: 'remote-node', node: 'node-2' });
    }
  });

  it('takes the one address of a pod whose list of addresses is empty', () => {
    const old = pod({ name: 'old', ips: [], status: { podIP: '10.244.1.9' } });
    const { localPods } = desiredFrom([...cluster, old]);
    expect(localPods.get('default/old')?.addresses.map(({ text }) => text)).toEqual(['10.244.1.9']);
  });

  it('prefers the underlay family of the configuration', () => {
    const { tunnels, endpoints } = desiredFrom(cluster, 'node-1', {
      underlay: { addresses: ['192.0.2.1', '2001:db8::1'], family: 'ipv6' },
    });
    expect(tunnels.find(({ isPreferred }) => isPreferred)?.key).toBe('node-2/geneve/ipv6');
    expect(endpoint(endpoints, '10.244.2.3')).toMatchObject({ tunnel: 'node-2/geneve/ipv6' });
  });

  it('routes by range, and lets nothing of the cluster out through the kernel', () => {
    const { routes } = desiredFrom(cluster);
    const kinds = Object.fromEntries(routes.map((route) => [route.prefix.text, route.kind]));
    expect(kinds).toEqual({
      '0.0.0.0/0': 'outside',
      '::/0': 'outside',
      '10.244.1.0/24': 'empty',
      'fd00:244:1::/64': 'empty',
      '10.244.2.0/24': 'tunnel',
      'fd00:244:2::/64': 'tunnel',
      '10.244.0.0/16': 'none',
      'fd00:244::/32': 'none',
    });
  });

  it('takes static peers as they are configured, beside or instead of nodes', () => {
    const peer = {
      name: 'vtep',
      addresses: ['192.0.2.9'],
      podCIDRs: ['10.99.0.0/24'],
      routerMAC: '02:00:00:00:00:99',
      encapsulation: 'vxlan',
      vni: 42,
    };
    const { peers, tunnels, routes, endpoints } = desiredFrom(cluster, 'node-1', {
      peers: [peer, { ...peer, name: 'node-2', addresses: ['192.0.2.8'], podCIDRs: [] }],
    });
    expect(peers.map(({ name, isStatic, vni }) => [name, isStatic, vni])).toEqual([
      ['vtep', true, 42],
      ['node-2', true, 42],
    ]);
    expect(formatMac(peers[0]?.routerMac ?? new Uint8Array())).toBe('02:00:00:00:00:99');
    expect(tunnels[0]).toMatchObject({ key: 'vtep/vxlan/ipv4', encapsulation: 'vxlan' });
    expect(routes.find(({ prefix }) => prefix.text === '10.99.0.0/24')).toMatchObject({ kind: 'tunnel' });
    expect(endpoint(endpoints, '192.0.2.9')).toMatchObject({ kind: 'remote-node' });
    // Nobody says that a foreign VTEP's first address is its own.
    expect(endpoint(endpoints, '10.99.0.1')).toBeUndefined();
  });

  it('derives the same router MAC for a node on every node, unless it is annotated', () => {
    const mac = (name: string) => desiredFrom(cluster, name).node.routerMac;
    const [seen] = desiredFrom(cluster, 'node-1').peers;
    expect(seen?.routerMac).toEqual(mac('node-2'));
    const annotated = {
      ...node(2),
      metadata: { name: 'node-2', annotations: { 'overweft.io/router-mac': '02:00:00:00:00:22' } },
    };
    const [peer] = desiredFrom([node(1), annotated]).peers;
    expect(formatMac(peer?.routerMac ?? new Uint8Array())).toBe('02:00:00:00:00:22');
  });

  it('gives a reused address to the younger pod, and says so', () => {
    const { endpoints, warnings } = desiredFrom([
      node(1),
      pod({ name: 'old', ips: ['10.244.1.2'], created: '2026-01-01T00:00:00Z' }),
      pod({ name: 'new', ips: ['10.244.1.2'], created: '2026-01-02T00:00:00Z' }),
    ]);
    expect(endpoint(endpoints, '10.244.1.2')).toMatchObject({ pod: { key: 'default/new' } });
    expect(warnings).toContain('Pod default/old: address 10.244.1.2 is taken by pod default/new');
  });

  it('works without a Node object of its own, and says what it lacks', () => {
    const { warnings, routes } = desiredFrom([node(2)]);
    expect(warnings).toEqual([
      expect.stringContaining('Node node-1: neither the Node object nor podNetwork.podCIDRs'),
    ]);
    expect(routes.some(({ kind }) => kind === 'tunnel')).toBe(true);
    const { node: own } = desiredFrom([node(2)], 'node-1', { podNetwork: { podCIDRs: ['10.244.1.0/24'] } });
    expect(own.podNetworkAddresses.map(({ text }) => text)).toEqual(['10.244.1.1']);
  });

  it('does not let a pod take the address of a node', () => {
    const { endpoints, warnings } = desiredFrom([node(1), pod({ name: 'thief', ips: ['192.0.2.1'] })]);
    expect(endpoint(endpoints, '192.0.2.1')).toMatchObject({ kind: 'node' });
    expect(warnings).toContain('Pod default/thief: address 192.0.2.1 is taken by Node node-1');
  });
});
