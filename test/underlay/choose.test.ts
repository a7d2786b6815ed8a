import { describe, expect, it } from 'vitest';
import { address } from '../../src/net/address.ts';
import { chooseUnderlay, type HostLink, matches, UnderlayError } from '../../src/underlay/choose.ts';

const link = (name: string, addresses: readonly string[], more: Partial<HostLink> = {}): HostLink => ({
  name,
  isUp: true,
  addresses: addresses.map((text) => ({
    address: address(text),
    scope: text.startsWith('fe80') ? 'link' : 'global',
    isUnsteady: false,
  })),
  ...more,
});

const via = (family: 4 | 6, device: string, metric = 0, source?: string) => ({
  family,
  device,
  metric,
  source: source === undefined ? undefined : address(source),
});

const lo: HostLink = {
  name: 'lo',
  isUp: true,
  addresses: [{ address: address('127.0.0.1'), scope: 'host', isUnsteady: false }],
};
const eth0 = link('eth0', ['192.0.2.1', 'fe80::1', '2001:db8::1']);
const eth1 = link('eth1', ['198.51.100.1']);
const docker0 = link('docker0', ['172.17.0.1']);
const ownNode = link('ow-node', ['10.244.1.1', 'fd00:244:1::1']);

const choose = (
  links: readonly HostLink[],
  routes: readonly ReturnType<typeof via>[] = [],
  pattern?: string,
  internalIPs: readonly string[] = [],
) =>
  chooseUnderlay({ links: [lo, ...links], routes }, pattern, internalIPs.map(address)).map(
    (found) => `${found.address.text} ${found.device}`,
  );

describe('the underlay is', () => {
  it("the default route's interface, in each family", () => {
    const routes = [via(4, 'eth1'), via(6, 'eth0')];
    expect(choose([eth0, eth1, docker0, ownNode], routes)).toEqual(['198.51.100.1 eth1', '2001:db8::1 eth0']);
  });

  it('that of the route with the lowest metric, and the source that it prefers', () => {
    const routes = [via(4, 'eth0', 200), via(4, 'eth1', 100, '198.51.100.9')];
    const two = link('eth1', ['198.51.100.1', '198.51.100.9']);
    expect(choose([link('eth0', ['192.0.2.1']), two], routes)).toEqual(['198.51.100.9 eth1']);
  });

  it("the Node object's InternalIP before that, where this host has it", () => {
    const routes = [via(4, 'eth1'), via(6, 'eth0')];
    expect(choose([eth0, eth1], routes, undefined, ['192.0.2.1'])).toEqual([
      '192.0.2.1 eth0',
      '2001:db8::1 eth0',
    ]);
    expect(choose([eth0, eth1], routes, undefined, ['203.0.113.5'])).toEqual([
      '198.51.100.1 eth1',
      '2001:db8::1 eth0',
    ]);
  });

  it('the other address of an interface that was found', () => {
    const others = [link('eth2', ['2001:db8:2::1']), link('eth3', ['2001:db8:3::1'])];
    expect(choose([eth0, ...others], [via(4, 'eth0')])).toEqual(['192.0.2.1 eth0', '2001:db8::1 eth0']);
    expect(choose([eth1, ...others], [via(4, 'eth1')])).toEqual(['198.51.100.1 eth1']);
  });

  it('the only one that there is, beside what is not for others', () => {
    expect(choose([eth0, docker0, ownNode, link('veth1234', ['10.1.1.1'])])).toEqual([
      '192.0.2.1 eth0',
      '2001:db8::1 eth0',
    ]);
  });

  it('on the interface that is asked for by name or pattern', () => {
    const routes = [via(4, 'eth0'), via(6, 'eth0')];
    expect(choose([eth0, eth1], routes, 'eth1')).toEqual(['198.51.100.1 eth1']);
    expect(choose([eth0, docker0], routes, 'docker*')).toEqual(['172.17.0.1 docker0']);
    expect(choose([eth0, eth1], routes, 'eth?')).toEqual(['192.0.2.1 eth0', '2001:db8::1 eth0']);
  });

  it('no IPv6 address that may be gone soon', () => {
    const unsteady = {
      name: 'eth0',
      isUp: true,
      addresses: [
        { address: address('2001:db8::77'), scope: 'global', isUnsteady: true },
        { address: address('2001:db8::1'), scope: 'global', isUnsteady: false },
      ],
    };
    expect(choose([unsteady], [via(6, 'eth0')])).toEqual(['2001:db8::1 eth0']);
  });
});

it.each([
  [[], 'there is no interface but lo'],
  [[eth0, eth1].map((one) => ({ ...one, isUp: false })), 'eth0: is down; eth1: is down'],
  [[link('eth0', ['fe80::1'])], 'eth0: has no steady global address'],
  [
    [eth1, link('eth2', ['203.0.113.1'])],
    'eth1: 198.51.100.1, but no default route, and not the only one; eth2: 203.0.113.1, but no default',
  ],
])('names what it has looked at where nothing fits', (links, text) => {
  expect(() => choose(links)).toThrow(UnderlayError);
  expect(() => choose(links)).toThrow(text);
});

it('says which interfaces a pattern leaves out', () => {
  expect(() => choose([eth0], [via(4, 'eth0')], 'ens*')).toThrow('eth0: is not ens*');
});

it.each([
  ['eth0', 'eth*', true],
  ['eth0', 'eth', false],
  ['eth0.100', 'eth0.*', true],
  ['eth0x100', 'eth0.*', false],
  ['ens3', 'en?3', true],
])('%s against %s: %s', (name, pattern, expected) => {
  expect(matches(name, pattern)).toBe(expected);
});
