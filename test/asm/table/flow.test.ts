// Connections: replies, time, full buckets, restarts.
import { describe, expect, it } from 'vitest';
import { CONTROL_FLOWS, CONTROL_SEED } from '../../../asm/layout/memory.ts';
import {
  PORT_POD,
  STAT_FLOW_HITS,
  STAT_FLOWS_CREATED,
  STAT_FLOWS_EVICTED,
  STAT_FLOWS_REFUSED,
} from '../../../asm/layout/tables.ts';
import { ACK, echoPacket, FIN, ipPacket, RST, SYN, tcpPacket, udpPacket } from '../../support/packets.ts';
import {
  type ClusterOptions,
  fromPeer,
  fromPod,
  nodeOf,
  pod,
  portMac,
  sockets,
  tablesOf,
  underlay,
} from '../cluster.ts';
import { allow, deny, fate, type PolicySpec, TestNode } from '../harness.ts';

const families = [4, 6] as const;
const closed: PolicySpec = { rows: [[deny(7)]] };
const open: PolicySpec = { rows: [[allow(8)]] };
/** Nobody may connect to pod 2 of node 1. */
const isolated: ClusterOptions = { ports: { 2: { ingress: closed } } };

const there = (family: 4 | 6) => ({ src: pod(family, 1, 2), dst: pod(family, 2, 2) });
const back = (family: 4 | 6) => ({ src: pod(family, 2, 2), dst: pod(family, 1, 2) });
/** A segment of a connection whose sides begin with sequence number 0 and then say nothing. */
const tcp = (direction: 'there' | 'back', flags: number, port = 40000, family: 4 | 6 = 4) => {
  const ack = flags === SYN ? 0 : 1;
  const seq = flags & SYN ? 0 : 1;
  return direction === 'there'
    ? tcpPacket(there(family), { sport: port, dport: 80, flags, seq, ack })
    : tcpPacket(back(family), { sport: 80, dport: port, flags, seq, ack });
};
const other = (direction: 'there' | 'back') =>
  ipPacket({ ...(direction === 'there' ? there(4) : back(4)), protocol: 47 }, new Uint8Array(8));
const udp = (direction: 'there' | 'back', port = 40000, family: 4 | 6 = 4) =>
  direction === 'there'
    ? udpPacket(there(family), { sport: port, dport: 53 })
    : udpPacket(back(family), { sport: 53, dport: port });

const send = (node: TestNode, packet: Uint8Array, port = 2) => fate(node.egress(fromPod(1, port, packet)));
const receive = (node: TestNode, packet: Uint8Array) => fate(node.ingress(fromPeer(1, packet)));

describe.each(families)('a reply, IPv%i', (family) => {
  it('NetworkPolicy 15: passes where a connection of the peer’s would not', () => {
    const node = nodeOf(1, isolated);
    expect(receive(node, tcp('back', SYN, 40000, family))).toBe('PolicyIngress');
    expect(receive(node, tcp('back', SYN | ACK, 40000, family))).toBe('PolicyIngress');
    expect(send(node, tcp('there', SYN, 40000, family))).toBe('Forward');
    expect(receive(node, tcp('back', SYN | ACK, 40000, family))).toBe('Forward');
    expect(receive(node, tcp('back', ACK, 40001, family))).toBe('PolicyIngress');
    expect(send(node, udp('there', 1, family))).toBe('Forward');
    expect(receive(node, udp('back', 1, family))).toBe('Forward');
    expect(receive(node, udp('back', 2, family))).toBe('PolicyIngress');
  });

  it('NetworkPolicy 15: to an echo passes by its identifier', () => {
    const node = nodeOf(1, isolated);
    expect(send(node, echoPacket(there(family), 77))).toBe('Forward');
    expect(receive(node, echoPacket(back(family), 77, new Uint8Array(8), true))).toBe('Forward');
    expect(receive(node, echoPacket(back(family), 78, new Uint8Array(8), true))).toBe('PolicyIngress');
  });
});

describe('an established flow', () => {
  it('costs one look-up: its way out stands in it', () => {
    const node = nodeOf(1, isolated);
    expect(node.egress(fromPod(1, 2, tcp('there', SYN))).stats[STAT_FLOWS_CREATED]).toBe(1);
    const { stats } = node.egress(fromPod(1, 2, tcp('there', ACK)));
    expect(stats[STAT_FLOW_HITS]).toBe(1);
    expect(stats[STAT_FLOWS_CREATED]).toBeUndefined();
    expect(node.wasm.flowsCount()).toBe(1);
  });

  it('NetworkPolicy 22: is judged again after the tables change, and again when they change back', () => {
    const node = nodeOf(1);
    expect(receive(node, tcp('back', SYN))).toBe('Forward');
    expect(send(node, tcp('there', SYN | ACK))).toBe('Forward');
    node.publish(tablesOf(1, isolated));
    expect(receive(node, tcp('back', ACK))).toBe('PolicyIngress');
    // Its replies, too: the connection is cut, not one direction of it.
    expect(send(node, tcp('there', ACK))).toBe('PolicyIngress');
    expect(node.decisionCounter(7)).toBe(2);
    node.publish(tablesOf(1));
    expect(receive(node, tcp('back', ACK))).toBe('Forward');
    expect(send(node, tcp('there', ACK))).toBe('Forward');
  });

  it('finds its new way when the tables change', () => {
    const node = nodeOf(1);
    const local = tcpPacket({ src: pod(4, 1, 2), dst: pod(4, 1, 3) }, { flags: SYN });
    expect(node.egress(fromPod(1, 2, local)).messages[0]?.slot).toBe(3);
    const tables = tablesOf(1);
    const moved = tables.endpoints.filter((one) => one.address !== pod(4, 1, 3));
    node.publish({ ...tables, endpoints: [...moved, { address: pod(4, 1, 3), tunnel: 0 }] });
    expect(node.egress(fromPod(1, 2, local)).messages[0]?.tunnel).toBe(0);
  });
});

it('the way back is found anew, too, when the tables change', () => {
  const node = nodeOf(1);
  const there = tcpPacket({ src: pod(4, 1, 2), dst: pod(4, 1, 3) }, { flags: SYN });
  const reply = tcpPacket(
    { src: pod(4, 1, 3), dst: pod(4, 1, 2) },
    { sport: 80, dport: 40000, flags: SYN | ACK },
  );
  expect(node.egress(fromPod(1, 2, there)).messages[0]?.slot).toBe(3);
  expect(node.egress(fromPod(1, 3, reply)).messages[0]?.slot).toBe(2);
  const tables = tablesOf(1);
  const others = tables.endpoints.filter((one) => one.address !== pod(4, 1, 2));
  node.publish({
    ...tables,
    endpoints: [...others, { address: pod(4, 1, 2), port: 4, mac: portMac(1, 4) }],
    ports: { ...tables.ports, 4: { kind: PORT_POD, mac: portMac(1, 4) } },
  });
  expect(node.egress(fromPod(1, 4, there)).messages[0]?.slot).toBe(3);
  expect(node.egress(fromPod(1, 3, reply)).messages[0]?.slot).toBe(4);
});

describe('time', () => {
  const handshake = [tcp('there', SYN), tcp('back', SYN | ACK), tcp('there', ACK)];
  // Linux' defaults, Documentation/networking/nf_conntrack-sysctl.rst.
  it.each([
    ['UDP without an answer', 30_000, [udp('there')], udp('back')],
    ['UDP with answers', 120_000, [udp('there'), udp('back')], udp('back')],
    ['an echo', 30_000, [echoPacket(there(4), 5)], echoPacket(back(4), 5, new Uint8Array(8), true)],
    ['another protocol', 600_000, [other('there')], other('back')],
    ['a SYN', 120_000, [tcp('there', SYN)], tcp('back', SYN | ACK)],
    ['a SYN+ACK', 60_000, handshake.slice(0, 2), tcp('back', SYN | ACK)],
    ['an established TCP connection', 432_000_000, handshake, tcp('back', ACK)],
    ['a TCP connection after FIN', 120_000, [...handshake, tcp('there', FIN | ACK)], tcp('back', ACK)],
    ['a TCP connection after RST', 10_000, [...handshake, tcp('back', RST | ACK)], tcp('back', ACK)],
    ['a refused TCP connection', 10_000, [tcp('there', SYN), tcp('back', RST | ACK)], tcp('back', ACK)],
  ] as const)('%s is remembered %i ms and no longer', (_, milliseconds, packets, last) => {
    for (const [wait, expected] of [
      [milliseconds, 'Forward'],
      [milliseconds + 1, 'PolicyIngress'],
    ] as const) {
      const node = nodeOf(1, isolated);
      for (const packet of packets) {
        const isBack = packet.slice(12, 16).join() === pod(4, 2, 2).split('.').join();
        expect(isBack ? receive(node, packet) : send(node, packet)).toBe('Forward');
      }
      node.clock += wait;
      expect(receive(node, last)).toBe(expected);
    }
  });

  it('goes on over the end of 32 bits', () => {
    const node = nodeOf(1, isolated);
    node.clock = 2 ** 32 - 10;
    expect(send(node, udp('there'))).toBe('Forward');
    node.clock = 15_000;
    expect(receive(node, udp('back'))).toBe('Forward');
    node.clock = 15_000 + 120_001;
    expect(receive(node, udp('back'))).toBe('PolicyIngress');
  });
});

describe('ports that are used anew', () => {
  it('after a close: whoever sends SYN now is the originator', () => {
    const node = nodeOf(1, isolated);
    expect(send(node, tcp('there', SYN))).toBe('Forward');
    expect(receive(node, tcp('back', RST | ACK))).toBe('Forward');
    expect(receive(node, tcpPacket(back(4), { sport: 80, dport: 40000, flags: SYN }))).toBe('PolicyIngress');
  });

  it('by the node after a pod has used them: the pod’s answer passes', () => {
    const node = nodeOf(1, isolated);
    const [own, other] = [underlay(4, 1), pod(4, 1, 2)];
    const fromNode = (flags: number) =>
      tcpPacket({ src: own, dst: other }, { sport: 5000, dport: 6000, flags });
    const fromThePod = (flags: number) =>
      tcpPacket({ src: other, dst: own }, { sport: 6000, dport: 5000, flags });
    expect(send(node, fromThePod(SYN))).toBe('Forward');
    expect(send(node, fromNode(SYN | ACK), 0)).toBe('Forward');
    expect(send(node, fromThePod(FIN | ACK))).toBe('Forward');
    expect(send(node, fromNode(SYN), 0)).toBe('Forward');
    expect(send(node, fromThePod(SYN | ACK))).toBe('Forward');
  });

  it('NetworkPolicy 17: by what the kernel forwards after the node has used them: policy holds', () => {
    const node = nodeOf(1, isolated);
    const syn = tcpPacket(
      { src: underlay(4, 1), dst: pod(4, 1, 2) },
      { sport: 5000, dport: 6000, flags: SYN },
    );
    const fin = tcpPacket(
      { src: underlay(4, 1), dst: pod(4, 1, 2) },
      { sport: 5000, dport: 6000, flags: FIN | ACK },
    );
    expect(send(node, syn, 1)).toBe('PolicyIngress');
    expect(send(node, syn, 0)).toBe('Forward');
    expect(send(node, fin, 0)).toBe('Forward');
    expect(send(node, syn, 1)).toBe('PolicyIngress');
  });
});

describe('a full bucket', () => {
  const fill = (node: TestNode, established: boolean) => {
    for (let port = 1; port <= 8; port++) {
      expect(send(node, tcp('there', SYN, port))).toBe('Forward');
      if (established) {
        expect(receive(node, tcp('back', SYN | ACK, port))).toBe('Forward');
        expect(send(node, tcp('there', ACK, port))).toBe('Forward');
      }
      node.clock += 10;
    }
  };

  it('keeps its established TCP connections: a new one whose answer policy would refuse is dropped by name', () => {
    const node = nodeOf(1, isolated, { flowBuckets: 1 });
    fill(node, true);
    const { stats, verdicts } = node.egress(fromPod(1, 2, tcp('there', SYN, 99)));
    expect(verdicts).toEqual({ ConnectionTableFull: 1 });
    expect(stats[STAT_FLOWS_REFUSED]).toBe(1);
    for (let port = 1; port <= 8; port++) expect(receive(node, tcp('back', ACK, port))).toBe('Forward');
  });

  it('carries a new one without an entry where its answer needs none', () => {
    const node = nodeOf(1, {}, { flowBuckets: 1 });
    fill(node, true);
    const { stats, verdicts } = node.egress(fromPod(1, 2, tcp('there', SYN, 99)));
    expect(verdicts).toEqual({ Forward: 1 });
    expect(stats[STAT_FLOWS_REFUSED]).toBe(1);
    expect(receive(node, tcp('back', SYN | ACK, 99))).toBe('Forward');
    for (let port = 1; port <= 8; port++) expect(receive(node, tcp('back', ACK, port))).toBe('Forward');
    expect(node.wasm.flowsCount()).toBe(8);
  });

  it('gives no established UDP flow up that is in use, and the most silent of the others', () => {
    const node = nodeOf(1, isolated, { flowBuckets: 1 });
    for (let port = 1; port <= 8; port++) {
      expect(send(node, udp('there', port))).toBe('Forward');
      expect(receive(node, udp('back', port))).toBe('Forward');
      node.clock += 10;
    }
    expect(send(node, udp('there', 99))).toBe('ConnectionTableFull');
    node.clock += 10_000;
    for (const port of [1, 2, 4, 5, 6, 7, 8]) expect(receive(node, udp('back', port))).toBe('Forward');
    expect(send(node, udp('there', 99))).toBe('Forward');
    expect(receive(node, udp('back', 3))).toBe('PolicyIngress');
    for (const port of [1, 2, 4, 5, 6, 7, 8]) expect(receive(node, udp('back', port))).toBe('Forward');
  });

  it('gives up the oldest that never was answered', () => {
    const node = nodeOf(1, isolated, { flowBuckets: 1 });
    fill(node, false);
    expect(receive(node, tcp('back', SYN | ACK, 1))).toBe('Forward');
    expect(node.egress(fromPod(1, 2, tcp('there', SYN, 99))).stats[STAT_FLOWS_EVICTED]).toBe(1);
    expect(receive(node, tcp('back', SYN | ACK, 99))).toBe('Forward');
    expect(receive(node, tcp('back', SYN | ACK, 2))).toBe('PolicyIngress');
    for (const port of [1, 3, 4, 5, 6, 7, 8])
      expect(receive(node, tcp('back', SYN | ACK, port))).toBe('Forward');
  });

  it('gives up one that has expired before all others', () => {
    const node = nodeOf(1, isolated, { flowBuckets: 1 });
    fill(node, true);
    node.clock += 432_000_001;
    for (let port = 2; port <= 8; port++) expect(send(node, tcp('there', SYN, port))).toBe('Forward');
    expect(send(node, tcp('there', SYN, 99))).toBe('Forward');
    expect(receive(node, tcp('back', SYN | ACK, 99))).toBe('Forward');
    expect(node.wasm.flowsCount()).toBe(8);
  });
});

describe('a restarted daemon', () => {
  const restarted = (before: TestNode, options: ClusterOptions) => {
    const after = new TestNode(null, { successorOf: before });
    sockets(after);
    const epoch = after.epoch;
    after.publish(tablesOf(1, options));
    return { after, epoch };
  };

  it('goes on with the flows, the seed and the epoch of the one before', () => {
    const before = nodeOf(1, isolated);
    before.publish(tablesOf(1, isolated));
    expect(send(before, tcp('there', SYN))).toBe('Forward');
    expect(receive(before, tcp('back', SYN | ACK))).toBe('Forward');
    const { after, epoch } = restarted(before, isolated);
    expect(after.flowsKept).toBe(true);
    expect(epoch).toBe(before.epoch);
    expect(after.view.getUint32(CONTROL_SEED, true)).toBe(before.view.getUint32(CONTROL_SEED, true));
    expect(after.wasm.flowsCount()).toBe(1);
    expect(receive(after, tcp('back', ACK))).toBe('Forward');
    expect(receive(after, tcp('back', ACK, 40001))).toBe('PolicyIngress');
  });

  it('judges them under its own tables', () => {
    const before = nodeOf(1);
    expect(receive(before, tcp('back', SYN))).toBe('Forward');
    const { after } = restarted(before, isolated);
    expect(receive(after, tcp('back', ACK))).toBe('PolicyIngress');
  });

  it('frees an entry that the one before was writing when it was killed', () => {
    const before = nodeOf(1, isolated);
    expect(send(before, tcp('there', SYN))).toBe('Forward');
    const flows = before.view.getUint32(CONTROL_FLOWS, true) + 4096;
    let tag = flows;
    while (before.view.getUint32(tag, true) === 0) tag += 4;
    before.view.setUint32(tag, 0xffffffff, true);
    const { after } = restarted(before, isolated);
    expect(after.wasm.flowsCount()).toBe(0);
    expect(send(after, tcp('there', SYN))).toBe('Forward');
    expect(receive(after, tcp('back', SYN | ACK))).toBe('Forward');
  });

  it('begins anew where the region is of another layout', () => {
    const before = nodeOf(1, isolated);
    expect(send(before, tcp('there', SYN))).toBe('Forward');
    const flows = before.view.getUint32(CONTROL_FLOWS, true);
    before.view.setUint32(flows + 4, 99, true);
    const { after } = restarted(before, isolated);
    expect(after.flowsKept).toBe(false);
    expect(after.wasm.flowsCount()).toBe(0);
    expect(after.view.getUint32(flows + 24, true)).toBe(1);
  });
});

it('a pod that may send nothing gets an answer to what it was asked', () => {
  const node = nodeOf(1, { ports: { 2: { egress: closed, ingress: open } } });
  expect(send(node, udp('there'))).toBe('PolicyEgress');
  expect(receive(node, udp('back', 41))).toBe('Forward');
  expect(send(node, udp('there', 41))).toBe('Forward');
});
