// Policy: who may talk to whom, by class of the peer and class of the port (SEMANTICS, NetworkPolicy).
import { describe, expect, it } from 'vitest';
import { PORT_IS_PENDING } from '../../../asm/layout/tables.ts';
import {
  be,
  concat,
  echoPacket,
  icmp,
  icmp6,
  ipPacket,
  ipv4,
  ipv6,
  SYN,
  tcpPacket,
  udpPacket,
} from '../../support/packets.ts';
import { type ClusterOptions, fromPeer, fromPod, nodeOf, pod, tablesOf, underlay } from '../cluster.ts';
import { allow, deny, fate, type PolicySpec, type TestNode } from '../harness.ts';

const families = [4, 6] as const;
const closed: PolicySpec = { rows: [[deny(5)]] };
const send = (node: TestNode, packet: Uint8Array, port = 2) => fate(node.egress(fromPod(1, port, packet)));
const receive = (node: TestNode, packet: Uint8Array) => fate(node.ingress(fromPeer(1, packet)));

describe.each(families)('cells, IPv%i', (family) => {
  // Class 0: unknown, 1: pod 2 of the other node, 2: pod 3 of the other node, 3: a block of the world.
  const world = family === 4 ? '198.51.100' : '2001:db8:51:';
  const at = (last: number) => (family === 4 ? `${world}.${last}` : `${world}:${last}`);
  const spec: PolicySpec = {
    // Port classes: 0 others, 1 TCP 80 and 300, 2 UDP 53, 3 SCTP 7, 4 no ports.
    rows: [
      [deny(10), deny(11), deny(12), deny(13), deny(14)],
      [deny(20), allow(21), deny(22), deny(23), deny(24)],
      [deny(30), deny(31), allow(32), allow(33), allow(34)],
      [allow(40), deny(41), allow(42), deny(43), deny(44)],
    ],
    ports: [
      { protocol: 'tcp', port: 80, portClass: 1 },
      { protocol: 'tcp', port: 300, portClass: 1 },
      { protocol: 'udp', port: 53, portClass: 2 },
      { protocol: 'sctp', port: 7, portClass: 3 },
    ],
    other: 4,
  };
  const options: ClusterOptions = {
    identities: { [pod(family, 2, 2)]: 1, [pod(family, 2, 3)]: 2, [pod(family, 1, 3)]: 2 },
    cidrs: [{ prefix: family === 4 ? `${world}.0/24` : '2001:db8:51::/48', policyClass: 3 }],
  };
  const peers = [pod(family, 2, 9), pod(family, 2, 2), pod(family, 2, 3), at(1)];
  const sctp = (between: { src: string; dst: string }, port: number) =>
    ipPacket({ ...between, protocol: 132 }, concat(be(1234, 2), be(port, 2), be(0, 8)));
  const packets = (between: { src: string; dst: string }) =>
    ({
      'TCP 80': [tcpPacket(between, { dport: 80, flags: SYN }), 1],
      'TCP 300': [tcpPacket(between, { dport: 300, flags: SYN }), 1],
      'TCP 81': [tcpPacket(between, { dport: 81, flags: SYN }), 0],
      'TCP 53': [tcpPacket(between, { dport: 53, flags: SYN }), 0],
      'UDP 53': [udpPacket(between, { dport: 53 }), 2],
      'UDP 80': [udpPacket(between, { dport: 80 }), 0],
      'SCTP 7': [sctp(between, 7), 3],
      'SCTP 80': [sctp(between, 80), 0],
      echo: [echoPacket(between), 4],
      'protocol 47': [ipPacket({ ...between, protocol: 47 }, new Uint8Array(8)), 4],
    }) as Record<string, [Uint8Array, number]>;

  it('decide what a pod may send, and the drop is counted under its decision', () => {
    for (const [peerClass, peer] of peers.entries()) {
      for (const [name, [packet, portClass]] of Object.entries(
        packets({ src: pod(family, 1, 2), dst: peer }),
      )) {
        const node = nodeOf(1, { ...options, ports: { 2: { egress: spec } } });
        const cell = spec.rows[peerClass]?.[portClass] as number;
        const isAllowed = cell > 0xffff;
        expect(`${name} to ${peer}: ${send(node, packet)}`).toBe(
          `${name} to ${peer}: ${isAllowed ? 'Forward' : 'PolicyEgress'}`,
        );
        expect(node.decisionCounter(cell & 0xffff)).toBe(isAllowed ? 0 : 1);
      }
    }
  });

  it('decide what a pod may receive', () => {
    for (const [peerClass, peer] of peers.entries()) {
      for (const [name, [packet, portClass]] of Object.entries(
        packets({ src: peer, dst: pod(family, 1, 2) }),
      )) {
        const node = nodeOf(1, { ...options, ports: { 2: { ingress: spec } } });
        const cell = spec.rows[peerClass]?.[portClass] as number;
        const isAllowed = cell > 0xffff;
        // What comes from the world is forwarded by the kernel.
        const got = peerClass === 3 ? send(node, packet, 1) : receive(node, packet);
        expect(`${name} from ${peer}: ${got}`).toBe(
          `${name} from ${peer}: ${isAllowed ? 'Forward' : 'PolicyIngress'}`,
        );
        expect(node.decisionCounter(cell & 0xffff)).toBe(isAllowed ? 0 : 1);
      }
    }
  });

  it('NetworkPolicy 5: of both pods decide between two pods of one node', () => {
    const packet = udpPacket({ src: pod(family, 1, 2), dst: pod(family, 1, 3) }, { dport: 53 });
    const open: PolicySpec = { rows: [[allow(6)]] };
    const fates = (egress: PolicySpec, ingress: PolicySpec) =>
      send(nodeOf(1, { ports: { 2: { egress }, 3: { ingress } } }), packet);
    expect(fates(open, open)).toBe('Forward');
    expect(fates(closed, open)).toBe('PolicyEgress');
    expect(fates(open, closed)).toBe('PolicyIngress');
    expect(fates(closed, closed)).toBe('PolicyEgress');
    // The receiver's egress and the sender's ingress say nothing.
    expect(send(nodeOf(1, { ports: { 2: { ingress: closed }, 3: { egress: closed } } }), packet)).toBe(
      'Forward',
    );
  });

  it('of a class that the set does not know are those of class 0', () => {
    const rows = { rows: [[allow(1)], [deny(2)]] };
    const of = (identity: number) =>
      nodeOf(1, { identities: { [pod(family, 2, 2)]: identity }, ports: { 2: { ingress: rows } } });
    const packet = udpPacket({ src: pod(family, 2, 2), dst: pod(family, 1, 2) }, {});
    expect([0, 1, 2, 0xffffffff].map((identity) => receive(of(identity), packet))).toEqual([
      'Forward',
      'PolicyIngress',
      'Forward',
      'Forward',
    ]);
  });

  it('NetworkPolicy 12: of the longest block count', () => {
    const cidrs = [
      { prefix: family === 4 ? '0.0.0.0/0' : '::/0', policyClass: 1 },
      { prefix: family === 4 ? `${world}.0/24` : '2001:db8:51::/48', policyClass: 2 },
    ];
    const rows = { rows: [[deny(1)], [allow(2)], [deny(3)]] };
    const node = nodeOf(1, { cidrs, ports: { 2: { egress: rows } } });
    expect(send(node, udpPacket({ src: pod(family, 1, 2), dst: at(1) }, {}))).toBe('PolicyEgress');
    expect(
      send(node, udpPacket({ src: pod(family, 1, 2), dst: family === 4 ? '8.8.8.8' : '2600::1' }, {})),
    ).toBe('Forward');
    // A pod is what its identity says, whatever block it lies in.
    expect(send(node, udpPacket({ src: pod(family, 1, 2), dst: pod(family, 2, 2) }, {}))).toBe(
      'PolicyEgress',
    );
  });
});

describe.each(families)('the own node, IPv%i', (family) => {
  const both: ClusterOptions = { ports: { 2: { egress: closed, ingress: closed } } };
  const own = underlay(family, 1);

  it('NetworkPolicy 16: does not come between a pod and itself', () => {
    const packet = tcpPacket({ src: pod(family, 1, 2), dst: pod(family, 1, 2) }, { flags: SYN });
    expect(send(nodeOf(1, both), packet)).toBe('Forward');
    expect(send(nodeOf(1, both), tcpPacket({ src: pod(family, 1, 2), dst: pod(family, 1, 3) }, {}))).toBe(
      'PolicyEgress',
    );
  });

  it('NetworkPolicy 16: reaches its pods under any policy, and they it', () => {
    for (const node1 of [own, pod(family, 1, 1)]) {
      const node = nodeOf(1, both);
      expect(send(node, udpPacket({ src: node1, dst: pod(family, 1, 2) }, { sport: 1, dport: 2 }), 0)).toBe(
        'Forward',
      );
      expect(send(node, udpPacket({ src: pod(family, 1, 2), dst: node1 }, { sport: 2, dport: 1 }))).toBe(
        'Forward',
      );
      expect(send(node, udpPacket({ src: pod(family, 1, 2), dst: node1 }, { sport: 3, dport: 3 }))).toBe(
        'Forward',
      );
    }
  });

  it('NetworkPolicy 17: is known by where the packet came from, not by its source', () => {
    expect(send(nodeOf(1, both), udpPacket({ src: own, dst: pod(family, 1, 2) }, {}), 1)).toBe(
      'PolicyIngress',
    );
    expect(
      send(
        nodeOf(1, both),
        udpPacket({ src: family === 4 ? '8.8.8.8' : '2600::1', dst: pod(family, 1, 2) }, {}),
        0,
      ),
    ).toBe('Forward');
  });

  it('is judged by its own set where a pod sends to it', () => {
    const node = nodeOf(1, {
      cidrs: [{ prefix: `${own}/${family === 4 ? 32 : 128}`, policyClass: 1 }],
      ports: { 2: { toNode: { rows: [[allow(6)], [deny(7)]] } } },
    });
    expect(send(node, udpPacket({ src: pod(family, 1, 2), dst: own }, {}))).toBe('PolicyEgress');
    expect(node.decisionCounter(7)).toBe(1);
    expect(send(node, udpPacket({ src: pod(family, 1, 2), dst: underlay(family, 2) }, {}))).toBe('Forward');
    expect(send(node, udpPacket({ src: own, dst: pod(family, 1, 2) }, { sport: 1, dport: 2 }), 0)).toBe(
      'Forward',
    );
    // The answer belongs to the node's question.
    expect(send(node, udpPacket({ src: pod(family, 1, 2), dst: own }, { sport: 2, dport: 1 }))).toBe(
      'Forward',
    );
  });

  it('NetworkPolicy 18: is not another node: its address is judged as a block', () => {
    const node = nodeOf(1, both);
    expect(receive(node, udpPacket({ src: underlay(family, 2), dst: pod(family, 1, 2) }, {}))).toBe(
      'PolicyIngress',
    );
    expect(send(node, udpPacket({ src: pod(family, 1, 2), dst: underlay(family, 2) }, {}))).toBe(
      'PolicyEgress',
    );
    const prefix = `${underlay(family, 2)}/${family === 4 ? 32 : 128}`;
    const named = nodeOf(1, {
      cidrs: [{ prefix, policyClass: 1 }],
      identities: { [underlay(family, 2)]: 0 },
      ports: { 2: { ingress: { rows: [[deny(1)], [allow(2)]] } } },
    });
    expect(receive(named, udpPacket({ src: underlay(family, 2), dst: pod(family, 1, 2) }, {}))).toBe(
      'Forward',
    );
  });
});

describe.each(families)('a pod whose policies are not known yet, IPv%i', (family) => {
  const options: ClusterOptions = { ports: { 2: { flags: PORT_IS_PENDING } } };

  it('NetworkPolicy 20: neither sends nor receives', () => {
    const node = nodeOf(1, options);
    expect(send(node, udpPacket({ src: pod(family, 1, 2), dst: pod(family, 2, 2) }, {}))).toBe(
      'PolicyPending',
    );
    expect(send(node, udpPacket({ src: pod(family, 1, 3), dst: pod(family, 1, 2) }, {}), 3)).toBe(
      'PolicyPending',
    );
    expect(send(node, udpPacket({ src: underlay(family, 1), dst: pod(family, 1, 2) }, {}), 0)).toBe(
      'PolicyPending',
    );
    expect(receive(node, udpPacket({ src: pod(family, 2, 2), dst: pod(family, 1, 2) }, {}))).toBe(
      'PolicyPending',
    );
    expect(send(node, udpPacket({ src: pod(family, 1, 3), dst: pod(family, 2, 2) }, {}), 3)).toBe('Forward');
  });
});

describe.each(families)('ICMP errors under deny-all, IPv%i', (family) => {
  const options: ClusterOptions = { ports: { 2: { egress: closed, ingress: closed }, 3: {} } };
  const back = { src: pod(family, 2, 2), dst: pod(family, 1, 2) };
  const error = (type: number, code: number, quoted: Uint8Array, between = back, quote = 200) =>
    family === 4
      ? ipv4({ ...between, protocol: 1 }, icmp(type, code, be(1400, 4), quoted.slice(0, quote)))
      : ipv6({ ...between, protocol: 58 }, icmp6(between, type, code, be(1400, 4), quoted.slice(0, quote)));
  const [unreachable, portCode] = family === 4 ? [3, 3] : [1, 4];
  const tooBig = (quoted: Uint8Array) => (family === 4 ? error(3, 4, quoted) : error(2, 0, quoted));

  /** A node on which pod 2 was asked something by its node, and answered: the only flow that is admitted. */
  function withFlow() {
    const node = nodeOf(1, {
      ports: { 2: { egress: { rows: [[deny(5)], [allow(6)]] }, ingress: closed } },
      identities: { [pod(family, 2, 2)]: 1 },
    });
    const packet = udpPacket({ src: pod(family, 1, 2), dst: pod(family, 2, 2) }, { sport: 9, dport: 10 });
    expect(send(node, packet)).toBe('Forward');
    return { node, packet };
  }

  it('NetworkPolicy 19: too big always passes', () => {
    const other = udpPacket({ src: pod(family, 1, 2), dst: pod(family, 2, 2) }, { sport: 1, dport: 1 });
    expect(receive(nodeOf(1, options), tooBig(other))).toBe('Forward');
  });

  it('NetworkPolicy 15: pass where they speak of an admitted connection', () => {
    const { node, packet } = withFlow();
    expect(receive(node, error(unreachable, portCode, packet))).toBe('Forward');
    // From a router on the way, too.
    expect(receive(node, error(unreachable, portCode, packet, { ...back, src: underlay(family, 2) }))).toBe(
      'Forward',
    );
  });

  it('are judged as any packet where they do not', () => {
    const { node, packet } = withFlow();
    const unknown = udpPacket({ src: pod(family, 1, 2), dst: pod(family, 2, 2) }, { sport: 9, dport: 11 });
    expect(receive(node, error(unreachable, portCode, unknown))).toBe('PolicyIngress');
    for (let quote = 0; quote < (family === 4 ? 24 : 48); quote++) {
      expect(receive(node, error(unreachable, portCode, packet, back, quote))).toBe('PolicyIngress');
    }
  });

  it('are judged where they speak of a connection of somebody else', () => {
    const node = nodeOf(1, { ports: { 2: { ingress: closed } } });
    const others = udpPacket({ src: pod(family, 1, 3), dst: pod(family, 2, 2) }, { sport: 9, dport: 10 });
    expect(send(node, others, 3)).toBe('Forward');
    expect(receive(node, error(unreachable, portCode, others))).toBe('PolicyIngress');
    expect(receive(node, error(unreachable, portCode, others, { ...back, dst: pod(family, 1, 3) }))).toBe(
      'Forward',
    );
  });

  it('are judged where they speak of a connection that policy has cut', () => {
    const node = nodeOf(1);
    const packet = udpPacket({ src: pod(family, 1, 2), dst: pod(family, 2, 2) }, { sport: 9, dport: 10 });
    expect(send(node, packet)).toBe('Forward');
    node.publish(tablesOf(1, options));
    expect(send(node, packet)).toBe('PolicyEgress');
    expect(receive(node, error(unreachable, portCode, packet))).toBe('PolicyIngress');
  });

  it('make no connection', () => {
    const { node, packet } = withFlow();
    const before = node.wasm.flowsCount();
    receive(node, error(unreachable, portCode, packet));
    receive(node, tooBig(packet));
    expect(node.wasm.flowsCount()).toBe(before);
  });
});
