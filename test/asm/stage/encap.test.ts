// What leaves for a peer, byte by byte, beside packets that are built independently.
import { describe, expect, it } from 'vitest';
import { STAT_CHECKSUMS_COMPLETED } from '../../../asm/layout/tables.ts';
import {
  be,
  checksum,
  concat,
  echoPacket,
  ethernet,
  fromHex,
  geneve,
  geneveOption,
  hex,
  hopped,
  ipv4,
  ipv6,
  number,
  pseudoHeader,
  tcpPacket,
  udpPacket,
  vnet,
  vxlan,
} from '../../support/packets.ts';
import {
  type ClusterOptions,
  type Encapsulation,
  FIRST_ENTROPY_SLOT,
  fromPod,
  nodeOf,
  pod,
  routerMac,
  underlay,
  VNI,
} from '../cluster.ts';
import type { Message, TestNode } from '../harness.ts';

const encapsulations: readonly Encapsulation[] = ['vxlan', 'geneve', 'geneve-ip', 'ipip'];
const families = [4, 6] as const;
const combinations = encapsulations.flatMap((encapsulation) =>
  families.map((underlay) => ({ encapsulation, underlay })),
);

/** The one datagram in which node 1 must send an inner packet as it came from the pod. */
function expected(packet: Uint8Array, options: ClusterOptions, ecn: number, flow: number): Uint8Array {
  const { encapsulation = 'vxlan', underlay: family = 4, vni = VNI, geneveOptions, dscp = 0 } = options;
  const inner = hopped(packet);
  const isV6 = (inner[0] as number) >> 4 === 6;
  const frame = ethernet({ dst: routerMac(2), src: routerMac(1) }, inner);
  const extra = geneveOptions && { options: geneveOptions };
  const outer = {
    src: underlay(family, 1),
    dst: underlay(family, 2),
    protocol: isV6 ? 41 : 4,
    tos: dscp * 4 + ecn,
    flow,
  };
  switch (encapsulation) {
    case 'vxlan':
      return vxlan(vni, frame);
    case 'geneve':
      return geneve({ vni, ...extra }, frame);
    case 'geneve-ip':
      return geneve({ vni, protocol: isV6 ? 0x86dd : 0x0800, ...extra }, inner);
    case 'ipip':
      return family === 4 ? ipv4(outer, inner) : ipv6(outer, inner);
  }
}

function sent(node: TestNode, packet: Uint8Array, header?: Uint8Array): Message {
  const { messages, verdicts } = node.egress(fromPod(1, 2, packet, header));
  expect(verdicts).toEqual({ Forward: 1 });
  expect(messages).toHaveLength(1);
  return messages[0] as Message;
}

/** Flow label of an outer IPv6 header: free to choose. */
const flowLabel = ({ bytes }: Message, { encapsulation, underlay: family }: ClusterOptions) =>
  encapsulation === 'ipip' && family === 6 ? number(bytes, 0, 4) % 0x100000 : 0;

const between = (family: 4 | 6) => ({ src: pod(family, 1, 2), dst: pod(family, 2, 2) });
const payload = Uint8Array.from({ length: 333 }, (_, i) => i * 7);

describe.each(combinations)('encapsulation: $encapsulation over IPv$underlay', (options) => {
  const node = nodeOf(1, options);

  it.each(families)('carries IPv%i byte for byte, the TTL decremented once', (family) => {
    const packets = [
      udpPacket({ ...between(family), ttl: 17, id: 0x1234, tos: 0xb8 }, {}, payload),
      tcpPacket(
        { ...between(family), ttl: 2, flow: 0x54321 },
        { options: fromHex('0101080a0000000100000002') },
        payload,
      ),
      echoPacket(between(family)),
    ];
    for (const packet of packets) {
      const message = sent(node, packet);
      expect(hex(message.bytes)).toBe(hex(expected(packet, options, 0, flowLabel(message, options))));
      expect(message).toMatchObject({ segment: 0, frames: 1, tunnel: 0, tos: 0 });
    }
  });

  it.each(families)(
    'copies ECN out and leaves DSCP to the tunnel (RFC 6040 §4.1, RFC 2983 §3.1), IPv%i inside',
    (family) => {
      const marked: ClusterOptions = { ...options, dscp: 46 };
      const other = nodeOf(1, marked);
      const compatible = nodeOf(1, { ...marked, ecnCompatibility: true });
      for (let tos = 0; tos < 256; tos += tos < 4 ? 1 : 63) {
        const packet = udpPacket({ ...between(family), tos }, {}, payload);
        const normal = sent(other, packet);
        expect(normal.tos).toBe((46 << 2) | (tos & 3));
        expect(hex(normal.bytes)).toBe(hex(expected(packet, marked, tos & 3, flowLabel(normal, options))));
        const without = sent(compatible, packet);
        expect(without.tos).toBe(46 << 2);
        expect(hex(without.bytes)).toBe(hex(expected(packet, marked, 0, flowLabel(without, options))));
      }
    },
  );

  it.each(families)('completes partial checksums over IPv%i', (family) => {
    const start = family === 4 ? 34 : 54;
    for (const bytes of [0, 1, 2, 333, 1300]) {
      const body = payload.slice(0, bytes);
      const whole = tcpPacket(between(family), {}, body);
      const message = sent(
        node,
        tcpPacket(between(family), { checksum: 'partial' }, body),
        vnet({ flags: 1, start, offset: 16 }),
      );
      expect(hex(message.bytes)).toBe(hex(expected(whole, options, 0, flowLabel(message, options))));
      const datagram = udpPacket(between(family), {}, body);
      const second = sent(
        node,
        udpPacket(between(family), { checksum: 'partial' }, body),
        vnet({ flags: 1, start, offset: 6 }),
      );
      expect(hex(second.bytes)).toBe(hex(expected(datagram, options, 0, flowLabel(second, options))));
    }
  });
});

describe('partial checksums', () => {
  const node = nodeOf(1);

  /** A body of which the transport checksum comes out as 0. */
  function bodyOf(family: 4 | 6, build: (body: Uint8Array) => Uint8Array): Uint8Array {
    const body = new Uint8Array(4);
    const packet = build(body);
    const transport = packet.subarray(family === 4 ? 20 : 40);
    const { src, dst } = between(family);
    const protocol = packet[family === 4 ? 9 : 6] as number;
    body.set(be(checksum(concat(pseudoHeader(src, dst, protocol, transport.length), transport)), 2));
    return body;
  }

  it.each(families)('a UDP checksum of 0 is sent as 0xffff (RFC 768, RFC 8200 §8.1), IPv%i', (family) => {
    const body = bodyOf(family, (bytes) => udpPacket(between(family), { checksum: 0 }, bytes));
    const [at, start] = family === 4 ? [26, 34] : [46, 54];
    const message = sent(
      node,
      udpPacket(between(family), { checksum: 'partial' }, body),
      vnet({ flags: 1, start, offset: 6 }),
    );
    expect(number(message.bytes, 22 + at, 2)).toBe(0xffff);
  });

  it.each(families)('a TCP checksum of 0 stays 0, as the kernel computes it, IPv%i', (family) => {
    const body = bodyOf(family, (bytes) => tcpPacket(between(family), { checksum: 0 }, bytes));
    const whole = tcpPacket(between(family), {}, body);
    const [at, start] = family === 4 ? [36, 34] : [56, 54];
    expect(number(whole, at, 2)).toBe(0);
    const message = sent(
      node,
      tcpPacket(between(family), { checksum: 'partial' }, body),
      vnet({ flags: 1, start, offset: 16 }),
    );
    expect(number(message.bytes, 22 + at, 2)).toBe(0);
  });

  it('are counted, and UDP without a checksum is left alone (RFC 768)', () => {
    const partial = udpPacket(between(4), { checksum: 'partial' }, payload);
    const { stats } = node.egress(fromPod(1, 2, partial, vnet({ flags: 1, start: 34, offset: 6 })));
    expect(stats[STAT_CHECKSUMS_COMPLETED]).toBe(1);
    const none = udpPacket(between(4), { checksum: 0 }, payload);
    expect(hex(sent(node, none).bytes)).toBe(hex(expected(none, {}, 0, 0)));
  });
});

describe('GENEVE templates (RFC 8926 §3.4, §3.5)', () => {
  const geneveOptions = concat(
    geneveOption(0x0102, 0x03, new Uint8Array()),
    geneveOption(0xffff, 0x7f, fromHex('00112233445566778899aabb')),
  );

  it.each(['geneve', 'geneve-ip'] as const)(
    'options stand between header and payload: %s',
    (encapsulation) => {
      for (const family of families) {
        const options: ClusterOptions = { encapsulation, geneveOptions, vni: 0xabcdef };
        const packet = udpPacket(between(family), {}, payload);
        expect(hex(sent(nodeOf(1, options), packet).bytes)).toBe(hex(expected(packet, options, 0, 0)));
      }
    },
  );

  it('the longest template leaves room for the Ethernet header in the headroom', () => {
    const long = geneveOption(1, 1, new Uint8Array(84).fill(9));
    const options: ClusterOptions = { encapsulation: 'geneve', geneveOptions: long };
    const packet = udpPacket(between(6), {}, payload);
    expect(hex(sent(nodeOf(1, options), packet).bytes)).toBe(hex(expected(packet, options, 0, 0)));
  });
});

describe('entropy of the source port (RFC 7348 §5, RFC 8926 §3.3)', () => {
  const node = nodeOf(1);
  const slotOf = (packet: Uint8Array) => sent(node, packet).slot;

  it.each(families)('is stable for a flow and spreads flows over all 32 sockets, IPv%i', (family) => {
    const counts = new Map<number, number>();
    for (let sport = 1000; sport < 1640; sport++) {
      const first = slotOf(tcpPacket(between(family), { sport }));
      expect(slotOf(tcpPacket(between(family), { sport, seq: 9, flags: 0x18 }, payload))).toBe(first);
      counts.set(first - FIRST_ENTROPY_SLOT, (counts.get(first - FIRST_ENTROPY_SLOT) ?? 0) + 1);
    }
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: 32 }, (_, i) => i));
    // 20 a socket on average.
    expect(Math.max(...counts.values())).toBeLessThan(50);
  });

  it('keeps the fragments of a datagram together', () => {
    for (let id = 1; id < 20; id++) {
      const fields = { ...between(4), df: false, id, protocol: 17 };
      const first = slotOf(
        ipv4(
          { ...fields, mf: true },
          udpPacket(between(4), { sport: id, length: 900 }, new Uint8Array(440)).slice(20),
        ),
      );
      expect(slotOf(ipv4({ ...fields, offset: 448 }, new Uint8Array(452)))).toBe(first);
    }
  });

  it('is the outer flow label of IP in IPv6 (RFC 6438), different for different flows', () => {
    const other = nodeOf(1, { encapsulation: 'ipip', underlay: 6 });
    const label = (sport: number) =>
      number(sent(other, tcpPacket(between(4), { sport })).bytes, 0, 4) % 0x100000;
    const labels = Array.from({ length: 50 }, (_, i) => label(2000 + i));
    expect(new Set(labels).size).toBeGreaterThan(45);
    expect(label(2000)).toBe(labels[0]);
  });
});

describe('datagrams of a burst', () => {
  it('of equal size to one peer from one socket leave in one message, a shorter one ends it', () => {
    const node = nodeOf(1);
    const packet = (bytes: number, id: number) =>
      udpPacket({ ...between(4), id }, {}, payload.slice(0, bytes));
    const sizes = [100, 100, 100, 40, 100, 100, 200];
    const { messages } = node.egress(...sizes.map((bytes, id) => fromPod(1, 2, packet(bytes, id))));
    expect(messages.map(({ segment, frames, datagrams }) => [segment, frames, datagrams.length])).toEqual([
      [22 + 28 + 100, 4, 4],
      [22 + 28 + 100, 2, 2],
      [0, 1, 1],
    ]);
    const wire = messages.flatMap(({ datagrams }) => datagrams).map(hex);
    expect(wire).toEqual(sizes.map((bytes, id) => hex(expected(packet(bytes, id), {}, 0, 0))));
  });

  it('with different outer TOS never share a message', () => {
    const node = nodeOf(1);
    const packets = [0, 1, 1, 0].map((tos) => udpPacket({ ...between(4), tos }, {}, payload));
    const { messages } = node.egress(...packets.map((packet) => fromPod(1, 2, packet)));
    expect(messages.map(({ tos, frames }) => [tos, frames])).toEqual([
      [0, 1],
      [1, 2],
      [0, 1],
    ]);
  });

  it('are never more in one message than CONTROL_MAX_BATCH says', () => {
    for (const maxBatch of [0, 1, 7, 64, 128]) {
      const node = nodeOf(1, {}, { maxBatch });
      const packets = Array.from({ length: 128 }, (_, id) =>
        udpPacket({ ...between(4), id }, {}, payload.slice(0, 18)),
      );
      const { messages } = node.egress(...packets.map((packet) => fromPod(1, 2, packet)));
      const most = Math.max(...messages.map(({ datagrams }) => datagrams.length));
      expect(most).toBe(maxBatch === 0 ? 64 : maxBatch);
      expect(messages.flatMap(({ datagrams }) => datagrams)).toHaveLength(128);
    }
  });

  it('go alone by raw sockets, which have no UDP_SEGMENT', () => {
    const node = nodeOf(1, { encapsulation: 'ipip' });
    const packets = Array.from({ length: 8 }, (_, id) =>
      udpPacket({ ...between(4), id }, {}, payload.slice(0, 18)),
    );
    const { messages } = node.egress(...packets.map((packet) => fromPod(1, 2, packet)));
    expect(messages.map(({ segment }) => segment)).toEqual(new Array(8).fill(0));
  });
});
