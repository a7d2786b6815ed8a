// Which node speaks for a load balancer's address: settled by every node for itself.
import { describe, expect, it } from 'vitest';
import { prefix } from '../../src/net/prefix.ts';
import { maySpeak, speakersOf } from '../../src/service/speakers.ts';
import { node } from '../support/cluster.ts';
import { compilerOf, type EndpointFields, service, slice } from '../support/services.ts';

const pools = [prefix('203.0.113.0/24')];
const nodes = ['node-1', 'node-2', 'node-3'];
const ips = Array.from({ length: 60 }, (_, i) => `203.0.113.${i + 1}`);

const compiled = (
  addresses: readonly string[],
  spec: object,
  endpoints: readonly EndpointFields[],
  at = 'node-1',
) =>
  compilerOf(
    [
      node(1),
      service(
        { type: 'LoadBalancer', ...spec },
        {},
        { loadBalancer: { ingress: addresses.map((ip) => ({ ip })) } },
      ),
      slice(endpoints),
    ],
    at,
  ).services.values();
const everywhere = nodes.map((name, i) => ({ ip: `10.244.${i + 1}.2`, node: name }));
const speakers = (
  alive: readonly string[],
  spec: object = {},
  endpoints: readonly EndpointFields[] = everywhere,
) =>
  new Map(
    speakersOf(compiled(ips, spec, endpoints), pools, alive).map((one) => [one.address.text, one.node]),
  );

describe('speakers for addresses', () => {
  it('are the same whoever works them out, in whatever order nodes are known', () => {
    expect(speakers(['node-3', 'node-1', 'node-2'])).toEqual(speakers(nodes));
  });

  it('are all nodes about equally', () => {
    for (const name of nodes)
      expect([...speakers(nodes).values()].filter((one) => one === name).length).toBeGreaterThan(8);
  });

  it('change for the addresses of a node that dies, and no others', () => {
    const before = speakers(nodes);
    for (const [address, name] of speakers(['node-1', 'node-3']))
      if (before.get(address) === 'node-2') expect(name).not.toBe('node-2');
      else expect(name).toBe(before.get(address));
  });

  it('have a ready endpoint under policy Local, or one that drains where none is ready', () => {
    const local = { externalTrafficPolicy: 'Local' };
    const draining = { ready: false, serving: true, terminating: true };
    const [first = { ip: '' }, second = { ip: '' }] = everywhere;
    const names = (endpoints: readonly EndpointFields[]) =>
      new Set(speakers(nodes, local, endpoints).values());
    expect(names([first])).toEqual(new Set(['node-1']));
    expect(names([{ ...first, ...draining }, second])).toEqual(new Set(['node-2']));
    expect(names([{ ...first, ...draining }])).toEqual(new Set(['node-1']));
  });

  it('are no nodes with the label that excludes them, whatever its value', () => {
    expect(maySpeak({ 'kubernetes.io/hostname': 'node-1' })).toBe(true);
    for (const value of ['', 'true', 'false'])
      expect(maySpeak({ 'node.kubernetes.io/exclude-from-external-load-balancers': value })).toBe(false);
  });

  it('are nobody where no node has an endpoint', () => {
    expect(new Set(speakers(nodes, {}, []).values())).toEqual(new Set([undefined]));
  });

  it('speak for addresses of the pools alone', () => {
    expect(speakersOf(compiled(['198.51.100.1'], {}, everywhere), pools, nodes)).toEqual([]);
  });
});
