// Compiled policy against the slow evaluator, over random clusters; and what a decision says.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clusterFrom, desiredFrom, namespace, node, pod, policy } from '../support/cluster.ts';
import { loadConfigText } from '../support/configuration.ts';
import { type Party, type PolicyManifest, referenceVerdict } from '../support/policy-reference.ts';
import { TestTables } from '../support/tables.ts';

const tables = new TestTables(loadConfigText());

const key = fc.constantFrom('app', 'tier');
const value = fc.constantFrom('a', 'b', 'c');
const labels = fc.dictionary(key, value, { maxKeys: 2, noNullPrototype: true });
const requirement = fc.oneof(
  fc.record({
    key,
    operator: fc.constantFrom('In', 'NotIn'),
    values: fc.array(value, { minLength: 1, maxLength: 2 }),
  }),
  fc.record({ key, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
);
const selector = fc.record(
  { matchLabels: labels, matchExpressions: fc.array(requirement, { maxLength: 2 }) },
  { requiredKeys: [] },
);
const block = fc.constantFrom(
  { cidr: '10.244.0.0/16' },
  { cidr: '10.244.1.0/24', except: ['10.244.1.2/32'] },
  { cidr: '0.0.0.0/0', except: ['10.244.0.0/16', '203.0.113.0/25'] },
  { cidr: '203.0.113.0/24', except: ['203.0.113.64/26', '203.0.113.200/29'] },
  { cidr: '203.0.113.7/32' },
  { cidr: '::/0', except: ['fd00:244::/32'] },
  { cidr: 'fd00:244:1::/64', except: ['fd00:244:1::2/128'] },
);
const peer = fc.oneof(
  fc.record({ podSelector: selector }),
  fc.record({ namespaceSelector: selector }),
  fc.record({ podSelector: selector, namespaceSelector: selector }),
  fc.record({ ipBlock: block }),
);
const protocol = fc.constantFrom('TCP', 'UDP', 'SCTP');
const portName = fc.constantFrom('web', 'dns', 'none');
const port = fc.oneof(
  fc.record({ protocol, port: fc.constantFrom(53, 80, 443, 8080) }, { requiredKeys: [] }),
  fc.record({ protocol, port: fc.constant(8000), endPort: fc.constantFrom(8000, 8080, 65535) }),
  fc.record({ protocol, port: portName }),
);
const ports = fc.array(port, { maxLength: 2 });
const peers = fc.array(peer, { maxLength: 2 });
const spec = fc.record(
  {
    podSelector: selector,
    policyTypes: fc.constantFrom(['Ingress'], ['Egress'], ['Ingress', 'Egress']),
    ingress: fc.array(fc.record({ from: peers, ports }, { requiredKeys: [] }), { maxLength: 2 }),
    egress: fc.array(fc.record({ to: peers, ports }, { requiredKeys: [] }), { maxLength: 2 }),
  },
  { requiredKeys: ['podSelector'] },
);
const containerPorts = fc.constantFrom(
  [],
  [{ name: 'web', containerPort: 80 }],
  [{ name: 'web', containerPort: 8080 }],
  [
    { name: 'web', containerPort: 80, protocol: 'TCP' },
    { name: 'dns', containerPort: 53, protocol: 'UDP' },
  ],
);
const podChoice = fc.record({ space: fc.constantFrom('x', 'y'), labels, ports: containerPorts });
const cluster = fc.record({
  spaces: fc.record({ x: labels, y: labels }),
  pods: fc.array(podChoice, { minLength: 2, maxLength: 5 }),
  policies: fc.array(fc.record({ space: fc.constantFrom('x', 'y'), spec }), { maxLength: 4 }),
});

const strangers = [
  '203.0.113.7',
  '203.0.113.70',
  '203.0.113.129',
  '203.0.113.203',
  '198.51.100.1',
  '2001:db8:f::1',
];
const probes: readonly (readonly [string, number, number])[] = [
  ...[53, 80, 443, 8000, 8001, 8080, 9000, 65535].flatMap((number) => [
    ['TCP', 6, number] as const,
    ['UDP', 17, number] as const,
  ]),
  ['SCTP', 132, 80],
  ['ICMP', 1, 0],
  ['ICMPv6', 58, 0],
];

describe('compiled policy', () => {
  it('agrees with the API text, rule by rule, on random clusters', () => {
    fc.assert(
      fc.property(cluster, ({ spaces, pods, policies }) => {
        const manifests = policies.map(
          ({ space, spec }, i) => policy(`policy-${i}`, spec, space) as PolicyManifest,
        );
        const members = pods.map(({ space, labels, ports }, i) => ({
          key: `${space}/pod-${i}`,
          ips: [`10.244.1.${i + 2}`, `fd00:244:1::${i + 2}`],
          object: pod({
            namespace: space,
            name: `pod-${i}`,
            ips: [`10.244.1.${i + 2}`, `fd00:244:1::${i + 2}`],
            labels,
            ports,
          }),
          about: { namespace: space, namespaceLabels: spaces[space as 'x' | 'y'], labels, ports },
        }));
        const spaceObjects = Object.entries(spaces).map(([name, labels]) => namespace(name, labels));
        tables.fill(
          desiredFrom([node(1), ...spaceObjects, ...members.map(({ object }) => object), ...manifests]),
        );
        for (const judged of members) {
          const others: Party[] = [
            ...members
              .filter((one) => one !== judged)
              .flatMap(({ ips, about }) => ips.map((ip) => ({ ip, pod: about }))),
            ...strangers.map((ip) => ({ ip })),
          ];
          for (const other of others) {
            const self: Party = { ip: judged.ips[other.ip.includes(':') ? 1 : 0] ?? '', pod: judged.about };
            for (const [name, number, port] of probes) {
              for (const direction of ['ingress', 'egress'] as const) {
                const [source, destination] = direction === 'ingress' ? [other, self] : [self, other];
                const { allowed } = referenceVerdict(manifests, direction, source, destination, name, port);
                const compiled = tables.allows(judged.key, direction, other.ip, number, port);
                if (compiled !== allowed) {
                  throw new Error(
                    `${judged.key} ${direction} ${other.ip} ${name}/${port}: compiled ${compiled}, is ${allowed}`,
                  );
                }
              }
            }
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('names the policy and rule that allow, and every policy that isolates', () => {
    const objects = [
      node(1),
      pod({ name: 'web', ips: ['10.244.1.2'], labels: { app: 'web' } }),
      pod({ name: 'client', ips: ['10.244.1.3'], labels: { app: 'client' } }),
      policy('deny', { podSelector: {} }),
      policy('web', {
        podSelector: { matchLabels: { app: 'web' } },
        ingress: [
          { ports: [{ port: 443 }] },
          { from: [{ podSelector: { matchLabels: { app: 'client' } } }], ports: [{ port: 80 }] },
        ],
      }),
    ];
    const desired = desiredFrom(objects);
    tables.fill(desired);
    const decision = (port: number) =>
      desired.policy.decisions[tables.decision('default/web', 'ingress', '10.244.1.3', 6, port)];
    expect(decision(80)).toEqual({
      verdict: 'allow',
      direction: 'ingress',
      tier: 'namespaced',
      policies: ['NetworkPolicy:default/web'],
      name: null,
      rule: 1,
    });
    expect(decision(443)).toEqual({
      verdict: 'allow',
      direction: 'ingress',
      tier: 'namespaced',
      policies: ['NetworkPolicy:default/web'],
      name: null,
      rule: 0,
    });
    expect(decision(22)).toEqual({
      verdict: 'deny',
      direction: 'ingress',
      tier: 'namespaced',
      policies: ['NetworkPolicy:default/deny', 'NetworkPolicy:default/web'],
      name: null,
      rule: null,
    });
  });

  it('keeps as many classes as rules can tell apart, however many pods there are', () => {
    const workers = Array.from({ length: 500 }, (_, i) =>
      pod({
        name: `job-${i}`,
        ips: [`10.244.${2 + (i >> 8)}.${i & 255}`],
        node: 'node-2',
        labels: { app: 'job', index: `${i}` },
      }),
    );
    const { policy: compiled } = desiredFrom([
      node(1),
      node(2),
      pod({ name: 'web', ips: ['10.244.1.2'], labels: { app: 'web' } }),
      ...workers,
      policy('web', {
        podSelector: { matchLabels: { app: 'web' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'job' } } }] }],
      }),
    ]);
    expect(compiled.classes).toBe(2);
    expect(compiled.sets).toHaveLength(1);
    expect(compiled.rows).toHaveLength(2);
  });

  it('shares one set between pods under the same policies', () => {
    const replicas = Array.from({ length: 20 }, (_, i) =>
      pod({
        name: `web-${i}`,
        ips: [`10.244.1.${i + 2}`],
        labels: { app: 'web' },
        ports: [{ name: 'http', containerPort: 80 }],
      }),
    );
    const { policy: compiled } = desiredFrom([
      node(1),
      ...replicas,
      policy('web', { podSelector: {}, ingress: [{ ports: [{ port: 'http' }] }] }),
    ]);
    expect(compiled.sets).toHaveLength(1);
  });

  it('applies no policy to host-network or finished pods, and lets none of them be selected', () => {
    const cluster = clusterFrom([
      pod({ name: 'host', ips: ['192.0.2.1'], spec: { hostNetwork: true } }),
      pod({ name: 'done', ips: ['10.244.1.9'], status: { phase: 'Succeeded' } }),
      pod({ name: 'failed', ips: ['10.244.1.9'], status: { phase: 'Failed' } }),
      pod({ name: 'live', ips: ['10.244.1.9'] }),
    ]);
    expect(cluster.pods.map(({ key }) => key)).toEqual(['default/live']);
    expect(cluster.warnings).toEqual([]);
  });
});
