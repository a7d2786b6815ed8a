// NetworkPolicy, statement by statement, where it is about packets: through the data path of a node with real tables.
import { describe, expect, it } from 'vitest';
import { clusterPolicy, type namespace, pod, policy } from '../../support/cluster.ts';
import { PacketNode } from '../../support/packet-node.ts';
import {
  ACK,
  be,
  concat,
  echoPacket,
  fragmentHeader,
  ICMP,
  ICMPV6,
  icmp,
  icmp6,
  ipPacket,
  ipv4,
  ipv6,
  SCTP,
  SYN,
  tcpPacket,
  udp,
  udpPacket,
} from '../../support/packets.ts';
import { addressOf, app, families, ingress, named, nodeAddress, outside, world } from './world.ts';

describe.each(families)('packets, IPv%i', (family) => {
  const closed = policy('closed', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }, 'x');
  const at = (key: string) => addressOf(family, key);
  const between = (from: string, to: string) => ({ src: at(from), dst: at(to) });
  const reversed = ({ src, dst }: { src: string; dst: string }) => ({ src: dst, dst: src });
  const start = (...policies: object[]) => PacketNode.with([...world(family), ...policies]);
  const there = between('y/b', 'x/a');
  const back = reversed(there);
  /** RFC 9260 §3.3.2: INIT (1) under tag 0, INIT ACK (2) under the tag of the INIT. */
  const sctp = (ends: typeof there, sport: number, dport: number, type: 1 | 2) => {
    const header = concat(be(sport, 2), be(dport, 2), be(type === 1 ? 0 : 77, 4), be(0, 4));
    const chunk = concat(
      be(type, 1),
      be(0, 1),
      be(20, 2),
      be(77, 4),
      be(1500, 4),
      be(1, 2),
      be(1, 2),
      be(1, 4),
    );
    return ipPacket({ ...ends, protocol: SCTP }, concat(header, chunk));
  };
  const unreachable = (ends: typeof there, quoted: Uint8Array) =>
    family === 4
      ? ipv4({ ...ends, protocol: ICMP }, icmp(3, 3, be(0, 4), quoted.slice(0, 64)))
      : ipv6({ ...ends, protocol: ICMPV6 }, icmp6(ends, 1, 4, be(0, 4), quoted.slice(0, 80)));
  const tooBig = (ends: typeof there, quoted: Uint8Array) =>
    family === 4
      ? ipv4({ ...ends, protocol: ICMP }, icmp(3, 4, be(1400, 4), quoted.slice(0, 64)))
      : ipv6({ ...ends, protocol: ICMPV6 }, icmp6(ends, 2, 0, be(1400, 4), quoted.slice(0, 80)));

  /** Each as the packet that opens a connection to x/a, and the answer. */
  const exchanges = (): [string, Uint8Array, Uint8Array][] => [
    [
      'TCP',
      tcpPacket(there, { sport: 9, dport: 80, flags: SYN }),
      tcpPacket(back, { sport: 80, dport: 9, flags: SYN | ACK }),
    ],
    ['UDP', udpPacket(there, { sport: 9, dport: 80 }), udpPacket(back, { sport: 80, dport: 9 })],
    ['SCTP', sctp(there, 9, 80, 1), sctp(back, 80, 9, 2)],
    ['echo', echoPacket(there, 9), echoPacket(back, 9, new Uint8Array(8), true)],
  ];

  describe.each([
    [
      'a NetworkPolicy',
      [
        policy(
          'one-way',
          {
            podSelector: app('a'),
            policyTypes: ['Ingress', 'Egress'],
            ingress: [{ from: [{ namespaceSelector: named('y') }] }],
          },
          'x',
        ),
      ],
    ],
    [
      'a ClusterNetworkPolicy',
      [
        clusterPolicy('one-way', {
          tier: 'Admin',
          priority: 1,
          subject: { namespaces: named('x') },
          ingress: [{ action: 'Accept', from: [{ namespaces: named('y') }] }],
          egress: [{ action: 'Deny', to: [{ namespaces: {} }] }],
        }),
      ],
    ],
  ])('NetworkPolicy 15: under %s', (_, policies) => {
    it('NetworkPolicy 15: replies pass whatever the other direction is denied, and open nothing', async () => {
      for (const [name, opening, reply] of exchanges()) {
        const node = await start(...policies);
        expect(node.send('x/a', reply), `${name}, unasked`).toBe('policy-egress');
        const fresh = await start(...policies);
        expect(fresh.send('y/b', opening), name).toBe('forward');
        expect(fresh.send('x/a', reply), `${name}, reply`).toBe('forward');
        expect(fresh.send('y/b', opening), `${name}, again`).toBe('forward');
      }
    });

    it('NetworkPolicy 15: related ICMP errors pass with their connection, no others', async () => {
      const node = await start(...policies);
      const opening = udpPacket(there, { sport: 9, dport: 80 });
      expect(node.send('x/a', unreachable(back, opening))).toBe('policy-egress');
      expect(node.send('y/b', opening)).toBe('forward');
      expect(node.send('x/a', unreachable(back, opening))).toBe('forward');
      expect(node.send('x/a', unreachable(back, udpPacket(there, { sport: 10, dport: 80 })))).toBe(
        'policy-egress',
      );
    });
  });

  it('NetworkPolicy 16: the own node reaches its pods, and a pod itself, under deny of everything', async () => {
    const node = await start(closed);
    const own = { src: nodeAddress(family, 1), dst: at('x/a') };
    for (const packet of [tcpPacket(own, { dport: 80, flags: SYN }), udpPacket(own, {}), echoPacket(own)])
      expect(node.send('node', packet)).toBe('forward');
    expect(node.send('x/a', tcpPacket(between('x/a', 'x/a'), { dport: 80, flags: SYN }))).toBe('forward');
    expect(node.send('x/a', tcpPacket(between('x/a', 'x/b'), { dport: 80, flags: SYN }))).toBe(
      'policy-egress',
    );
  });

  it('NetworkPolicy 17: the own node is known by where a packet comes from, never by its source address', async () => {
    const node = await start(ingress([]));
    const forged = tcpPacket({ src: nodeAddress(family, 1), dst: at('x/a') }, { dport: 80, flags: SYN });
    expect(node.send('forward', forged)).toBe('policy-ingress');
    const foreign = tcpPacket({ src: outside(family), dst: at('x/a') }, { dport: 80, flags: SYN });
    expect(node.send('forward', foreign)).toBe('policy-ingress');
    expect(node.send('node', foreign)).toBe('forward');
  });

  it('NetworkPolicy 19: "too big" passes under deny of everything', async () => {
    const node = await start(closed);
    const quoted = udpPacket(back, { sport: 1, dport: 2 });
    expect(node.send('y/b', tooBig(there, quoted))).toBe('forward');
    expect(node.send('y/b', echoPacket(there))).toBe('policy-ingress');
  });

  it('NetworkPolicy 21: changed labels, namespaces and policies count at once, and a pod inherits nothing by its address', async () => {
    const open = ingress([
      { from: [{ namespaceSelector: { matchLabels: { team: 'blue' } }, podSelector: app('b') }] },
    ]);
    const ask = async (objects: readonly object[]) =>
      (await PacketNode.with(objects)).send('y/b', tcpPacket(there, { dport: 80, flags: SYN }));
    expect(await ask([...world(family), open])).toBe('forward');
    expect(await ask([...world(family, { 'y/b': { labels: { app: 'c' } } }), open])).toBe('policy-ingress');
    expect(await ask([...world(family, { 'x/a': { labels: { app: 'c' } } }), ingress([])])).toBe('forward');
    expect(await ask([...world(family), ingress([])])).toBe('policy-ingress');
    expect(await ask(world(family))).toBe('forward');
    const recoloured = world(family).map((object) =>
      'kind' in object && object.kind === 'Namespace'
        ? { ...object, metadata: { ...(object as ReturnType<typeof namespace>).metadata, labels: {} } }
        : object,
    );
    expect(await ask([...recoloured, open])).toBe('policy-ingress');
    // The address of y/b, which has ended, is that of a younger pod now.
    const ips = [at('y/b')];
    const reused = [
      ...world(family, { 'y/b': { ips, created: '2026-01-01T00:00:00Z', status: { phase: 'Succeeded' } } }),
      pod({ namespace: 'y', name: 'new', ips, created: '2026-01-02T00:00:00Z' }),
      open,
    ];
    const node = await PacketNode.with(reused);
    expect(node.send('y/new', tcpPacket(there, { dport: 80, flags: SYN }))).toBe('policy-ingress');
  });

  it('NetworkPolicy 22: established connections are judged again when policy changes', async () => {
    const opening = tcpPacket(there, { sport: 9, dport: 80, flags: SYN });
    const reply = tcpPacket(back, { sport: 80, dport: 9, flags: SYN | ACK });
    const more = tcpPacket(there, { sport: 9, dport: 80, flags: ACK });
    const before = await start();
    expect([before.send('y/b', opening), before.send('x/a', reply)]).toEqual(['forward', 'forward']);
    const shut = await PacketNode.with([...world(family), ingress([])], before);
    expect([shut.send('y/b', more), shut.send('x/a', reply)]).toEqual(['policy-ingress', 'policy-ingress']);
    const again = await PacketNode.with([...world(family), ingress([{ ports: [{ port: 80 }] }])], shut);
    expect([again.send('y/b', more), again.send('x/a', reply)]).toEqual(['forward', 'forward']);
  });

  it('NetworkPolicy 24: later fragments share the fate of the first', async () => {
    const fragments = (dport: number) => {
      const datagram = udp(there, { sport: 9, dport }, new Uint8Array(1200));
      return [0, 800].map((offset) => {
        const body = datagram.slice(offset, offset + 800);
        return family === 4
          ? ipv4({ ...there, protocol: 17, df: false, mf: offset === 0, offset, id: dport }, body)
          : ipv6({ ...there, protocol: 17, extensions: [fragmentHeader(offset, offset === 0, dport)] }, body);
      });
    };
    const node = await start(ingress([{ ports: [{ protocol: 'UDP', port: 80 }] }]));
    expect(fragments(80).map((packet) => node.send('y/b', packet))).toEqual(['forward', 'forward']);
    expect(fragments(81).map((packet) => node.send('y/b', packet))).toEqual([
      'policy-ingress',
      'policy-ingress',
    ]);
    const [, alone = new Uint8Array()] = fragments(82);
    expect(node.send('y/b', alone)).toBe('fragment-without-first');
  });
});
