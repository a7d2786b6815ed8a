// What holds of every comparison, over random changes of policy and random connections.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readManifests } from '../../src/control/manifests.ts';
import { PolicyOracle } from '../../src/policy/why.ts';
import { clusterPolicy, namespace, node, pod, policy } from '../support/cluster.ts';
import { ACK, echoPacket, SYN, tcpPacket, udpPacket } from '../support/packets.ts';
import { type Comparison, compare } from '../support/policy-diff.ts';

const web = { podSelector: { matchLabels: { app: 'web' } } };
const db = { podSelector: { matchLabels: { app: 'db' } } };

const objects = [
  node(1),
  node(2),
  namespace('x', { team: 'a' }),
  namespace('y'),
  pod({ namespace: 'x', name: 'web', ips: ['10.244.1.2', 'fd00:244:1::2'], labels: { app: 'web' } }),
  pod({
    namespace: 'x',
    name: 'db',
    node: 'node-2',
    ips: ['10.244.2.2', 'fd00:244:2::2'],
    labels: { app: 'db' },
  }),
  pod({ namespace: 'y', name: 'web', ips: ['10.244.1.3', 'fd00:244:1::3'], labels: { app: 'web' } }),
];
const policies = [
  policy('deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }, 'x'),
  policy('deny', { podSelector: {} }, 'y'),
  policy(
    'db',
    { ...db, ingress: [{ from: [web], ports: [{ port: 80 }] }, { from: [{ namespaceSelector: {} }] }] },
    'x',
  ),
  policy(
    'web',
    { ...web, policyTypes: ['Egress'], egress: [{ to: [db] }, { ports: [{ protocol: 'UDP', port: 53 }] }] },
    'x',
  ),
  policy(
    'out',
    { podSelector: {}, egress: [{ to: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['10.244.2.0/24'] } }] }] },
    'y',
  ),
  policy('in', { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '198.51.100.0/24' } }] }] }, 'y'),
  clusterPolicy('guard', {
    tier: 'Admin',
    priority: 5,
    subject: { namespaces: {} },
    ingress: [
      {
        action: 'Accept',
        from: [{ namespaces: { matchLabels: { team: 'a' } } }],
        protocols: [{ tcp: { destinationPort: { number: 80 } } }],
      },
      {
        action: 'Deny',
        from: [{ namespaces: {} }],
        protocols: [{ udp: { destinationPort: { number: 53 } } }],
      },
    ],
    egress: [
      {
        action: 'Deny',
        to: [{ networks: ['192.0.2.0/24', '2001:db8::/64'] }],
        protocols: [{ tcp: { destinationPort: { number: 443 } } }],
      },
    ],
  }),
];

const state = fc.subarray(policies).map((chosen) => [...objects, ...chosen]);
const addresses = [
  ['10.244.1.2', '10.244.2.2', '10.244.1.3', '198.51.100.7', '192.0.2.1', '192.0.2.2'],
  ['fd00:244:1::2', 'fd00:244:2::2', 'fd00:244:1::3', '2001:db8:f::1', '2001:db8::1'],
] as const;
const connection = fc.constantFrom(...addresses).chain((family) =>
  fc.record({
    src: fc.constantFrom(...family),
    dst: fc.constantFrom(...family),
    protocol: fc.constantFrom('TCP', 'UDP', 'ICMP'),
    port: fc.constantFrom(53, 80, 443),
    replies: fc.integer({ min: 0, max: 2 }),
  }),
);
type Connection = typeof connection extends fc.Arbitrary<infer T> ? T : never;

function packetsOf({ src, dst, protocol, port, replies }: Connection, sport: number): Uint8Array[] {
  const [out, back] = [
    { src, dst },
    { src: dst, dst: src },
  ];
  const answers = Array.from({ length: replies });
  if (protocol === 'UDP')
    return [
      udpPacket(out, { sport, dport: port }),
      ...answers.map(() => udpPacket(back, { sport: port, dport: sport })),
    ];
  if (protocol === 'ICMP')
    return [echoPacket(out, sport), ...answers.map(() => echoPacket(back, sport, new Uint8Array(8), true))];
  return [
    tcpPacket(out, { sport, dport: port, flags: SYN, seq: 1, ack: 0 }),
    ...answers.map((_, i) =>
      tcpPacket(back, { sport: port, dport: sport, seq: 7 + i, ack: 2, flags: i === 0 ? SYN | ACK : ACK }),
    ),
  ];
}

const traffic = fc.array(connection, { maxLength: 12 });
const recorded = (connections: readonly Connection[]) =>
  connections.flatMap((one, i) => packetsOf(one, 40_000 + i));

const opposite = {
  'now-denied': 'now-allowed',
  'now-allowed': 'now-denied',
  'other-rule': 'other-rule',
} as const;
const sorted = (flows: readonly object[]) => flows.map((flow) => JSON.stringify(flow)).sort();

function mirrored({ flows }: Comparison): object[] {
  return flows.map((flow) => ({ ...flow, change: opposite[flow.change], old: flow.new, new: flow.old }));
}

describe('policy diff', () => {
  it('finds nothing between a state and itself', async () => {
    await fc.assert(
      fc.asyncProperty(state, traffic, async (objects, connections) => {
        const { flows, summary } = await compare(objects, objects, recorded(connections));
        expect(flows).toEqual([]);
        expect(Object.values(summary.changed)).toEqual([0, 0, 0]);
      }),
      { numRuns: 15 },
    );
  });

  it('finds the opposite in the other direction', async () => {
    await fc.assert(
      fc.asyncProperty(state, state, traffic, async (one, other, connections) => {
        const packets = recorded(connections);
        const there = await compare(one, other, packets);
        const back = await compare(other, one, packets);
        expect(sorted(mirrored(back))).toEqual(sorted(there.flows));
        expect(back.summary).toMatchObject({
          unchanged: there.summary.unchanged,
          notJudged: there.summary.notJudged,
        });
      }),
      { numRuns: 15 },
    );
  });

  it('says of every connection what policy why says, in both states', async () => {
    await fc.assert(
      fc.asyncProperty(state, state, traffic, async (one, other, connections) => {
        const before = oracleOf(one);
        const after = oracleOf(other);
        let packets = 0;
        for (const [i, chosen] of connections.entries()) {
          const { src: from, dst: to, protocol, port } = chosen;
          const question = { from, to, protocol, ...(protocol !== 'ICMP' && { port }) };
          const [was] = before.explain([before.probe(question)]);
          const [is] = after.explain([after.probe(question)]);
          const sent = packetsOf(chosen, 40_000 + i);
          const { flows, summary } = await compare(one, other, sent);
          packets += summary.packets;
          for (const flow of flows)
            expect({ ...question, old: flow.old, new: flow.new }).toEqual({ ...question, old: was, new: is });
          const isChanged = was?.verdict !== is?.verdict;
          expect(flows.filter(({ change }) => change !== 'other-rule')).toHaveLength(isChanged ? 1 : 0);
          if (isChanged) expect(flows[0]?.packets).toBe(sent.length);
        }
        expect(packets).toBe(recorded(connections).length);
      }),
      { numRuns: 8 },
    );
  });
});

function oracleOf(items: readonly object[]): PolicyOracle {
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  return new PolicyOracle(readManifests([{ file: 'all.json', text }]).objects);
}
