// A view that follows changes beside one made from the same objects at once, down to the bytes that packets meet.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ENDPOINT_FLAGS, ENDPOINT_PORT, ENDPOINT_TUNNEL, NO_PORT } from '../../asm/layout/tables.ts';
import { changesBetween } from '../../src/control/changes.ts';
import { clusterOf } from '../../src/control/cluster.ts';
import { type Desired, desiredOf, type Endpoint } from '../../src/control/desired.ts';
import { NodeView } from '../../src/control/node-view.ts';
import type { Objects } from '../../src/control/objects.ts';
import { clusterPolicy, namespace, node, objectsFrom, pod, policy } from '../support/cluster.ts';
import { loadConfigText } from '../support/configuration.ts';
import { probes, randomCluster } from '../support/random-cluster.ts';
import { TestTables } from '../support/tables.ts';

const nobody = { pods: [], admitUnknown: false };

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly namespace?: string; readonly name: string };
  readonly spec?: object;
}

const keyOf = ({ kind, metadata }: Manifest) => `${kind} ${metadata.namespace}/${metadata.name}`;

/** A cluster whose pods are on several nodes, and which of its objects replace those of the cluster before. */
const step = fc.record({
  objects: fc
    .tuple(
      randomCluster,
      fc.array(fc.constantFrom('node-1', 'node-2', 'node-9'), { minLength: 5, maxLength: 5 }),
    )
    .map(([{ objects }, nodes]) =>
      (objects as readonly Manifest[]).map((object, i) =>
        object.kind === 'Pod' ? { ...object, spec: { ...object.spec, nodeName: nodes[i % 5] } } : object,
      ),
    ),
  isTaken: fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }),
});

function merged(
  before: readonly Manifest[],
  objects: readonly Manifest[],
  isTaken: readonly boolean[],
): Manifest[] {
  const was = new Map(before.map((object) => [keyOf(object), object]));
  const is = new Map(objects.map((object) => [keyOf(object), object]));
  return [...new Set([...was.keys(), ...is.keys()])].flatMap(
    (key, i) => (isTaken[i % isTaken.length] ? is : was).get(key) ?? [],
  );
}

const describeEndpoint = (endpoint: Endpoint) => [
  endpoint.kind,
  'pod' in endpoint ? endpoint.pod.key : endpoint.node,
  'tunnel' in endpoint ? endpoint.tunnel : null,
];

/** Everything by name, in order. */
const described = ({
  endpoints,
  localPods,
  routes,
  tunnels,
  peers,
  policy,
  warnings,
  node: own,
}: Desired) => ({
  endpoints: [...endpoints].map(([text, endpoint]) => [text, ...describeEndpoint(endpoint)].join(' ')).sort(),
  localPods: [...localPods].sort(([a], [b]) => (a < b ? -1 : 1)),
  routes,
  tunnels,
  peers,
  own,
  classes: policy.classes,
  blocks: policy.blocks.map(({ prefix }) => prefix.text).sort(),
  warnings: [...warnings].sort(),
});

const decisionsOf = ({ policy }: Desired) =>
  [...policy.decisions.values()].map((decision) => JSON.stringify(decision));

const others = ['192.0.2.1', '192.0.2.2', '203.0.113.7', '203.0.113.70', '198.51.100.1', '2001:db8:f::1'];

/** What becomes of every probe between a local pod and everybody. */
function verdicts(tables: TestTables, { localPods, endpoints, policy: { decisions } }: Desired): string[] {
  const peers = [...new Set([...endpoints.keys(), ...others])].sort();
  return [...localPods.keys()].sort().flatMap((key) =>
    peers.flatMap((peer) =>
      (['ingress', 'egress'] as const).map((direction) => {
        const answers = probes.map(([, protocol, port]) =>
          JSON.stringify(decisions.get(tables.decision(key, direction, peer, protocol, port)) ?? null),
        );
        return `${key} ${direction} ${peer} ${answers.join()}`;
      }),
    ),
  );
}

/** What the data path finds at every address that has ever been somebody's. */
const rows = (tables: TestTables, addresses: Iterable<string>) =>
  [...addresses].map((address) => {
    const row = tables.find('endpoint', address);
    if (row === 0) return [address, null];
    const isLocal = tables.u16(row + ENDPOINT_PORT) !== NO_PORT;
    return [
      address,
      isLocal,
      tables.u16(row + ENDPOINT_FLAGS),
      tables.tunnel(tables.u16(row + ENDPOINT_TUNNEL)),
    ];
  });

describe('a view that follows changes', () => {
  it('is what it would be if it were made from the objects at once', { timeout: 120_000 }, () => {
    const config = loadConfigText();
    const followed = new TestTables(config);
    const fresh = new TestTables(config);
    fc.assert(
      fc.property(fc.array(step, { minLength: 2, maxLength: 6 }), (steps) => {
        const view = new NodeView(config);
        const addresses = new Set<string>();
        let manifests: readonly Manifest[] = [];
        let objects: Objects | undefined;
        for (const { objects: next, isTaken } of steps) {
          manifests = merged(manifests, next, isTaken);
          const after = objectsFrom(manifests);
          const delta = view.apply(changesBetween(objects, after), nobody);
          objects = after;
          const wanted = desiredOf(clusterOf(after), config);
          const { desired } = view;
          if (!desired) throw view.fault ?? new Error('the view is empty');
          expect(described(desired)).toEqual(described(wanted));
          // A row that was some class's stays with its set, and so do the decisions in it.
          expect(decisionsOf(desired)).toEqual(expect.arrayContaining(decisionsOf(wanted)));
          const there = new Set(
            manifests.map(({ kind, metadata: { namespace: where, name } }) =>
              kind === 'NetworkPolicy' ? `${kind}:${where}/${name}` : `${kind}:${name}`,
            ),
          );
          const named = [...desired.policy.decisions.values()].flatMap(({ policies }) => policies);
          expect(named.filter((one) => !there.has(one))).toEqual([]);
          for (const text of desired.endpoints.keys()) addresses.add(text);
          followed.follow(desired, delta);
          fresh.fill(wanted);
          expect(rows(followed, addresses)).toEqual(rows(fresh, addresses));
          expect(verdicts(followed, desired)).toEqual(verdicts(fresh, wanted));
        }
      }),
      { numRuns: 60 },
    );
  });

  const cluster = [
    node(1),
    node(2),
    namespace('default'),
    pod({ name: 'web', ips: ['10.244.1.2'], labels: { app: 'web' } }),
    pod({ name: 'client', ips: ['10.244.2.2'], node: 'node-2', labels: { app: 'client' } }),
    policy('web', {
      podSelector: { matchLabels: { app: 'web' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'client' } } }] }],
    }),
  ];
  const following = (objects: readonly object[]) => {
    const view = new NodeView(loadConfigText());
    view.apply(changesBetween(undefined, objectsFrom(objects)), nobody);
    return view;
  };

  it('leads to a peer and its pods by the tunnel that is chosen, and by the first again', () => {
    const view = new NodeView(loadConfigText());
    const objects = objectsFrom([
      namespace('default'),
      node(1),
      node(2),
      pod({ name: 'a', node: 'node-2', ips: ['10.244.2.3'] }),
    ]);
    view.apply(changesBetween(undefined, objects), nobody);
    const none = changesBetween(objects, objects);
    const ways = () => {
      const { endpoints, tunnels } = view.desired as Desired;
      const to = endpoints.get('10.244.2.3');
      return [to && 'tunnel' in to && to.tunnel, tunnels.find(({ isPreferred }) => isPreferred)?.key];
    };
    const [first, other] = ['node-2/geneve/ipv4', 'node-2/geneve/ipv6'];
    expect(ways()).toEqual([first, first]);
    view.choose('node-2', other);
    expect(view.apply(none, nobody)?.endpoints).toContain('10.244.2.3');
    expect(ways()).toEqual([other, other]);
    expect(view.apply(none, nobody)).toBeUndefined();
    // One that the peer no longer has.
    view.choose('node-2', 'node-2/vxlan/ipv4');
    view.apply(none, nobody);
    expect(ways()).toEqual([first, first]);
    view.choose('node-2', undefined);
    view.apply(none, nobody);
    expect(ways()).toEqual([first, first]);
  });

  it('stays the same object while nothing that matters changes', () => {
    const view = following(cluster);
    const before = view.desired;
    const noted = cluster.map((object) => ({
      ...object,
      status: { ...('status' in object ? (object.status as object) : {}), note: 'x' },
    }));
    view.apply(changesBetween(objectsFrom(cluster), objectsFrom(noted)), nobody);
    expect(view.desired).toBe(before);
  });

  it('keeps numbers of classes and decisions whatever else comes and goes', () => {
    const view = following(cluster);
    const identity = view.desired?.policy.identities.get('10.244.2.2');
    const decisions = [...(view.desired?.policy.decisions ?? [])];
    const more = [
      ...cluster,
      pod({ name: 'api', ips: ['10.244.1.3'], labels: { app: 'api' } }),
      policy('api', {
        podSelector: { matchLabels: { app: 'api' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'other' } } }] }],
      }),
    ];
    view.apply(changesBetween(objectsFrom(cluster), objectsFrom(more)), nobody);
    expect(view.desired?.policy.identities.get('10.244.2.2')).toBe(identity);
    expect([...(view.desired?.policy.decisions ?? [])]).toEqual(expect.arrayContaining(decisions));
  });

  it('forgets what pods call a port when no rule asks for the name any more', () => {
    const ports = [{ name: 'http', containerPort: 80, protocol: 'TCP' }];
    const server = pod({ name: 'server', ips: ['10.244.2.3'], node: 'node-2', ports });
    const asking = policy('web', {
      podSelector: { matchLabels: { app: 'web' } },
      egress: [{ ports: [{ port: 'http' }] }],
    });
    const others = [...cluster.slice(0, -1), server];
    const view = following([...others, asking]);
    expect(view.desired?.policy.classes).toBe(2);
    view.apply(changesBetween(objectsFrom([...others, asking]), objectsFrom(others)), nobody);
    expect(view.desired?.policy.classes).toBe(1);
    expect(view.desired?.policy.identities.size).toBe(0);
  });

  it('keeps the last good state while there are more classes of ports than numbers, and says so', () => {
    const ports = Array.from({ length: 33_000 }, (_, i) => 2 * i)
      .filter((port) => port > 0)
      .flatMap((port) => [
        { protocol: 'TCP', port: port % 65_536 || 1 },
        { protocol: 'UDP', port: port % 65_536 || 1 },
        { protocol: 'SCTP', port: port % 65_536 || 1 },
      ]);
    const view = following(cluster);
    const before = view.desired;
    const rules = ports.map((port) => ({ ports: [port] }));
    const many = [...cluster, policy('many', { podSelector: {}, ingress: rules })];
    view.apply(changesBetween(objectsFrom(cluster), objectsFrom(many)), nobody);
    expect(view.fault?.message).toMatch(/more than 65536 classes/);
    expect(view.desired).toBe(before);
    view.apply(changesBetween(objectsFrom(many), objectsFrom(cluster)), nobody);
    expect(view.fault).toBeUndefined();
    expect(described(view.desired as Desired)).toEqual(described(before as Desired));
  });

  it('takes policies of all kinds away again', () => {
    const subject = { namespaces: {} };
    const admin = clusterPolicy('shut', {
      tier: 'Admin',
      priority: 1,
      subject,
      ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }],
    });
    const view = following([...cluster, admin]);
    view.apply(changesBetween(objectsFrom([...cluster, admin]), objectsFrom(cluster)), nobody);
    expect(described(view.desired as Desired)).toEqual(described(following(cluster).desired as Desired));
  });
});
