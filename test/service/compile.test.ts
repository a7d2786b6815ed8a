// Services that change: a compiler that follows must say what a fresh one would, and look at nothing else.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changesBetween } from '../../src/control/changes.ts';
import { clusterOf } from '../../src/control/cluster.ts';
import type { Objects } from '../../src/control/objects.ts';
import { ServiceCompiler } from '../../src/service/compile.ts';
import { serviceReport } from '../../src/service/report.ts';
import { node } from '../support/cluster.ts';
import { objectsFrom, service, slice } from '../support/services.ts';

const ownNode = (objects: Objects) => clusterOf(objects).nodes.find(({ name }) => name === 'node-1');
const said = (compiler: ServiceCompiler) =>
  [...compiler.services.values()]
    .map((one) => ({
      ...serviceReport(compiler, one),
      slots: one.ports.map(({ Cluster }) => Cluster?.slots),
    }))
    .sort((a, b) => (a.service < b.service ? -1 : 1));

const names = ['a', 'b', 'c'];
const condition = fc.option(fc.boolean(), { nil: undefined });
const endpoint = fc.record({
  ip: fc.integer({ min: 1, max: 6 }).map((i) => `10.244.1.${i}`),
  node: fc.constantFrom('node-1', 'node-2'),
  ready: condition,
  serving: condition,
  terminating: condition,
  zones: fc.subarray(['a', 'b']),
  nodes: fc.subarray(['node-1', 'node-2']),
});
const oneSlice = fc
  .record({
    name: fc.constantFrom('s-1', 's-2', 's-3', 's-4'),
    service: fc.constantFrom(...names),
    endpoints: fc.array(endpoint, { maxLength: 5 }),
  })
  .map(({ endpoints, ...where }) => slice(endpoints, where));
const oneService = fc
  .record({
    name: fc.constantFrom(...names),
    ip: fc.constantFrom('10.96.0.1', '10.96.0.2', 'None'),
    internalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
    nodePort: fc.constantFrom(0, 30_080, 30_081),
    externalIPs: fc.subarray(['203.0.113.1', '203.0.113.2']),
  })
  .map(({ name, ip, internalTrafficPolicy, nodePort, externalIPs }) =>
    service(
      {
        type: 'NodePort',
        clusterIP: ip,
        clusterIPs: [ip],
        internalTrafficPolicy,
        externalIPs,
        ports: [{ name: 'http', port: 80, nodePort }],
      },
      { name },
    ),
  );
const distinct = <T extends { metadata: { name: string } }>(one: fc.Arbitrary<T>) =>
  fc.uniqueArray(one, { selector: ({ metadata }) => metadata.name, maxLength: 4 });
const state = fc
  .record({
    zone: fc.constantFrom('a', 'b', ''),
    services: distinct(oneService),
    slices: distinct(oneSlice),
    hasNode: fc.boolean(),
  })
  .map(({ zone, services, slices, hasNode }) =>
    objectsFrom([
      ...(hasNode ? [node(1, { 'topology.kubernetes.io/zone': zone })] : []),
      ...services,
      ...slices,
    ]),
  );

describe('a compiler that follows changes', () => {
  it('says what it would if it were made from the objects at once', () => {
    fc.assert(
      fc.property(fc.array(state, { minLength: 2, maxLength: 5 }), (states) => {
        const followed = new ServiceCompiler('node-1');
        let before: Objects | undefined;
        for (const objects of states) {
          followed.apply(changesBetween(before, objects), ownNode(objects));
          before = objects;
          const fresh = new ServiceCompiler('node-1');
          fresh.apply(changesBetween(undefined, objects), ownNode(objects));
          expect(said(followed)).toEqual(said(fresh));
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe('ten thousand Services', () => {
  const count = 10_000;
  const items = Array.from({ length: count }, (_, i) => {
    const ip = `10.${96 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
    return [
      service({ clusterIP: ip, clusterIPs: [ip] }, { name: `web-${i}` }),
      slice(
        Array.from({ length: 10 }, (_, j) => ({
          ip: `10.${128 + (i >> 12)}.${(i >> 4) & 255}.${(i & 15) * 16 + j}`,
          node: `node-${j}`,
        })),
        { name: `web-${i}-x`, service: `web-${i}` },
      ),
    ];
  }).flat();
  const objects = objectsFrom(items);
  const compiler = new ServiceCompiler('node-1');
  compiler.apply(changesBetween(undefined, objects), undefined);

  it('are compiled, each with its slots', () => {
    expect(compiler.services.size).toBe(count);
    for (const one of compiler.services.values()) expect(one.ports[0]?.Cluster?.slots).toHaveLength(1024);
  });

  it('stay as they are where one endpoint of one of them changes', () => {
    const before = new Map(compiler.services);
    const [one] = objectsFrom([
      slice(
        Array.from({ length: 10 }, (_, j) => ({ ip: `10.128.0.${j}`, node: `node-${j}`, ready: j !== 3 })),
        { name: 'web-0-x', service: 'web-0' },
      ),
    ]).slices;
    const touched = compiler.apply(
      { services: new Map(), slices: new Map([['default/web-0-x', one]]) },
      undefined,
    );
    expect([...touched]).toEqual(['default/web-0']);
    expect(compiler.services.get('default/web-0')?.ports[0]?.Cluster?.backends).toHaveLength(9);
    const others = [...before].filter(([key, was]) => compiler.services.get(key) !== was);
    expect(others.map(([key]) => key)).toEqual(['default/web-0']);
  });

  it('keep the slots of a port whose endpoints change in nothing that chooses them', () => {
    const slots = compiler.services.get('default/web-1')?.ports[0]?.Cluster?.slots;
    const [moved] = objectsFrom([
      slice(
        Array.from({ length: 10 }, (_, j) => ({ ip: `10.128.0.${16 + j}`, node: 'node-9', pod: `web-${j}` })),
        { name: 'web-1-x', service: 'web-1' },
      ),
    ]).slices;
    compiler.apply({ services: new Map(), slices: new Map([['default/web-1-x', moved]]) }, undefined);
    expect(compiler.services.get('default/web-1')?.ports[0]?.Cluster?.backends[0]?.pod).toBe('default/web-0');
    expect(compiler.services.get('default/web-1')?.ports[0]?.Cluster?.slots).toBe(slots);
  });
});

it('says nothing of a Service of which nothing that matters has changed', () => {
  const compiler = new ServiceCompiler('node-1');
  const apply = (items: readonly object[]) => [
    ...compiler.apply(changesBetween(undefined, objectsFrom(items)), undefined),
  ];
  const endpoints = [{ ip: '10.244.2.2', node: 'node-2', ready: true }];
  expect(apply([service(), slice(endpoints)])).toEqual(['default/web']);
  expect(apply([service({}, { annotations: { note: 'new' } }), slice(endpoints)])).toEqual([]);
  expect(apply([slice([])])).toEqual(['default/web']);
});
