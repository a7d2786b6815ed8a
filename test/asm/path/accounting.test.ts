// Whatever comes in: no trap, every packet one fate, every message within the worker's arenas (the harness checks each
// burst), and work that is bounded.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DATAGRAM_HEADROOM,
  FIRST_SOCKET_SLOT,
  MAX_DATAGRAM,
  MAX_SOCKETS,
  WORKER_DATAGRAM_ARENA,
  WORKER_DATAGRAM_ARENA_END,
  WORKER_FRAME_ARENA,
  WORKER_FRAME_ARENA_END,
  WORKERS,
} from '../../../asm/layout/memory.ts';
import { STAT_RECEIVED } from '../../../asm/layout/tables.ts';
import {
  ACK,
  arp,
  concat,
  echoPacket,
  ethernet,
  fragmentHeader,
  geneve,
  geneveOption,
  hex,
  icmp,
  ipv4,
  ipv6,
  neighborSolicitation,
  tcpPacket,
  udpPacket,
  vnet,
  vxlan,
} from '../../support/packets.ts';
import {
  type Encapsulation,
  fromPeer,
  fromPod,
  GATEWAY4,
  GATEWAY6,
  GENEVE_SLOT,
  IPIP4_SLOT,
  IPIP6_4_SLOT,
  IPIP6_6_SLOT,
  nodeOf,
  pod,
  portMac,
  routerMac,
  tunnelled,
  underlay,
  VNI,
  VXLAN_SLOT,
} from '../cluster.ts';
import { type DatagramIn, type FrameIn, TestNode } from '../harness.ts';

const payload = Uint8Array.from({ length: 90 }, (_, i) => i);
const frameTo = { dst: routerMac(1), src: portMac(1, 2) };

const inner = (src: (family: 4 | 6) => string, dst: (family: 4 | 6) => string): Uint8Array[] =>
  ([4, 6] as const).flatMap((family) => {
    const between = { src: src(family), dst: dst(family) };
    return [
      tcpPacket(between, { flags: ACK, options: new Uint8Array(12).fill(1) }, payload),
      udpPacket({ ...between, df: false, id: 9 }, {}, payload),
      echoPacket(between),
      ...(family === 4
        ? [
            ipv4(
              { ...between, df: false, mf: true, id: 3 },
              udpPacket(between, { length: 300 }, new Uint8Array(72)).slice(20),
            ),
            ipv4(
              { ...between, protocol: 1 },
              icmp(3, 3, new Uint8Array(4), udpPacket({ src: between.dst, dst: between.src }, {})),
            ),
            udpPacket({ ...between, options: new Uint8Array(8).fill(1) }, {}, payload),
          ]
        : [
            ipv6(
              {
                ...between,
                extensions: [{ type: 60, bytes: new Uint8Array(8) }, fragmentHeader(0, false, 1)],
              },
              udpPacket(between, {}, payload).slice(40),
            ),
          ]),
    ];
  });

const fromPods = [
  ...inner(
    (family) => pod(family, 1, 2),
    (family) => pod(family, 2, 2),
  ),
  ...inner(
    (family) => pod(family, 1, 2),
    (family) => pod(family, 1, 3),
  ),
  neighborSolicitation({ src: pod(6, 1, 2), dst: 'ff02::1:ff00:1' }, GATEWAY6, portMac(1, 2)),
].map((packet) => ethernet(frameTo, packet));
const validFrames = [
  ...fromPods,
  ethernet(
    { ...frameTo, type: 0x0806 },
    arp({ operation: 1, senderMac: portMac(1, 2), senderIp: pod(4, 1, 2), targetIp: GATEWAY4 }),
  ),
  ethernet({ ...frameTo, vlans: [3] }, tcpPacket({ src: pod(4, 1, 2), dst: pod(4, 2, 2) }, {})),
];
const fromPeers = inner(
  (family) => pod(family, 2, 2),
  (family) => pod(family, 1, 2),
);
const validDatagrams = (['vxlan', 'geneve', 'geneve-ip', 'ipip'] as Encapsulation[]).flatMap(
  (encapsulation) =>
    ([4, 6] as const).flatMap((family) =>
      fromPeers.map((packet) => tunnelled(1, packet, { encapsulation, underlay: family })),
    ),
);
const withOptions = geneve(
  { vni: VNI, options: concat(geneveOption(1, 2, new Uint8Array(8)), geneveOption(3, 4, new Uint8Array())) },
  ethernet({ dst: routerMac(1), src: routerMac(2) }, fromPeers[0] as Uint8Array),
);

/** A valid one with some bytes changed, cut or lengthened. */
const mutated = (list: readonly Uint8Array[]) =>
  fc
    .record({
      bytes: fc.constantFrom(...list),
      changes: fc.array(
        fc.record({ at: fc.nat(160), value: fc.oneof(fc.constantFrom(0, 0xff, 0x45, 0x80), fc.nat(255)) }),
        { maxLength: 4 },
      ),
      cut: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(120) }),
      tail: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(3000) }),
    })
    .map(({ bytes, changes, cut, tail }) => {
      const copy = bytes.slice(0, Math.max(0, bytes.length - cut));
      for (const { at, value } of changes) if (at < copy.length) copy[at] = value;
      return concat(copy, new Uint8Array(tail).fill(0x5a));
    });

const word = fc.oneof(fc.constantFrom(0, 1, 16, 20, 34, 54, 0xffff, 0x8000), fc.nat(0xffff));
const vnetHeader = fc.oneof(
  fc.constant(vnet()),
  fc
    .record({
      flags: fc.nat(3),
      gsoType: fc.constantFrom(0, 1, 3, 4, 5, 0x81, 0x85),
      gsoSize: word,
      start: word,
      offset: fc.constantFrom(2, 6, 16, 0xffff),
      headerLength: word,
    })
    .map(vnet),
);
const port = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(0, 1, 2, 3) },
  { weight: 1, arbitrary: fc.nat(0xffff) },
);
const frame: fc.Arbitrary<FrameIn> = fc.record({
  port,
  frame: fc.oneof(
    { weight: 5, arbitrary: mutated(validFrames) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  ),
  vnet: vnetHeader,
});

const slot = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(VXLAN_SLOT, GENEVE_SLOT, IPIP4_SLOT, IPIP6_4_SLOT, IPIP6_6_SLOT) },
  { weight: 1, arbitrary: fc.integer({ min: FIRST_SOCKET_SLOT, max: FIRST_SOCKET_SLOT + MAX_SOCKETS - 1 }) },
);
const source = fc.constantFrom(underlay(4, 2), underlay(4, 2), underlay(6, 2), '192.0.2.99');
const segment = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 300 }) },
);
const datagram: fc.Arbitrary<DatagramIn> = fc.record({
  slot,
  source,
  segment,
  tos: fc.nat(255),
  flags: fc.constantFrom(0, 0, 0, 0, 1),
  bytes: fc.oneof(
    { weight: 5, arbitrary: mutated([...validDatagrams, withOptions]) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  ),
});

const encapsulations = ['vxlan', 'geneve', 'geneve-ip', 'ipip'] as const;
const nodes = encapsulations.flatMap((encapsulation) =>
  ([4, 6] as const).map((family) =>
    nodeOf(1, { encapsulation, underlay: family, tunnelMtu: 1280 }, { flowBuckets: 2 }),
  ),
);
const aNode = fc.constantFrom(...nodes.keys());
const nodeAt = (i: number) => nodes[i] as TestNode;

describe('received = forwarded + consumed + dropped', () => {
  it('of random and mutated frames', () => {
    fc.assert(
      fc.property(
        aNode,
        fc.array(frame, { minLength: 1, maxLength: 20 }),
        fc.nat(40_000),
        (i, frames, pause) => {
          const node = nodeAt(i);
          node.clock += pause;
          expect(node.egress(...frames).stats[STAT_RECEIVED]).toBe(frames.length);
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('of random and mutated datagrams, merged or not', () => {
    fc.assert(
      fc.property(
        aNode,
        fc.array(datagram, { minLength: 1, maxLength: 16 }),
        fc.nat(40_000),
        (i, datagrams, pause) => {
          const node = nodeAt(i);
          node.clock += pause;
          const count = datagrams.reduce(
            (sum, one) => sum + Math.max(1, one.segment ? Math.ceil(one.bytes.length / one.segment) : 1),
            0,
          );
          expect(node.ingress(...datagrams).stats[STAT_RECEIVED]).toBe(count);
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('of superframes with every size', () => {
    const size = fc.oneof(fc.constantFrom(1, 2, 7, 8, 1240, 1241, 0xffff), fc.integer({ min: 1, max: 2000 }));
    const one = fc
      .record({
        family: fc.constantFrom<4 | 6>(4, 6),
        isTcp: fc.boolean(),
        bytes: fc.nat(9000),
        gsoSize: size,
        dst: fc.constantFrom(1, 2),
      })
      .map(({ family, isTcp, bytes, gsoSize, dst }): FrameIn => {
        const between = { src: pod(family, 1, 2), dst: pod(family, dst, 3) };
        const start = family === 4 ? 34 : 54;
        const body = new Uint8Array(bytes);
        return isTcp
          ? fromPod(
              1,
              2,
              tcpPacket(between, { checksum: 0 }, body),
              vnet({ flags: 1, gsoType: family === 4 ? 1 : 4, gsoSize, start, offset: 16 }),
            )
          : fromPod(
              1,
              2,
              udpPacket(between, { checksum: 0 }, body),
              vnet({ flags: 1, gsoType: 5, gsoSize, start, offset: 6 }),
            );
      });
    fc.assert(
      fc.property(aNode, fc.array(one, { minLength: 1, maxLength: 30 }), (i, frames) => {
        const { verdicts } = nodeAt(i).egress(...frames);
        for (const name of Object.keys(verdicts))
          expect(['Forward', 'MtuExceeded', 'BurstFull']).toContain(name);
      }),
      { numRuns: 60 },
    );
  });
});

describe('descriptors that lie within the arena', () => {
  const anywhere = (from: number, to: number) =>
    fc
      .tuple(fc.nat(to - from), fc.nat(to - from))
      .map(([a, b]) => ({ offset: from + Math.min(a, b), length: Math.abs(a - b) }));

  it('never lead out of it: frames', () => {
    const from = WORKERS + WORKER_FRAME_ARENA + 192;
    const one = fc.tuple(
      anywhere(from, WORKERS + WORKER_FRAME_ARENA_END),
      port,
      fc.constantFrom(...validFrames),
      vnetHeader,
    );
    fc.assert(
      fc.property(aNode, fc.array(one, { minLength: 1, maxLength: 8 }), (i, list) => {
        const node = nodeAt(i);
        for (const [row, [{ offset, length }, slotNumber, bytes, header]] of list.entries()) {
          if (length > 2000) node.bytes.set(concat(header, bytes), offset);
          node.frameDescriptor(row, offset, length, slotNumber);
        }
        expect(node.run('egress', list.length).stats[STAT_RECEIVED]).toBe(list.length);
      }),
      { numRuns: 600 },
    );
  });

  it('never lead out of it: datagrams', () => {
    const from = WORKERS + WORKER_DATAGRAM_ARENA + DATAGRAM_HEADROOM;
    const one = fc.tuple(
      anywhere(from, WORKERS + WORKER_DATAGRAM_ARENA_END),
      slot,
      fc.constantFrom(...validDatagrams),
      source,
      fc.oneof(fc.constant(0), fc.integer({ min: 40, max: 0xffff })),
    );
    fc.assert(
      fc.property(aNode, fc.array(one, { minLength: 1, maxLength: 8 }), (i, list) => {
        const node = nodeAt(i);
        for (const [row, [{ offset, length }, slotNumber, bytes, address, size]] of list.entries()) {
          const most = Math.min(length, MAX_DATAGRAM);
          if (most > 400) node.bytes.set(bytes, offset);
          node.datagramDescriptor(row, offset, most, { slot: slotNumber, source: address, segment: size });
        }
        node.run('ingress', list.length);
      }),
      { numRuns: 600 },
    );
  });
});

describe('a burst that asks for too much', () => {
  it('of superframes in segments of one byte is refused by name, quickly', () => {
    const node = nodeOf(1);
    const packet = tcpPacket(
      { src: pod(4, 1, 2), dst: pod(4, 2, 2) },
      { checksum: 'partial' },
      new Uint8Array(5500),
    );
    const header = vnet({ flags: 1, gsoType: 1, gsoSize: 1, start: 34, offset: 16 });
    const started = performance.now();
    const { verdicts } = node.egress(...Array.from({ length: 128 }, () => fromPod(1, 2, packet, header)));
    expect(performance.now() - started).toBeLessThan(2000);
    expect(verdicts.BurstFull).toBeGreaterThan(100);
    expect((verdicts.BurstFull ?? 0) + (verdicts.Forward ?? 0)).toBe(128);
    // The next burst is as good as new.
    expect(
      node.egress(fromPod(1, 2, udpPacket({ src: pod(4, 1, 2), dst: pod(4, 2, 2) }, {}))).verdicts,
    ).toEqual({ Forward: 1 });
  });

  it('of small datagrams: what fits goes on, the rest is named', () => {
    const node = nodeOf(1, {}, { offloads: 0 });
    const packet = udpPacket({ src: pod(4, 2, 2), dst: pod(4, 1, 2) }, {});
    const one = tunnelled(1, packet);
    const bytes = concat(...Array.from({ length: Math.floor(65_000 / one.length) }, () => one));
    const rows = Array.from({ length: 16 }, () => ({ ...fromPeer(1, packet), bytes, segment: one.length }));
    const started = performance.now();
    const { verdicts, stats, messages } = node.ingress(...rows);
    expect(performance.now() - started).toBeLessThan(2000);
    expect(stats[STAT_RECEIVED]).toBe(16 * Math.floor(65_000 / one.length));
    expect((verdicts.Forward ?? 0) + (verdicts.BurstFull ?? 0)).toBe(stats[STAT_RECEIVED]);
    expect(messages.length).toBe(8192);
  });

  it('of a million datagrams of one byte is counted', () => {
    const node = nodeOf(1);
    const rows = Array.from({ length: 16 }, () => ({
      slot: VXLAN_SLOT,
      source: underlay(4, 2),
      bytes: new Uint8Array(65_500),
      segment: 1,
    }));
    expect(node.ingress(...rows).verdicts).toEqual({ VxlanTooShort: 16 * 65_500 });
  });

  it('of ARP requests and ICMP errors leaves room or names what had none', () => {
    const node = nodeOf(1);
    const request = vxlan(
      VNI,
      ethernet(
        { dst: 'ff:ff:ff:ff:ff:ff', src: routerMac(2), type: 0x0806 },
        arp({ operation: 1, senderMac: routerMac(2), senderIp: pod(4, 2, 2), targetIp: pod(4, 1, 2) }),
      ),
    );
    const rows = Array.from({ length: 16 }, () => ({
      slot: VXLAN_SLOT,
      source: underlay(4, 2),
      bytes: concat(...Array.from({ length: 1200 }, () => request)),
      segment: request.length,
    }));
    const { verdicts, messages } = node.ingress(...rows);
    expect((verdicts.Consumed ?? 0) + (verdicts.BurstFull ?? 0)).toBe(16 * 1200);
    expect(verdicts.BurstFull).toBeGreaterThan(0);
    expect(messages.flatMap(({ datagrams }) => datagrams)).toHaveLength(verdicts.Consumed ?? 0);
  });
});

describe('a second worker', () => {
  const first = nodeOf(1, { ports: { 2: { ingress: { rows: [[0]] } } } });
  const second = new TestNode(null, { beside: first });
  const regionOf = ({ bytes, base }: TestNode) => Buffer.from(bytes.subarray(base + 0x1000, base + 0x120000));

  it('does the same, and counts in its own region only', () => {
    const before = Buffer.from(regionOf(first));
    for (const { port: from, frame: content } of validFrames.map((bytes) => ({ port: 2, frame: bytes }))) {
      const alone = nodeOf(1, { ports: { 2: { ingress: { rows: [[0]] } } } });
      const [got, expected] = [second, alone].map((node) => node.egress({ port: from, frame: content }));
      expect(got?.verdicts).toEqual(expected?.verdicts);
      expect(got?.messages.map(({ bytes }) => hex(bytes))).toEqual(
        expected?.messages.map(({ bytes }) => hex(bytes)),
      );
    }
    expect(regionOf(first).equals(before)).toBe(true);
  });

  it('knows the connections of the first', () => {
    const there = udpPacket({ src: pod(4, 1, 2), dst: pod(4, 2, 2) }, { sport: 7, dport: 8 });
    const back = udpPacket({ src: pod(4, 2, 2), dst: pod(4, 1, 2) }, { sport: 8, dport: 7 });
    expect(second.ingress(fromPeer(1, back)).verdicts).toEqual({ PolicyIngress: 1 });
    expect(first.egress(fromPod(1, 2, there)).verdicts).toEqual({ Forward: 1 });
    expect(second.ingress(fromPeer(1, back)).verdicts).toEqual({ Forward: 1 });
  });
});
