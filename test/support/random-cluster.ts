// Random small clusters with policies of every kind and tier, as manifests and as the reference evaluator sees them.
import fc from 'fast-check';
import { clusterPolicy, namespace, node, pod, policy } from './cluster.ts';
import type { ClusterPolicyManifest, Party, PolicyManifest } from './policy-reference.ts';

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
  { cidr: '192.0.2.0/24', except: ['192.0.2.2/32'] },
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
const policySpec = fc.record(
  {
    podSelector: selector,
    policyTypes: fc.constantFrom(['Ingress'], ['Egress'], ['Ingress', 'Egress']),
    ingress: fc.array(fc.record({ from: peers, ports }, { requiredKeys: [] }), { maxLength: 2 }),
    egress: fc.array(fc.record({ to: peers, ports }, { requiredKeys: [] }), { maxLength: 2 }),
  },
  { requiredKeys: ['podSelector'] },
);

const namespacedPod = fc.record(
  { namespaceSelector: selector, podSelector: selector },
  { requiredKeys: ['podSelector'] },
);
const podPeer = fc.oneof(fc.record({ namespaces: selector }), fc.record({ pods: namespacedPod }));
const networks = fc.uniqueArray(
  fc.constantFrom(
    '10.244.0.0/16',
    '10.244.1.2/32',
    '0.0.0.0/0',
    '203.0.113.64/26',
    '192.0.2.0/30',
    '::/0',
    'fd00::/8',
  ),
  { minLength: 1, maxLength: 3 },
);
const unsupported = fc.constantFrom({}, { services: {} });
const ingressPeer = fc.oneof({ weight: 12, arbitrary: podPeer }, { weight: 1, arbitrary: unsupported });
const egressPeer = fc.oneof(
  { weight: 5, arbitrary: podPeer },
  { weight: 5, arbitrary: fc.record({ networks }) },
  { weight: 3, arbitrary: fc.record({ nodes: selector }) },
  { weight: 1, arbitrary: unsupported },
  { weight: 1, arbitrary: fc.constant({ domainNames: ['*.kubernetes.io'] }) },
);
const destinationPort = fc.oneof(
  fc.record({ number: fc.constantFrom(53, 80, 443, 8080) }),
  fc.record({ range: fc.constantFrom({ start: 80, end: 8000 }, { start: 1, end: 65535 }) }),
);
const transport = fc.record({ destinationPort });
const numbered = fc.oneof(
  fc.record({ tcp: transport }),
  fc.record({ udp: transport }),
  fc.record({ sctp: transport }),
);
const named = fc.record({ destinationNamedPort: portName });
const few = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 2 });
const action = fc.constantFrom('Accept', 'Deny', 'Pass');
const requiredIn = { requiredKeys: ['action', 'from'] } as { requiredKeys: ['action', 'from'] };
const requiredOut = { requiredKeys: ['action', 'to'] } as { requiredKeys: ['action', 'to'] };
const ingressRule = fc.record(
  { action, from: few(ingressPeer), protocols: few(fc.oneof(numbered, named)) },
  requiredIn,
);
// Only pods have names for ports.
const egressRule = fc.oneof(
  fc.record({ action, to: few(egressPeer), protocols: few(numbered) }, requiredOut),
  fc.record({ action, to: few(podPeer), protocols: few(fc.oneof(numbered, named)) }, requiredOut),
);
const clusterSpec = fc.record(
  {
    tier: fc.constantFrom('Admin', 'Baseline'),
    priority: fc.constantFrom(0, 7, 1000),
    subject: fc.oneof(fc.record({ namespaces: selector }), fc.record({ pods: namespacedPod })),
    ingress: fc.array(ingressRule, { maxLength: 3 }),
    egress: fc.array(egressRule, { maxLength: 3 }),
  },
  { requiredKeys: ['tier', 'priority', 'subject'] },
);

const containerPorts = fc.constantFrom(
  [],
  [{ name: 'web', containerPort: 80 }],
  [{ name: 'web', containerPort: 8080 }],
  [
    { name: 'web', containerPort: 80, protocol: 'TCP' },
    { name: 'dns', containerPort: 53, protocol: 'UDP' },
  ],
  [
    { name: 'web', containerPort: 443, protocol: 'UDP' },
    { name: 'dns', containerPort: 53, protocol: 'TCP' },
    { name: 'dns', containerPort: 8080, protocol: 'SCTP' },
  ],
);
const space = fc.constantFrom('x', 'y');

export interface RandomCluster {
  /** Manifests: nodes, namespaces, pods on node-1, policies. */
  readonly objects: readonly object[];
  readonly policies: readonly (PolicyManifest | ClusterPolicyManifest)[];
  /** Pods, by `namespace/name`, with a party for each address. */
  readonly pods: ReadonlyMap<string, readonly Party[]>;
  /** Nodes, and what belongs to nobody. */
  readonly others: readonly Party[];
}

const strangers = [
  '203.0.113.7',
  '203.0.113.70',
  '203.0.113.129',
  '203.0.113.203',
  '198.51.100.1',
  '2001:db8:f::1',
];

export const randomCluster: fc.Arbitrary<RandomCluster> = fc
  .record({
    nodes: fc.tuple(labels, labels, labels),
    spaces: fc.record({ x: labels, y: labels }),
    pods: fc.array(fc.record({ space, labels, ports: containerPorts }), { minLength: 2, maxLength: 5 }),
    policies: fc.array(fc.record({ space, spec: policySpec }), { maxLength: 4 }),
    clusterPolicies: fc.array(clusterSpec, { maxLength: 4 }),
  })
  .map(({ nodes, spaces, pods, policies, clusterPolicies }): RandomCluster => {
    const members = pods.map(({ space, labels, ports }, i) => ({
      namespace: space,
      name: `pod-${i}`,
      ips: [`10.244.1.${i + 2}`, `fd00:244:1::${i + 2}`],
      labels,
      ports,
    }));
    const manifests = [
      ...policies.map(({ space, spec }, i) => policy(`policy-${i}`, spec, space) as PolicyManifest),
      // Later ones sort first by name: the order must not be that of the manifests.
      ...clusterPolicies.map((spec, i) => clusterPolicy(`policy-${9 - i}`, spec) as ClusterPolicyManifest),
    ];
    return {
      objects: [
        ...nodes.map((labels, i) => node(i + 1, labels)),
        ...Object.entries(spaces).map(([name, labels]) => namespace(name, labels)),
        ...members.map(pod),
        ...manifests,
      ],
      policies: manifests,
      pods: new Map(
        members.map(({ namespace, name, ips, labels, ports }) => {
          const about = { namespace, namespaceLabels: spaces[namespace], labels, ports };
          return [`${namespace}/${name}`, ips.map((ip) => ({ ip, pod: about }))];
        }),
      ),
      others: [
        ...nodes.flatMap((nodeLabels, i) =>
          [`192.0.2.${i + 1}`, `2001:db8::${i + 1}`].map((ip) => ({ ip, nodeLabels })),
        ),
        ...strangers.map((ip) => ({ ip })),
      ],
    };
  });

/** Name and number of a protocol, and a port. */
export const probes: readonly (readonly [protocol: string, number: number, port: number])[] = [
  ...[53, 80, 443, 8000, 8001, 8080, 9000, 65535].flatMap((port) => [
    ['TCP', 6, port] as const,
    ['UDP', 17, port] as const,
  ]),
  ['SCTP', 132, 80],
  ['SCTP', 132, 8080],
  ['ICMP', 1, 0],
  ['ICMPv6', 58, 0],
];
