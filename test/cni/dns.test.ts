// Which resolver a result names.
import { expect, it } from 'vitest';
import { dnsOf, ownDns } from '../../src/cni/result.ts';
import { address } from '../../src/net/address.ts';

const resolver = {
  domain: 'cluster.local',
  addresses: [address('169.254.20.10'), address('fd00:169:254:20::10')],
};
const own = ownDns(resolver, 'shop', new Set([4, 6] as const));

it("names the node's resolver, and searches the pod's namespace first", () => {
  expect(dnsOf(undefined, null, undefined, own)).toEqual({
    nameservers: ['169.254.20.10', 'fd00:169:254:20::10'],
    search: ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
    options: ['ndots:5'],
  });
});

it('names it by addresses of families that the pod has', () => {
  expect(ownDns(resolver, 'shop', new Set([6] as const)).nameservers).toEqual(['fd00:169:254:20::10']);
});

it('leaves a pod to other servers, whole, where somebody names them', () => {
  expect(dnsOf({ servers: ['192.0.2.53'] }, undefined, undefined, own)).toEqual({
    nameservers: ['192.0.2.53'],
  });
  expect(dnsOf(undefined, { nameservers: ['192.0.2.53'] }, undefined, own)).toEqual({
    nameservers: ['192.0.2.53'],
  });
});

it('lets others change what is searched', () => {
  expect(dnsOf({ searches: ['example.com'] }, undefined, undefined, own)).toMatchObject({
    nameservers: ['169.254.20.10', 'fd00:169:254:20::10'],
    search: ['example.com'],
  });
});
