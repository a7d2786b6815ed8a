// Superframes handed to the node's kernel whole: the vnet header, every byte of the outer headers, order, limits.
import { describe, expect, it } from 'vitest';
import { INJECTION_SLOT } from '../../../asm/layout/memory.ts';
import {
  SOCKET_NONE,
  STAT_INJECTED,
  STAT_SEGMENTS,
  TUNNEL_TX_BYTES,
  TUNNEL_TX_PACKETS,
} from '../../../asm/layout/tables.ts';
import { split } from '../../support/offload.ts';
import {
  be,
  concat,
  ethernet,
  geneve,
  geneveOption,
  hex,
  hopped,
  ip,
  ipPacket,
  le,
  mac,
  partialChecksum,
  tcpPacket,
  UDP,
  udp,
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

const families = [4, 6] as const;
const encapsulations = ['vxlan', 'geneve', 'geneve-ip'] as const satisfies readonly Encapsulation[];
const combinations = encapsulations.flatMap((encapsulation) =>
  families.flatMap((outer) => families.map((inner) => ({ encapsulation, outer, inner }))),
);

const large = Uint8Array.from({ length: 40_000 }, (_, i) => (i * i) >> 3);
const FIRST_PORT = 50_000;
const tap = { dst: '02:0f:00:00:00:01', src: '02:0f:00:00:00:02' };

/** The template as the daemon writes it: lengths, checksums and source port zero. */
function outerOf(family: 4 | 6, port: number): Uint8Array {
  const [src, dst] = [ip(underlay(family, 1)), ip(underlay(family, 2))];
  const network =
    family === 4
      ? concat(be(0x4500, 2), be(0, 2), be(0x00004000, 4), be(65, 1), be(UDP, 1), be(0, 2), src, dst)
      : concat(be(0x60000000, 4), be(0, 2), be(UDP, 1), be(65, 1), src, dst);
  const type = family === 4 ? 0x0800 : 0x86dd;
  return concat(mac(tap.dst), mac(tap.src), be(type, 2), network, be(0, 2), be(port, 2), be(0, 4));
}

const destinationPort = (encapsulation: Encapsulation) => (encapsulation === 'vxlan' ? 4789 : 6081);

function injecting(options: ClusterOptions & { readonly outerFamily: 4 | 6 }) {
  const { outerFamily, encapsulation = 'vxlan' } = options;
  const node = nodeOf(1, {
    underlay: outerFamily,
    outer: outerOf(outerFamily, destinationPort(encapsulation)),
    outerChecksum: true,
    ...options,
  });
  for (let i = 0; i < 32; i++) node.socket(FIRST_ENTROPY_SLOT + i, SOCKET_NONE, FIRST_PORT + i);
  return node;
}

const gsoSize = 1300;
const superframe = (family: 4 | 6, ecn = 0) =>
  vnet({
    flags: 1,
    gsoType: (family === 4 ? 1 : 4) | ecn,
    headerLength: 0,
    gsoSize,
    start: family === 4 ? 34 : 54,
    offset: 16,
  });

describe.each(combinations)('injection: IPv$inner in $encapsulation over IPv$outer', (combination) => {
  const { encapsulation, outer, inner } = combination;
  const between = { src: pod(inner, 1, 2), dst: pod(inner, 2, 2), tos: 0b1010_1010 };
  const packet = tcpPacket(between, { checksum: 'partial', flags: 0x99, seq: 0xffff_f000 }, large);

  it.each([
    { title: 'with an outer checksum', outerChecksum: true },
    { title: 'without', outerChecksum: false },
  ])('hands the kernel one frame, $title', ({ outerChecksum }) => {
    const node = injecting({ encapsulation, outerFamily: outer, outerChecksum });
    const { messages, stats } = node.egress(fromPod(1, 2, packet, superframe(inner, 0x80)));
    expect(stats[STAT_INJECTED]).toBe(1);
    expect(stats[STAT_SEGMENTS] ?? 0).toBe(0);
    expect(messages).toHaveLength(1);
    const [{ slot, bytes, frames }] = messages as [(typeof messages)[0]];
    expect({ slot, frames }).toEqual({ slot: INJECTION_SLOT, frames: 1 });

    const isV6 = inner === 6;
    const frame = ethernet({ dst: routerMac(2), src: routerMac(1) }, hopped(packet));
    const datagram =
      encapsulation === 'vxlan'
        ? vxlan(VNI, frame)
        : encapsulation === 'geneve'
          ? geneve({ vni: VNI }, frame)
          : geneve({ vni: VNI, protocol: isV6 ? 0x86dd : 0x0800 }, hopped(packet));
    const headers = 24 + 14 + (outer === 4 ? 20 : 40);
    const sport = Buffer.from(bytes).readUInt16BE(headers);
    expect(sport).toBeGreaterThanOrEqual(FIRST_PORT);
    expect(sport).toBeLessThan(FIRST_PORT + 32);
    const ends = { src: underlay(outer, 1), dst: underlay(outer, 2) };
    const checksum = outerChecksum ? partialChecksum(ends.src, ends.dst, UDP, datagram.length + 8) : 0;
    const dport = destinationPort(encapsulation);
    const flow = outer === 6 ? Buffer.from(bytes).readUInt32BE(24 + 14) & 0xfffff : 0;
    // ECN is copied out, DSCP is not.
    const fields = { ...ends, protocol: UDP, ttl: 65, tos: 0b10, id: 0, flow };
    const expected = ethernet(
      { ...tap, type: outer === 4 ? 0x0800 : 0x86dd },
      ipPacket(fields, udp(ends, { sport, dport, checksum }, datagram)),
    );
    const transport = expected.length - packet.length + (isV6 ? 40 : 20);
    const header = concat(
      vnet({
        flags: outerChecksum ? 9 : 1,
        gsoType: (isV6 ? 4 : 1) | 0x80 | (outer === 4 ? 0x20 : 0x40),
        headerLength: transport + 20,
        gsoSize,
        start: transport,
        offset: 16,
      }),
      be(0, 8),
      le(14 + (outer === 4 ? 20 : 40), 2),
      le(transport - (isV6 ? 40 : 20), 2),
    );
    expect(hex(bytes.subarray(0, headers + 8))).toBe(hex(concat(header, expected).subarray(0, headers + 8)));
    expect(hex(bytes)).toBe(hex(concat(header, expected)));
  });

  it('counts the tunnel’s packets and bytes as they will be on the wire', () => {
    const whole = injecting({ encapsulation, outerFamily: outer });
    const cut = nodeOf(1, { encapsulation, underlay: outer });
    for (const node of [whole, cut]) node.egress(fromPod(1, 2, packet, superframe(inner)));
    for (const counter of [TUNNEL_TX_PACKETS, TUNNEL_TX_BYTES]) {
      expect(whole.tunnelCounter(0, counter)).toBe(cut.tunnelCounter(0, counter));
    }
    expect(whole.tunnelCounter(0, TUNNEL_TX_PACKETS)).toBe(split(packet, gsoSize).length);
  });
});

describe('injection', () => {
  const between = { src: pod(4, 1, 2), dst: pod(4, 2, 2) };
  const one = (seq: number, body: Uint8Array) => tcpPacket(between, { checksum: 'partial', seq }, body);

  it('keeps a flow’s packets in order, whichever way they leave', () => {
    const node = injecting({ outerFamily: 4 });
    const [a, b] = [large.subarray(0, 700), large.subarray(0, 4000)];
    const { messages } = node.egress(
      fromPod(1, 2, tcpPacket(between, { seq: 1 }, a)),
      fromPod(1, 2, one(701, b), superframe(4)),
      fromPod(1, 2, one(4701, b), superframe(4)),
      fromPod(1, 2, tcpPacket(between, { seq: 8701 }, a)),
    );
    const sequence = ({ slot, bytes }: (typeof messages)[0]) =>
      Buffer.from(bytes).readUInt32BE((slot === INJECTION_SLOT ? 24 + 42 : 0) + 8 + 14 + 20 + 4);
    expect(messages.map(sequence)).toEqual([1, 701, 4701, 8701]);
    expect(messages.map(({ slot }) => slot === INJECTION_SLOT)).toEqual([false, true, true, false]);
  });

  it('leaves to the splitter what the kernel would not take: UDP, and what outgrows an IP packet', () => {
    const options = geneveOption(0x0102, 3, new Uint8Array(60));
    const node = injecting({ outerFamily: 6, encapsulation: 'geneve', geneveOptions: options });
    const uso = vnet({ flags: 1, gsoType: 5, gsoSize, start: 34, offset: 6 });
    const datagrams = node.egress(fromPod(1, 2, udpPacket(between, { checksum: 'partial' }, large), uso));
    const room = 65_535 - 40 - 8 - (8 + 64) - 14 - 40;
    const fits = node.egress(fromPod(1, 2, one(1, new Uint8Array(room)), superframe(4)));
    const over = node.egress(fromPod(1, 2, one(1, new Uint8Array(room + 1)), superframe(4)));
    const injected = [datagrams, fits, over].map(({ stats }) => stats[STAT_INJECTED] ?? 0);
    expect(injected).toEqual([0, 1, 0]);
    expect(over.messages.flatMap(({ datagrams }) => datagrams)).toHaveLength(Math.ceil((room + 1) / gsoSize));
  });

  it('is for superframes only', () => {
    const node = injecting({ outerFamily: 4 });
    const { stats, messages } = node.egress(fromPod(1, 2, tcpPacket(between, {}, large.subarray(0, 900))));
    expect(stats[STAT_INJECTED] ?? 0).toBe(0);
    expect(messages.map(({ slot }) => slot === INJECTION_SLOT)).toEqual([false]);
  });
});
