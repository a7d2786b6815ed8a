// A change of policy over recorded packets: which of them would meet another fate, packet by packet as they were made.
import { describe, expect, it } from 'vitest';
import { clusterPolicy, namespace, node, pod, policy } from '../support/cluster.ts';
import {
  ACK,
  be,
  concat,
  echoPacket,
  ethernet,
  FIN,
  fragmentHeader,
  geneve,
  icmp,
  ipv4,
  ipv6,
  SCTP,
  SYN,
  tcpPacket,
  udp,
  udpPacket,
  vxlan,
} from '../support/packets.ts';
import { type Comparison, compare } from '../support/policy-diff.ts';

const WEB = '10.244.1.2';
const DB = '10.244.2.3';
const OTHER = '10.244.1.4';
const STRANGER = '198.51.100.7';

const cluster = [
  node(1),
  node(2),
  namespace('shop'),
  pod({ namespace: 'shop', name: 'web', ips: [WEB, 'fd00:244:1::2'], labels: { app: 'web' } }),
  pod({ namespace: 'shop', name: 'db', node: 'node-2', ips: [DB, 'fd00:244:2::3'], labels: { app: 'db' } }),
  pod({ namespace: 'shop', name: 'other', ips: [OTHER], labels: { app: 'other' } }),
];

const toDb = (...ingress: object[]) =>
  policy('db', { podSelector: { matchLabels: { app: 'db' } }, policyTypes: ['Ingress'], ingress }, 'shop');
const fromWeb = { from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 5432 }] };
const shut = [...cluster, toDb()];
const open = [...cluster, toDb(fromWeb)];

const there = { src: WEB, dst: DB };
const back = { src: DB, dst: WEB };
const syn = tcpPacket(there, { sport: 40000, dport: 5432, seq: 100, ack: 0, flags: SYN });
const synAck = tcpPacket(back, { sport: 5432, dport: 40000, seq: 900, ack: 101, flags: SYN | ACK });
const ack = tcpPacket(there, { sport: 40000, dport: 5432, seq: 101, ack: 901, flags: ACK });
const query = tcpPacket(there, { sport: 40000, dport: 5432, seq: 101, ack: 901 }, Buffer.from('select 1'));
const answer = tcpPacket(back, { sport: 5432, dport: 40000, seq: 901, ack: 109 }, Buffer.from('1'));

/** What changed, told shortly. */
const told = ({ flows }: Comparison): string[] =>
  flows.map(({ change, protocol, from, to, port, packets, first }) => {
    const name = ({ pod, address }: (typeof flows)[number]['from']) => pod ?? address;
    const target = port === null ? name(to) : `${name(to)}:${port}`;
    return `${change} ${protocol} ${name(from)} > ${target} ×${packets} from ${first.n}`;
  });

describe('a connection', () => {
  it('is denied from its first packet to its last, replies with it', async () => {
    const result = await compare(open, shut, [syn, synAck, ack, query, answer]);
    expect(result.flows).toEqual([
      {
        change: 'now-denied',
        protocol: 'TCP',
        from: { address: WEB, pod: 'shop/web' },
        to: { address: DB, pod: 'shop/db' },
        port: 5432,
        packets: 5,
        bytes: 5 * 40 + 9,
        first: { file: 'a', n: 1 },
        old: {
          verdict: 'allow',
          egress: { verdict: 'allow', policies: [], rule: null, reason: 'not-isolated' },
          ingress: { verdict: 'allow', policies: ['NetworkPolicy:shop/db'], rule: 0, reason: 'rule' },
        },
        new: {
          verdict: 'deny',
          egress: { verdict: 'allow', policies: [], rule: null, reason: 'not-isolated' },
          ingress: {
            verdict: 'deny',
            policies: ['NetworkPolicy:shop/db'],
            rule: null,
            reason: 'default-deny',
          },
        },
      },
    ]);
    expect(result.summary).toEqual({
      packets: 5,
      unchanged: 0,
      changed: { 'now-denied': 5, 'now-allowed': 0, 'other-rule': 0 },
      notJudged: {},
      unlisted: 0,
      forgotten: 0,
    });
  });

  it('is allowed likewise', async () => {
    expect(told(await compare(shut, open, [syn, synAck, ack, query, answer]))).toEqual([
      'now-allowed TCP shop/web > shop/db:5432 ×5 from 1',
    ]);
  });

  it('keeps its fate under another rule', async () => {
    const everyone = [...cluster, toDb({ ports: [{ port: 1 }] }, {})];
    const result = await compare(open, everyone, [syn, synAck]);
    expect(told(result)).toEqual(['other-rule TCP shop/web > shop/db:5432 ×2 from 1']);
    expect(result.summary).toMatchObject({ unchanged: 0, changed: { 'other-rule': 2 } });
  });

  it('is judged at both ends, whichever nodes they are on', async () => {
    const noEgress = policy(
      'web',
      { podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Egress'] },
      'shop',
    );
    const { flows } = await compare(open, [...shut, noEgress], [syn]);
    expect(flows[0]?.new).toMatchObject({
      verdict: 'deny',
      egress: { verdict: 'deny', policies: ['NetworkPolicy:shop/web'] },
      ingress: { verdict: 'deny', policies: ['NetworkPolicy:shop/db'] },
    });
  });

  it('is one flow for every port that it was opened from', async () => {
    const again = tcpPacket(there, { sport: 40001, dport: 5432, flags: SYN });
    const elsewhere = tcpPacket(there, { sport: 40001, dport: 80, flags: SYN });
    expect(told(await compare(cluster, shut, [syn, again, elsewhere]))).toEqual([
      'now-denied TCP shop/web > shop/db:5432 ×2 from 1',
      'now-denied TCP shop/web > shop/db:80 ×1 from 3',
    ]);
  });

  it('is judged by ClusterNetworkPolicy, too, with tier and name of the rule', async () => {
    const guard = clusterPolicy('guard', {
      tier: 'Admin',
      priority: 1,
      subject: { namespaces: {} },
      ingress: [{ name: 'shield', action: 'Deny', from: [{ namespaces: {} }] }],
    });
    const { flows } = await compare(open, [...open, guard], [syn]);
    expect(flows[0]?.new.ingress).toEqual({
      verdict: 'deny',
      policies: ['ClusterNetworkPolicy:guard'],
      rule: 0,
      reason: 'rule',
      tier: 'Admin',
      name: 'shield',
    });
  });
});

describe('a connection that began before the capture', () => {
  it('is taken to be opened by its client, whichever side is recorded first', async () => {
    for (const packets of [
      [query, answer],
      [answer, query],
      [answer, answer],
    ])
      expect(told(await compare(open, shut, packets))).toEqual([
        'now-denied TCP shop/web > shop/db:5432 ×2 from 1',
      ]);
    const six = { src: 'fd00:244:1::2', dst: 'fd00:244:2::3' };
    const answer6 = tcpPacket(
      { src: six.dst, dst: six.src },
      { sport: 5432, dport: 40000 },
      new Uint8Array(100),
    );
    expect(told(await compare(open, shut, [answer6]))).toEqual([
      'now-denied TCP shop/web > shop/db:5432 ×1 from 1',
    ]);
  });

  it('is taken to be opened by the sender of its first packet, where the ports do not tell', async () => {
    const ask = tcpPacket(there, { sport: 9000, dport: 5432, seq: 1, ack: 70 });
    const reply = tcpPacket(back, { sport: 5432, dport: 9000, seq: 70, ack: 1 });
    expect(told(await compare(open, shut, [ask, reply, reply]))).toEqual([
      'now-denied TCP shop/web > shop/db:5432 ×3 from 1',
    ]);
    expect(told(await compare(open, shut, [reply, ask, ask]))).toEqual([]);
  });

  it('is kept in mind through silence as one whose beginning was recorded', async () => {
    const later = [query, answer].map((data) => ({ data, time: 86_400 }));
    expect(told(await compare(open, shut, [{ data: answer, time: 0 }, ...later]))).toEqual([
      'now-denied TCP shop/web > shop/db:5432 ×3 from 1',
    ]);
  });

  it('is opened by the receiver of a SYN-ACK', async () => {
    expect(told(await compare(open, shut, [synAck, ack, query, answer]))).toEqual([
      'now-denied TCP shop/web > shop/db:5432 ×4 from 1',
    ]);
  });

  it.each([
    ['IPv4', WEB, DB],
    ['IPv6', 'fd00:244:1::2', 'fd00:244:2::3'],
  ])('is opened by the receiver of an echo reply (%s)', async (_, src, dst) => {
    const reply = echoPacket({ src: dst, dst: src }, 7, new Uint8Array(8), true);
    const request = echoPacket({ src, dst });
    const [first, ...more] = told(await compare(cluster, shut, [reply, request]));
    expect(first).toMatch(/^now-denied ICMP(v6)? shop\/web > shop\/db ×2 from 1$/);
    expect(more).toEqual([]);
  });
});

describe('packets of every kind', () => {
  it('UDP: both directions of a query', async () => {
    const result = await compare(cluster, shut, [
      udpPacket(there, { sport: 5000, dport: 53 }),
      udpPacket(back, { sport: 53, dport: 5000 }),
    ]);
    expect(told(result)).toEqual(['now-denied UDP shop/web > shop/db:53 ×2 from 1']);
  });

  it('SCTP', async () => {
    const init = ipv4(
      { ...there, protocol: SCTP },
      concat(be(5000, 2), be(3868, 2), be(0, 8), be(1, 1), be(0, 1), be(20, 2), be(1, 4), new Uint8Array(12)),
    );
    expect(told(await compare(cluster, shut, [init]))).toEqual([
      'now-denied SCTP shop/web > shop/db:3868 ×1 from 1',
    ]);
  });

  it('a protocol without ports', async () => {
    expect(told(await compare(cluster, shut, [ipv4({ ...there, protocol: 47 }, new Uint8Array(8))]))).toEqual(
      ['now-denied 47 shop/web > shop/db ×1 from 1'],
    );
  });

  it('fragments follow the first of their datagram', async () => {
    const datagram = udp(there, { sport: 5000, dport: 53 }, new Uint8Array(24));
    const first = ipv4({ ...there, id: 9, df: false, mf: true }, datagram.subarray(0, 16));
    const second = ipv4({ ...there, id: 9, df: false, offset: 16 }, datagram.subarray(16));
    const six = { src: 'fd00:244:1::2', dst: 'fd00:244:2::3' };
    const datagram6 = udp(six, { sport: 5000, dport: 53 }, new Uint8Array(24));
    const first6 = ipv6({ ...six, extensions: [fragmentHeader(0, true, 9)] }, datagram6.subarray(0, 16));
    const second6 = ipv6({ ...six, extensions: [fragmentHeader(16, false, 9)] }, datagram6.subarray(16));
    expect(told(await compare(cluster, shut, [first, second, first6, second6]))).toEqual([
      'now-denied UDP shop/web > shop/db:53 ×2 from 1',
      'now-denied UDP shop/web > shop/db:53 ×2 from 3',
    ]);
    const { flows, summary } = await compare(cluster, shut, [second]);
    expect({ flows, notJudged: summary.notJudged }).toEqual({
      flows: [],
      notJudged: { 'fragment-without-first': 1 },
    });
  });

  it('ICMP errors belong to the connection that they quote, and too-big always passes', async () => {
    const unreachable = ipv4({ ...back, protocol: 1 }, icmp(3, 3, be(0, 4), syn.subarray(0, 28)));
    const tooBig = ipv4({ ...back, protocol: 1 }, icmp(3, 4, be(1400, 4), syn.subarray(0, 28)));
    const result = await compare(open, shut, [syn, unreachable, tooBig]);
    expect(told(result)).toEqual([
      'now-denied TCP shop/web > shop/db:5432 ×1 from 1',
      'now-denied ICMP shop/web > shop/db ×1 from 2',
    ]);
    expect(result.summary.unchanged).toBe(1);
  });

  it('packets with one hop left, as receivers record them', async () => {
    const last = tcpPacket({ ...there, ttl: 1 }, { dport: 5432, flags: SYN });
    const last6 = tcpPacket(
      { src: 'fd00:244:1::2', dst: 'fd00:244:2::3', ttl: 0 },
      { dport: 5432, flags: SYN },
    );
    expect(told(await compare(open, shut, [last, last6]))).toHaveLength(2);
  });

  it('superframes, and packets that the capture cut short behind their headers', async () => {
    const long = tcpPacket(there, { sport: 40000, dport: 5432 }, new Uint8Array(60_000));
    const result = await compare(open, shut, [
      long,
      { data: long.subarray(0, 54), original: long.length },
      { data: long.subarray(0, 30), original: long.length },
    ]);
    expect(result.flows).toMatchObject([{ packets: 2, bytes: 2 * 60_040 }]);
    expect(result.summary.notJudged).toEqual({ 'capture-truncated': 1 });
  });
});

describe('where it was recorded', () => {
  const macs = { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' };
  const underlay = { src: '192.0.2.1', dst: '192.0.2.2' };
  const frame = ethernet(macs, syn);

  it.each([
    ['VXLAN', udpPacket(underlay, { dport: 4789 }, vxlan(1, frame))],
    ['GENEVE with Ethernet', udpPacket(underlay, { dport: 6081 }, geneve({ vni: 1 }, frame))],
    ['GENEVE with IP', udpPacket(underlay, { dport: 6081 }, geneve({ vni: 1, protocol: 0x0800 }, syn))],
    ['IPIP', ipv4({ ...underlay, protocol: 4 }, syn)],
  ])('%s: the inner packet counts', async (_, packet) => {
    const result = await compare(open, shut, [{ data: ethernet(macs, packet), linkType: 1 }]);
    expect(result.flows).toMatchObject([{ protocol: 'TCP', port: 5432, packets: 1, bytes: 40 }]);
  });

  it('a tunnel between pods is their own affair', async () => {
    const nested = udpPacket(there, { dport: 4789 }, vxlan(1, ethernet(macs, udpPacket(back, {}))));
    expect(told(await compare(cluster, shut, [nested]))).toEqual([
      'now-denied UDP shop/web > shop/db:4789 ×1 from 1',
    ]);
  });

  it('in two places at once: each packet counts as often as it is there', async () => {
    const tunnelled = { data: udpPacket(underlay, { dport: 4789 }, vxlan(1, frame)), linkType: 101 };
    expect(told(await compare(open, shut, [syn, tunnelled]))).toEqual([
      'now-denied TCP shop/web > shop/db:5432 ×2 from 1',
    ]);
  });
});

describe('ends', () => {
  const isolated = [
    ...cluster,
    policy('all', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }, 'shop'),
  ];

  it('a pod and its own node, or itself, no NetworkPolicy parts; another node is parted', async () => {
    const packets = [
      tcpPacket({ src: '192.0.2.1', dst: WEB }, { flags: SYN }),
      tcpPacket({ src: WEB, dst: '10.244.1.1' }, { flags: SYN }),
      tcpPacket({ src: WEB, dst: WEB }, { flags: SYN }),
      tcpPacket({ src: '192.0.2.2', dst: WEB }, { flags: SYN }),
      tcpPacket({ src: WEB, dst: '192.0.2.2' }, { sport: 3, dport: 4, flags: SYN }),
    ];
    const result = await compare(cluster, isolated, packets);
    expect(told(result).sort()).toEqual([
      'now-denied TCP 192.0.2.2 > shop/web:80 ×1 from 4',
      'now-denied TCP shop/web > 192.0.2.2:4 ×1 from 5',
    ]);
    expect(result.summary.unchanged).toBe(3);
  });

  it('what a pod sends to its own node is for ClusterNetworkPolicy to judge, answers with it', async () => {
    const guard = clusterPolicy('guard', {
      tier: 'Admin',
      priority: 1,
      subject: { namespaces: {} },
      ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }],
      egress: [{ action: 'Deny', to: [{ networks: ['192.0.2.0/24'] }] }],
    });
    const out = { src: WEB, dst: '192.0.2.1' };
    const result = await compare(
      cluster,
      [...cluster, guard],
      [
        tcpPacket(out, { sport: 9, flags: SYN, seq: 1, ack: 0 }),
        tcpPacket({ src: out.dst, dst: out.src }, { sport: 80, dport: 9, flags: SYN | ACK, seq: 5, ack: 2 }),
        tcpPacket({ src: out.dst, dst: out.src }, { flags: SYN, seq: 1, ack: 0 }),
        tcpPacket(out, { sport: 80, dport: 40000, flags: SYN | ACK, seq: 5, ack: 2 }),
      ],
    );
    expect(told(result)).toEqual(['now-denied TCP shop/web > 192.0.2.1:80 ×2 from 1']);
    expect(result.flows[0]?.new).toMatchObject({
      egress: { policies: ['ClusterNetworkPolicy:guard'], reason: 'rule' },
      ingress: { reason: 'not-a-pod' },
    });
    expect(result.summary.unchanged).toBe(2);
  });

  it('strangers, both ways', async () => {
    const result = await compare(cluster, isolated, [
      tcpPacket({ src: STRANGER, dst: DB }, { flags: SYN }),
      tcpPacket({ src: DB, dst: STRANGER }, { sport: 1, dport: 443, flags: SYN }),
    ]);
    expect(told(result).sort()).toEqual([
      'now-denied TCP 198.51.100.7 > shop/db:80 ×1 from 1',
      'now-denied TCP shop/db > 198.51.100.7:443 ×1 from 2',
    ]);
  });

  it('packets of no pod, and packets that no policy decides about, are not judged', async () => {
    const result = await compare(cluster, isolated, [
      tcpPacket({ src: STRANGER, dst: '192.0.2.1' }, {}),
      udpPacket({ src: WEB, dst: '224.0.0.251' }, { dport: 5353 }),
      {
        data: ethernet(
          { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02', type: 0x0806 },
          new Uint8Array(28),
        ),
        linkType: 1,
      },
      { data: new Uint8Array(20), linkType: 147 },
      { data: concat(be(0x45, 1), new Uint8Array(11)) },
    ]);
    expect(result).toEqual({
      flows: [],
      summary: {
        packets: 5,
        unchanged: 0,
        changed: { 'now-denied': 0, 'now-allowed': 0, 'other-rule': 0 },
        notJudged: { 'ipv4-header': 1, 'link-type': 1, multicast: 1, 'no-pod': 1, 'not-ip': 1 },
        unlisted: 0,
        forgotten: 0,
      },
    });
  });

  it('a pod that is in one state only', async () => {
    const later = pod({ namespace: 'shop', name: 'late', ips: ['10.244.1.9'], labels: { app: 'db' } });
    const call = tcpPacket({ src: OTHER, dst: '10.244.1.9' }, { dport: 5432, flags: SYN });
    expect(told(await compare(shut, [...shut, later], [call]))).toEqual([
      'now-denied TCP shop/other > shop/late:5432 ×1 from 1',
    ]);
    expect(told(await compare([...shut, later], shut, [call]))).toEqual([
      'now-allowed TCP shop/other > shop/late:5432 ×1 from 1',
    ]);
  });
});

describe('bounds', () => {
  it('lists as many flows as it has room for, and counts the rest', async () => {
    const elsewhere = tcpPacket(there, { dport: 80, flags: SYN });
    const result = await compare(cluster, shut, [syn, elsewhere, elsewhere], { most: 1 });
    expect(result.flows).toMatchObject([{ port: 5432, packets: 1 }]);
    expect(result.summary).toMatchObject({ changed: { 'now-denied': 3 }, unlisted: 2 });
  });

  it('follows connections through more pods than are judged at a time', async () => {
    const address = (i: number) => `10.245.${i >> 8}.${i & 255}`;
    const crowd = Array.from({ length: 2600 }, (_, i) =>
      pod({
        namespace: 'shop',
        name: `p-${i}`,
        ips: [address(i)],
        labels: { app: i % 2 === 0 ? 'web' : 'db' },
      }),
    );
    // Pods 2k call pods 2k + 1; then all are answered.
    const calls = Array.from({ length: 1300 }, (_, i) => [address(2 * i), address(2 * i + 1)] as const);
    const packets = [
      ...calls.map(([src, dst]) =>
        tcpPacket({ src, dst }, { sport: 40000, dport: 5432, flags: SYN, seq: 100 }),
      ),
      ...calls.map(([src, dst]) =>
        tcpPacket({ src: dst, dst: src }, { sport: 5432, dport: 40000, flags: ACK, seq: 5, ack: 101 }),
      ),
    ];
    const { flows, summary } = await compare([...crowd, toDb(fromWeb)], [...crowd, toDb()], packets, {
      burst: 900,
    });
    expect(summary.changed['now-denied']).toBe(2600);
    expect(flows.every(({ packets, port }) => packets === 2 && port === 5432)).toBe(true);
  });

  it('keeps a connection across files whose times overlap, and lets a silent one go', async () => {
    const [ask, reply] = [
      udpPacket(there, { sport: 5000, dport: 53 }),
      udpPacket(back, { sport: 53, dport: 5000 }),
    ];
    const overlapping = [
      { data: ask, time: 1000 },
      { data: reply, time: 990 },
    ];
    expect(told(await compare(cluster, shut, overlapping))).toEqual([
      'now-denied UDP shop/web > shop/db:53 ×2 from 1',
    ]);
    const apart = [
      { data: ask, time: 1000 },
      { data: reply, time: 5000 },
    ];
    expect(told(await compare(cluster, shut, apart))).toEqual([
      'now-denied UDP shop/web > shop/db:53 ×1 from 1',
    ]);
  });

  it('takes the same pair of ports for a new connection after the old one has ended', async () => {
    const end = tcpPacket(there, { sport: 40000, dport: 5432, seq: 101, ack: 901, flags: FIN | ACK });
    const other = tcpPacket(back, { sport: 5432, dport: 40000, seq: 1, ack: 0, flags: SYN });
    const result = await compare(open, shut, [syn, synAck, ack, end, other]);
    expect(told(result)).toEqual(['now-denied TCP shop/web > shop/db:5432 ×4 from 1']);
    expect(result.summary.unchanged).toBe(1);
  });
});
