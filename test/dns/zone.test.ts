// The zone follows changes, one by one.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changesBetween } from '../../src/control/changes.ts';
import type { Objects } from '../../src/control/objects.ts';
import { nameChanges } from '../../src/dns/objects.ts';
import { Zone } from '../../src/dns/zone.ts';
import { types, usualZone } from '../support/dns.ts';
import { objectsFrom } from '../support/services.ts';

const names = ['a', 'b', 'c'];
const hosts = ['x', 'y', undefined];
const service = fc.record({
  name: fc.constantFrom(...names),
  namespace: fc.constantFrom('one', 'two'),
  kind: fc.constantFrom('ClusterIP', 'None', 'ExternalName'),
  ip: fc.nat(3),
  port: fc.constantFrom('http', 'dns', ''),
  isOpen: fc.boolean(),
});
const slice = fc.record({
  name: fc.constantFrom('s1', 's2', 's3', 's4'),
  namespace: fc.constantFrom('one', 'two'),
  service: fc.constantFrom(...names),
  port: fc.constantFrom('http', 'dns', ''),
  endpoints: fc.array(fc.record({ ip: fc.nat(3), host: fc.constantFrom(...hosts), ready: fc.boolean() }), {
    maxLength: 3,
  }),
});
const state = fc.record({
  namespaces: fc.uniqueArray(fc.constantFrom('one', 'two', 'three')),
  services: fc.uniqueArray(service, {
    selector: ({ name, namespace }) => `${namespace}/${name}`,
    maxLength: 5,
  }),
  slices: fc.uniqueArray(slice, { selector: ({ name, namespace }) => `${namespace}/${name}`, maxLength: 5 }),
  pods: fc.uniqueArray(fc.record({ name: fc.constantFrom('p', 'q'), ip: fc.nat(3) }), {
    selector: ({ name }) => name,
  }),
});
type State = typeof state extends fc.Arbitrary<infer T> ? T : never;

function objectsOf({ namespaces, services, slices, pods }: State): Objects {
  const ports = (name: string) => [{ ...(name && { name }), port: 80 }];
  return objectsFrom([
    ...namespaces.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
    ...services.map(({ name, namespace, kind, ip, port, isOpen }) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace },
      spec:
        kind === 'ExternalName'
          ? { type: kind, externalName: 'example.com' }
          : {
              clusterIP: kind === 'None' ? kind : `10.96.0.${ip}`,
              ports: ports(port),
              publishNotReadyAddresses: isOpen,
            },
    })),
    ...slices.map(({ name, namespace, service: owner, port, endpoints }) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, namespace, labels: { 'kubernetes.io/service-name': owner } },
      addressType: 'IPv4',
      ports: ports(port),
      endpoints: endpoints.map(({ ip, host, ready }) => ({
        addresses: [`10.244.0.${ip}`],
        ...(host !== undefined && { hostname: host }),
        conditions: { ready },
      })),
    })),
    ...pods.map(({ name, ip }) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'one' },
      status: { podIPs: [{ ip: `10.244.0.${ip}` }] },
    })),
  ]);
}

const labels = ['svc', 'pod'].flatMap((tree) =>
  ['one', 'two', 'three'].flatMap((namespace) => [
    [namespace, tree],
    ...['a', 'b', 'c', '10-244-0-0', '10-244-0-1'].flatMap((name) => [
      [name, namespace, tree],
      ...['x', 'y', '10-244-0-1', '_tcp'].map((host) => [host, name, namespace, tree]),
      ...['_http', '_dns'].map((port) => [port, '_tcp', name, namespace, tree]),
    ]),
  ]),
);
const questions = [
  ...labels.map((path) => [...path, 'cluster', 'local']),
  ...[0, 1, 2, 3].flatMap((n) => [
    [`${n}`, '0', '244', '10', 'in-addr', 'arpa'],
    [`${n}`, '0', '96', '10', 'in-addr', 'arpa'],
  ]),
];

/** All that a zone says, in no order, without the serial number. */
function told(zone: Zone): string[] {
  return questions.flatMap((name) =>
    [types.A, types.SRV, types.PTR].map((type) => {
      const found = zone.lookup(name, type);
      const lists = found.kind === 'records' ? [found.answers, found.additionals] : [];
      const said = lists.map((list) => [...new Set(list.map((one) => JSON.stringify(one)))].sort());
      const exists = found.kind === 'nothing' ? found.exists : undefined;
      return JSON.stringify([name, type, found.kind, exists, said]);
    }),
  );
}

describe('a zone that follows changes', () => {
  const settings = { ...usualZone, pods: 'existing' } as const;

  it('says what it would if it were made from the objects at once', () => {
    fc.assert(
      fc.property(fc.array(state, { minLength: 2, maxLength: 5 }), (states) => {
        const followed = new Zone(settings);
        let before: Objects | undefined;
        for (const one of states) {
          const after = objectsOf(one);
          followed.apply(nameChanges(changesBetween(before, after), true));
          before = after;
          const fresh = new Zone(settings);
          fresh.apply(nameChanges(changesBetween(undefined, after), true));
          expect(told(followed)).toEqual(told(fresh));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('names one of ten thousand Services anew without the others', () => {
    const zone = new Zone(settings);
    const services = Array.from({ length: 10_000 }, (_, i) => ({
      kind: 'headless' as const,
      addresses: [],
      ports: [],
      target: '',
      isEveryEndpointReady: false,
      i,
    }));
    const endpoints = (i: number) =>
      Array.from({ length: 10 }, (_, j) => ({
        address: `10.${i >> 8}.${i & 255}.${j}`,
        hostname: `h${j}`,
        ready: true,
      }));
    const empty = { namespaces: new Map(), services: new Map(), slices: new Map(), pods: new Map() };
    zone.apply({
      ...empty,
      services: new Map(services.map((one) => [`n/s${one.i}`, one])),
      slices: new Map(
        services.map(({ i }) => [`n/s${i}-1`, { service: `n/s${i}`, ports: [], endpoints: endpoints(i) }]),
      ),
    });
    const find = () => zone.lookup(['s77', 'n', 'svc', 'cluster', 'local'], types.A);
    expect(find()).toMatchObject({ kind: 'records', answers: { length: 10 } });
    const begin = performance.now();
    for (let round = 0; round < 1000; round++) {
      const slice = { service: 'n/s77', ports: [], endpoints: endpoints(77).slice(round % 5) };
      zone.apply({ ...empty, slices: new Map([['n/s77-1', slice]]) });
    }
    // All of them would take seconds a change.
    expect((performance.now() - begin) / 1000).toBeLessThan(20);
    expect(find()).toMatchObject({ answers: { length: 6 } });
  });
});
