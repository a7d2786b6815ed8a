// A full table under ten times its size of new flows: what is established stays.
import { describe, expect, it } from 'vitest';
import { CONTROL_SEED } from '../../../asm/layout/memory.ts';
import { STAT_FLOWS_CREATED, STAT_FLOWS_EVICTED } from '../../../asm/layout/tables.ts';
import { ACK, SYN, tcpPacket, udpPacket } from '../../support/packets.ts';
import { type ClusterOptions, fromPeer, fromPod, nodeOf, pod } from '../cluster.ts';
import { deny, type FrameIn, type TestNode } from '../harness.ts';

const BUCKETS = 256;
const CAPACITY = BUCKETS * 8;
const ESTABLISHED = 1000;
const TALKING = 100;
const BURST = 128;
/** Pod 2 may be asked nothing; pod 3 asks whatever it likes. */
const isolated: ClusterOptions = { ports: { 2: { ingress: { rows: [[deny(7)]] } } } };
const there = { src: pod(4, 1, 2), dst: pod(4, 2, 2) };
const back = { src: pod(4, 2, 2), dst: pod(4, 1, 2) };
const attack = { src: pod(4, 1, 3), dst: pod(4, 2, 3) };

const client = (port: number, flags: number) =>
  fromPod(
    1,
    2,
    tcpPacket(there, { sport: port, dport: 80, flags, seq: flags & SYN ? 0 : 1, ack: flags & SYN ? 0 : 1 }),
  );
const server = (port: number, flags: number) =>
  fromPeer(1, tcpPacket(back, { sport: 80, dport: port, flags, seq: flags & SYN ? 0 : 1 }));

/** The i-th packet of an attack, its ports all different. */
const floods: Readonly<Record<string, (i: number) => FrameIn>> = {
  'a flood of SYNs to one port': (i) =>
    fromPod(1, 3, tcpPacket(attack, { sport: 1024 + i, dport: 443, flags: SYN, seq: i, ack: 0 })),
  'a port scan': (i) =>
    fromPod(1, 3, tcpPacket(attack, { sport: 50000, dport: 1 + i, flags: SYN, seq: i, ack: 0 })),
  'a UDP scan': (i) => fromPod(1, 3, udpPacket(attack, { sport: 50001, dport: 1 + i })),
  'a flood of ACKs out of nowhere': (i) =>
    fromPod(
      1,
      3,
      tcpPacket(attack, { sport: 32768 + (i % 32000), dport: 1 + (i >> 14), flags: ACK, seq: i }),
    ),
};

function passed(node: TestNode, frames: readonly FrameIn[]): number {
  let n = 0;
  for (let i = 0; i < frames.length; i += BURST) {
    const { verdicts } = node.egress(...frames.slice(i, i + BURST));
    n += verdicts.Forward ?? 0;
  }
  return n;
}

function answered(
  node: TestNode,
  ports: readonly number[],
  packet: (port: number) => ReturnType<typeof server>,
) {
  let n = 0;
  for (let i = 0; i < ports.length; i += 16)
    n += node.ingress(...ports.slice(i, i + 16).map(packet)).verdicts.Forward ?? 0;
  return n;
}

describe.each([1, 0x5eed, 0xdeadbeef])('with hash seed %i', (seed) => {
  it.each(Object.entries(floods))('%s costs no established connection', { timeout: 60_000 }, (_, flood) => {
    const node = nodeOf(1, isolated, { flowBuckets: BUCKETS });
    node.view.setUint32(CONTROL_SEED, seed, true);
    const ports = Array.from({ length: ESTABLISHED }, (_, i) => 20_000 + i);
    const talking = Array.from({ length: TALKING }, (_, i) => 10_000 + i);
    const say = () => talking.map((port) => fromPod(1, 2, udpPacket(there, { sport: port, dport: 53 })));
    const hear = (port: number) => fromPeer(1, udpPacket(back, { sport: 53, dport: port }));
    expect(
      passed(
        node,
        ports.map((port) => client(port, SYN)),
      ),
    ).toBe(ESTABLISHED);
    expect(answered(node, ports, (port) => server(port, SYN | ACK))).toBe(ESTABLISHED);
    expect(
      passed(
        node,
        ports.map((port) => client(port, ACK)),
      ),
    ).toBe(ESTABLISHED);
    expect(passed(node, say())).toBe(TALKING);
    expect(answered(node, talking, hear)).toBe(TALKING);

    const before = node.stats();
    for (let i = 0; i < 10 * CAPACITY; i += BURST) {
      node.egress(...Array.from({ length: BURST }, (_, k) => flood(i + k)));
      // The whole of it takes a minute, in which UDP flows that are in use say something every few seconds.
      node.clock += Math.round((60_000 * BURST) / (10 * CAPACITY));
      if (i % (16 * BURST) === 0) expect(answered(node, talking, hear)).toBe(TALKING);
    }
    const after = node.stats();
    const more = (stat: number) => (after[stat] ?? 0) - (before[stat] ?? 0);
    expect(more(STAT_FLOWS_CREATED)).toBeGreaterThan(9 * CAPACITY);
    expect(more(STAT_FLOWS_EVICTED)).toBeGreaterThan(8 * CAPACITY);
    expect(node.wasm.flowsCount()).toBe(CAPACITY);

    expect(answered(node, ports, (port) => server(port, ACK))).toBe(ESTABLISHED);
    expect(
      passed(
        node,
        ports.map((port) => client(port, ACK)),
      ),
    ).toBe(ESTABLISHED);
    expect(answered(node, talking, hear)).toBe(TALKING);
    // And a new one finds its way in.
    expect(passed(node, [client(9, SYN)])).toBe(1);
    expect(answered(node, [9], (port) => server(port, SYN | ACK))).toBe(1);
  });
});
