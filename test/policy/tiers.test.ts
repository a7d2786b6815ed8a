// ClusterNetworkPolicy before and behind NetworkPolicy: order, actions, peers and reasons.
import { describe, expect, it } from 'vitest';
import { clusterPolicy, namespace, node, pod, policy } from '../support/cluster.ts';
import { explain, type Question } from '../support/explain.ts';

const named = (name: string) => ({ matchLabels: { 'kubernetes.io/metadata.name': name } });
const everyone = [{ namespaces: {} }];
const tcp = (number: number) => ({ tcp: { destinationPort: { number } } });
const cluster = [
  node(1),
  node(2, { role: 'edge' }),
  namespace('a'),
  namespace('b'),
  pod({
    namespace: 'a',
    name: 'one',
    ips: ['10.244.1.2', 'fd00:244:1::2'],
    ports: [{ name: 'web', containerPort: 80 }],
  }),
  pod({
    namespace: 'b',
    name: 'two',
    ips: ['10.244.1.3', 'fd00:244:1::3'],
    labels: { app: 'two' },
    ports: [
      { name: 'web', containerPort: 8080 },
      { name: 'web', containerPort: 8081, protocol: 'UDP' },
    ],
  }),
  pod({ namespace: 'b', name: 'host', node: 'node-2', ips: ['192.0.2.2'], spec: { hostNetwork: true } }),
];

let count = 0;
/** A policy that selects namespace a. */
const admin = (rules: object, priority = 10, name = `p-${count++}`) =>
  clusterPolicy(name, { tier: 'Admin', priority, subject: { namespaces: named('a') }, ...rules });
const baseline = (rules: object, priority = 10, name = `p-${count++}`) =>
  clusterPolicy(name, { tier: 'Baseline', priority, subject: { namespaces: named('a') }, ...rules });
const deny = (rule: object = {}) => ({ egress: [{ action: 'Deny', to: everyone, ...rule }] });
const accept = (rule: object = {}) => ({ egress: [{ action: 'Accept', to: everyone, ...rule }] });
const pass = (rule: object = {}) => ({ egress: [{ action: 'Pass', to: everyone, ...rule }] });
const isolated = policy('isolated', { podSelector: {}, policyTypes: ['Egress'] }, 'a');
const open = policy('open', { podSelector: {}, policyTypes: ['Egress'], egress: [{}] }, 'a');

const question = { from: 'a/one', to: 'b/two', protocol: 'TCP', port: 80 };
const egress = (policies: readonly object[], asked: Partial<Question> = {}) =>
  explain([...cluster, ...policies], [{ ...question, ...asked }])[0]?.egress;
const verdict = (policies: readonly object[], asked: Partial<Question> = {}) =>
  egress(policies, asked)?.verdict;

describe('tiers of policies', () => {
  it.each<[string, object[], string]>([
    ['Admin Deny stands before NetworkPolicy', [admin(deny()), open], 'deny'],
    ['Admin Accept stands before NetworkPolicy', [admin(accept()), isolated], 'allow'],
    ['Admin Accept stands before Baseline', [admin(accept()), baseline(deny())], 'allow'],
    ['Admin Pass leaves it to NetworkPolicy: deny', [admin(pass()), isolated], 'deny'],
    ['Admin Pass leaves it to NetworkPolicy: allow', [admin(pass()), open, baseline(deny())], 'allow'],
    ['Admin Pass leaves it to Baseline', [admin(pass()), baseline(deny())], 'deny'],
    ['Admin Pass skips later rules', [admin({ egress: [...pass().egress, ...deny().egress] })], 'allow'],
    ['Admin Pass skips later policies', [admin(pass(), 1), admin(deny(), 2)], 'allow'],
    ['a lower priority number comes first', [admin(deny(), 2), admin(accept(), 1)], 'allow'],
    ['the same priority: by name, accept', [admin(deny(), 5, 'b'), admin(accept(), 5, 'a')], 'allow'],
    ['the same priority: by name, deny', [admin(deny(), 5, 'a'), admin(accept(), 5, 'b')], 'deny'],
    ['rules in their order', [admin({ egress: [...accept().egress, ...deny().egress] })], 'allow'],
    ['NetworkPolicy that isolates stands before Baseline Accept', [isolated, baseline(accept())], 'deny'],
    ['NetworkPolicy that allows stands before Baseline Deny', [open, baseline(deny())], 'allow'],
    ['Baseline Deny without a NetworkPolicy', [baseline(deny())], 'deny'],
    ['Baseline Accept before Baseline Deny', [baseline(deny(), 2), baseline(accept(), 1)], 'allow'],
    ['Baseline Pass: allowed as without policies', [baseline(pass(), 1), baseline(deny(), 2)], 'allow'],
    ['priorities do not cross tiers', [baseline(accept(), 0), admin(deny(), 1000)], 'deny'],
    ['no rule matches: not isolated', [admin(deny({ protocols: [tcp(443)] }))], 'allow'],
    [
      'rules of the other direction do not count',
      [admin({ ingress: [{ action: 'Deny', from: everyone }] })],
      'allow',
    ],
  ])('%s', (_, policies, wanted) => {
    expect(verdict(policies)).toBe(wanted);
  });

  it('judge the receiver by its own policies even where the sender may', () => {
    const shut = clusterPolicy('shut', {
      tier: 'Admin',
      priority: 0,
      subject: { pods: { podSelector: { matchLabels: { app: 'two' } } } },
      ingress: [{ name: 'none from a', action: 'Deny', from: [{ namespaces: named('a') }] }],
    });
    expect(explain([...cluster, admin(accept(), 0, 'let'), shut], [question])).toEqual([
      {
        verdict: 'deny',
        egress: {
          verdict: 'allow',
          policies: ['ClusterNetworkPolicy:let'],
          rule: 0,
          reason: 'rule',
          tier: 'Admin',
        },
        ingress: {
          verdict: 'deny',
          policies: ['ClusterNetworkPolicy:shut'],
          rule: 0,
          reason: 'rule',
          tier: 'Admin',
          name: 'none from a',
        },
      },
    ]);
  });

  it('do not isolate a pod that only a ClusterNetworkPolicy selects', () => {
    expect(egress([baseline(deny({ protocols: [tcp(443)] }))])).toEqual({
      verdict: 'allow',
      policies: [],
      rule: null,
      reason: 'not-isolated',
    });
  });

  it('name what a default deny isolates, not the ClusterNetworkPolicies around it', () => {
    expect(egress([admin(pass()), isolated, baseline(accept())])).toEqual({
      verdict: 'deny',
      policies: ['NetworkPolicy:a/isolated'],
      rule: null,
      reason: 'default-deny',
    });
  });
});

describe('what a pod and its own node say to each other', () => {
  const toNode = { to: '192.0.2.1' };
  const nodes = { to: [{ nodes: {} }] };
  it.each<[string, object[], string]>([
    ['no NetworkPolicy denies', [isolated], 'allow own-node'],
    ['an Admin tier may deny', [admin(deny(nodes)), open], 'deny rule'],
    ['an Admin tier may pass on to NetworkPolicy', [admin(pass(nodes)), isolated], 'allow own-node'],
    [
      'an Admin tier may pass on to the Baseline tier',
      [admin(pass(nodes)), baseline(deny(nodes))],
      'deny rule',
    ],
    ['a Baseline tier may deny', [baseline(deny(nodes))], 'deny rule'],
    ['a Baseline tier stands behind NetworkPolicy', [baseline(deny(nodes)), isolated], 'allow own-node'],
    ['what fails closed denies', [admin(deny({ to: [{ services: {} }] }))], 'deny rule'],
  ])('%s', (_, policies, wanted) => {
    const { verdict, reason } = egress(policies, toNode) ?? {};
    expect(`${verdict} ${reason}`).toBe(wanted);
  });

  it('always reaches the pod', () => {
    const shut = admin({ ingress: [{ action: 'Deny', from: [{ services: {} }] }] });
    const answers = explain(
      [...cluster, shut],
      ['192.0.2.1', '192.0.2.2'].map((from) => ({ ...question, from, to: 'a/one' })),
    );
    expect(answers.map(({ ingress }) => ingress.reason)).toEqual(['own-node', 'rule']);
  });
});

describe('peers of ClusterNetworkPolicies', () => {
  it.each<[string, object, Partial<Question>, string]>([
    ['namespaces', { to: [{ namespaces: named('b') }] }, {}, 'deny'],
    ['namespaces, another', { to: [{ namespaces: named('a') }] }, {}, 'allow'],
    [
      'pods of all namespaces',
      { to: [{ pods: { podSelector: { matchLabels: { app: 'two' } } } }] },
      {},
      'deny',
    ],
    [
      'pods of another namespace',
      { to: [{ pods: { namespaceSelector: named('a'), podSelector: { matchLabels: { app: 'two' } } } }] },
      {},
      'allow',
    ],
    ['networks hold for pods, too', { to: [{ networks: ['0.0.0.0/0'] }] }, {}, 'deny'],
    ['networks of the other family', { to: [{ networks: ['::/0'] }] }, {}, 'allow'],
    ['networks and ICMP', { to: [{ networks: ['::/0'] }] }, { to: '2001:db8::7', protocol: 'ICMP' }, 'deny'],
    ['pods on the host network are no pods', { to: everyone }, { to: 'b/host' }, 'allow'],
    ['nodes', { to: [{ nodes: {} }] }, { to: '192.0.2.2' }, 'deny'],
    [
      'nodes, over IPv6',
      { to: [{ nodes: { matchLabels: { role: 'edge' } } }] },
      { to: '2001:db8::2' },
      'deny',
    ],
    [
      'nodes with other labels',
      { to: [{ nodes: { matchLabels: { role: 'core' } } }] },
      { to: '192.0.2.2' },
      'allow',
    ],
    ['nodes are their pods on the host network', { to: [{ nodes: {} }] }, { to: 'b/host' }, 'deny'],
    ['nodes are none of their other pods', { to: [{ nodes: {} }] }, {}, 'allow'],
    [
      'nodes inside networks',
      { to: [{ networks: ['192.0.2.0/24'] }, { nodes: named('x') }] },
      { to: '192.0.2.2' },
      'deny',
    ],
  ])('%s', (_, rule, asked, wanted) => {
    const { port: _port, ...icmp } = { ...question, ...asked };
    const [answer] = explain(
      [...cluster, admin(deny(rule))],
      [asked.protocol === 'ICMP' ? icmp : { ...question, ...asked }],
    );
    expect(answer?.egress.verdict).toBe(wanted);
  });

  it.each<[string, object, Partial<Question>, string]>([
    ['a port', { protocols: [tcp(80)] }, {}, 'deny'],
    ['another port', { protocols: [tcp(81)] }, {}, 'allow'],
    ['another protocol', { protocols: [{ udp: { destinationPort: { number: 80 } } }] }, {}, 'allow'],
    [
      'the first port of a range',
      { protocols: [{ tcp: { destinationPort: { range: { start: 80, end: 90 } } } }] },
      {},
      'deny',
    ],
    [
      'the last',
      { protocols: [{ tcp: { destinationPort: { range: { start: 80, end: 90 } } } }] },
      { port: 90 },
      'deny',
    ],
    [
      'one behind',
      { protocols: [{ tcp: { destinationPort: { range: { start: 80, end: 90 } } } }] },
      { port: 91 },
      'allow',
    ],
    [
      'a name, as the destination has it',
      { protocols: [{ destinationNamedPort: 'web' }] },
      { port: 8080 },
      'deny',
    ],
    ['a name, not as the source has it', { protocols: [{ destinationNamedPort: 'web' }] }, {}, 'allow'],
    [
      'a name, whatever its protocol',
      { protocols: [{ destinationNamedPort: 'web' }] },
      { protocol: 'UDP', port: 8081 },
      'deny',
    ],
    [
      'a name, under its protocol alone',
      { protocols: [{ destinationNamedPort: 'web' }] },
      { port: 8081 },
      'allow',
    ],
    [
      'a name that the destination lacks',
      { protocols: [{ destinationNamedPort: 'dns' }] },
      { port: 8080 },
      'allow',
    ],
  ])('%s', (_, rule, asked, wanted) => {
    expect(verdict([admin(deny(rule))], asked)).toBe(wanted);
  });

  it('resolve named ports on the pod that receives', () => {
    const rule = { action: 'Deny', from: everyone, protocols: [{ destinationNamedPort: 'web' }] };
    const ask = (port: number) => ({ ...question, from: 'b/two', to: 'a/one', port });
    const answers = explain([...cluster, admin({ ingress: [rule] })], [ask(80), ask(8080)]);
    expect(answers.map(({ ingress }) => ingress.verdict)).toEqual(['deny', 'allow']);
  });

  describe('of a kind that is not supported fail closed', () => {
    const unknown = { services: {} };
    it.each<[string, object[], string]>([
      ['Accept matches nothing', [admin(accept({ to: [unknown] })), isolated], 'deny'],
      [
        'Accept matches nothing, other peers of the rule included',
        [admin(accept({ to: [unknown, ...everyone] })), isolated],
        'deny',
      ],
      ['Deny denies everything', [admin(deny({ to: [unknown], protocols: [tcp(1)] })), open], 'deny'],
      ['Pass denies everything', [admin(pass({ to: [unknown], protocols: [tcp(1)] })), open], 'deny'],
      ['a peer without a field', [admin(deny({ to: [{}] }))], 'deny'],
      ['domain names', [admin(accept({ to: [{ domainNames: ['kubernetes.io'] }] })), isolated], 'deny'],
      [
        'rules before it still count',
        [admin({ egress: [...accept().egress, ...deny({ to: [unknown] }).egress] })],
        'allow',
      ],
    ])('%s', (_, policies, wanted) => {
      expect(verdict(policies)).toBe(wanted);
    });
  });
});
