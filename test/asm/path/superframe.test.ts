// Superframes from a TAP, through two nodes, to a TAP: split again by an oracle they must be what the oracle makes of the
// originals, byte for byte and in order, however the datagrams were merged on the way.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  OFFLOAD_COALESCE,
  OFFLOAD_TSO,
  OFFLOAD_UDP_SEGMENT,
  OFFLOAD_USO,
} from '../../../asm/layout/memory.ts';
import { STAT_COALESCED, STAT_SEGMENTS, STAT_SUPERFRAMES } from '../../../asm/layout/tables.ts';
import { isIntact, packetsOf, parsed, split } from '../../support/offload.ts';
import {
  ACK,
  be,
  CWR,
  concat,
  ECE,
  FIN,
  fragmentHeader,
  hex,
  hopped,
  type IpFields,
  ipv4,
  ipv6,
  isIpv4,
  number,
  PSH,
  tcpPacket,
  type UdpFields,
  udpPacket,
  vnet,
  withHeaderChecksum,
} from '../../support/packets.ts';
import {
  type ClusterOptions,
  type Encapsulation,
  fromPeer,
  fromPod,
  innerOf,
  nodeOf,
  pod,
} from '../cluster.ts';
import { ALL_OFFLOADS, type DatagramIn, type FrameIn, type Message } from '../harness.ts';

interface Frame {
  readonly packet: Uint8Array;
  readonly vnet: Uint8Array;
  /** What the oracle makes of it, one hop later. */
  readonly segments: readonly Uint8Array[];
}

const superframe = fc.record({
  bytes: fc.oneof(fc.nat(30), fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 12_000 })),
  psh: fc.boolean(),
  /** ECN of the packet, flags of TCP, window: mostly none. */
  tos: fc.constantFrom(0, 0, 0, 2, 3, 0xb8),
  flags: fc.constantFrom(0, 0, 0, 0, ECE, CWR, ECE | CWR),
  ackStep: fc.constantFrom(0, 0, 1448),
  optionStep: fc.constantFrom(0, 0, 1),
  idStep: fc.constantFrom(0, 0, 7),
});

const stream = fc.record({
  family: fc.constantFrom<4 | 6>(4, 6),
  isTcp: fc.boolean(),
  // What an IPv6 underlay leaves of 1500 bytes, less IPv6 and TCP with timestamps.
  mss: fc.integer({ min: 90, max: 1358 }),
  sport: fc.integer({ min: 1024, max: 1040 }),
  pod: fc.constantFrom(2, 3),
  df: fc.boolean(),
  id: fc.constantFrom(1, 0xfff0, 0xffff),
  seq: fc.constantFrom(1, 2 ** 32 - 5000, 2 ** 31),
  hasOptions: fc.boolean(),
  hasFin: fc.boolean(),
  /** Of a UDP packet that is too large for its sender's interface: payload bytes of each fragment but the last. */
  fragment: fc.constantFrom(0, 0, 8, 400, 1200),
  list: fc.array(superframe, { minLength: 1, maxLength: 6 }),
});
type Stream = typeof stream extends fc.Arbitrary<infer T> ? T : never;

/** Frames of a stream as a kernel hands them to a TAP. */
function framesOf(spec: Stream): Frame[] {
  const { family, isTcp, sport, df } = spec;
  let [seq, ack, id, option] = [spec.seq, 1, spec.id, 1];
  const between = { src: pod(family, 1, spec.pod), dst: pod(family, 2, 2) };
  const l4 = family === 4 ? 34 : 54;
  return spec.list.flatMap((one, i): Frame[] => {
    ack += one.ackStep;
    option += one.optionStep;
    id = (id + one.idStep) % 0x10000;
    const fields = { ...between, tos: one.tos, id, df, ttl: 40 + (sport % 3), flow: sport };
    // At most 64 datagrams in a UDP superframe (UDP_MAX_SEGMENTS before 6.9), a multiple of which no kernel sends.
    const mss = isTcp ? spec.mss : Math.max(spec.mss, Math.ceil(one.bytes / 60), 1);
    const payload = Uint8Array.from({ length: one.bytes }, (_, j) => (j * 7 + i + sport) & 255);
    if (!isTcp && spec.fragment > 0 && i % 2 === 1) {
      const fragments = fragmentsOf(
        { ...fields, df: false, id: sport * 8 + i },
        { sport },
        payload.subarray(0, 12 * spec.fragment),
        spec.fragment,
      );
      return fragments.map((packet) => ({ packet, vnet: vnet({}), segments: [hopped(packet)] }));
    }
    const isSuper = payload.length > mss;
    const isLast = i === spec.list.length - 1;
    const options = spec.hasOptions ? concat(be(0x0101080a, 4), be(option, 4), be(99, 4)) : new Uint8Array();
    const flags = ACK | one.flags | (one.psh ? PSH : 0) | (spec.hasFin && isLast ? FIN : 0);
    const build = (checksum: 'full' | 'partial') =>
      isTcp
        ? tcpPacket(fields, { sport, seq: seq % 2 ** 32, ack, flags, options, checksum }, payload)
        : udpPacket(fields, { sport, checksum }, payload);
    const isPartial = isSuper || i % 2 === 0;
    const packet = build(isPartial ? 'partial' : 'full');
    const segments = isSuper ? split(hopped(packet), mss) : [hopped(build('full'))];
    const gsoType = isTcp ? (family === 4 ? 1 : 4) | (one.flags & CWR ? 0x80 : 0) : 5;
    const header = vnet({
      ...(isPartial && { flags: 1, start: l4, offset: isTcp ? 16 : 6 }),
      ...(isSuper && { gsoType, gsoSize: mss, headerLength: l4 + 20 }),
    });
    seq += payload.length;
    id = (id + segments.length) % 0x10000;
    return [{ packet, vnet: header, segments }];
  });
}

/** A datagram in fragments, as its sender's kernel makes them: RFC 791 §3.2, RFC 8200 §4.5. */
function fragmentsOf(
  fields: IpFields,
  transport: UdpFields,
  payload: Uint8Array,
  size: number,
): Uint8Array[] {
  const whole = udpPacket(fields, transport, payload);
  const isV4 = isIpv4(fields.dst);
  const body = whole.subarray(isV4 ? 20 : 40);
  return Array.from({ length: Math.ceil(body.length / size) }, (_, i) => {
    const [offset, more] = [i * size, (i + 1) * size < body.length];
    const part = body.subarray(offset, offset + size);
    if (isV4) return ipv4({ ...fields, offset, mf: more }, part);
    return ipv6({ ...fields, extensions: [fragmentHeader(offset, more, fields.id ?? 0)] }, part);
  });
}

/** A small generator of choices, so that a failure shrinks to its streams. */
function chooser(seed: number) {
  let state = seed >>> 0;
  return (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Merges lists at random, the order of each kept. */
function interleaved<T>(lists: readonly (readonly T[])[], choose: (below: number) => number): T[] {
  const rest = lists.map((list) => [...list]).filter((list) => list.length > 0);
  const all: T[] = [];
  while (rest.length > 0) {
    const i = choose(rest.length);
    all.push(rest[i]?.shift() as T);
    if (rest[i]?.length === 0) rest.splice(i, 1);
  }
  return all;
}

/** Bursts of at most `most` items. */
function bursts<T>(list: readonly T[], most: number, choose: (below: number) => number): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < list.length; ) {
    const length = 1 + choose(most);
    parts.push(list.slice(at, at + length));
    at += length;
  }
  return parts;
}

/** What a receiving kernel makes of datagrams: UDP_GRO merges equal ones of one sender's socket, at random here. */
function received(
  messages: readonly Message[],
  options: ClusterOptions,
  choose: (below: number) => number,
): DatagramIn[] {
  const isRaw = options.encapsulation === 'ipip';
  const sockets = new Map<number, { bytes: Uint8Array; tos: number }[]>();
  for (const { slot, tos, datagrams } of messages) {
    const list = sockets.get(slot) ?? [];
    sockets.set(slot, list);
    for (const bytes of datagrams) list.push({ bytes, tos });
  }
  const rows = [...sockets.values()].map((list) => {
    const merged: DatagramIn[] = [];
    for (let at = 0; at < list.length; ) {
      const first = list[at] as { bytes: Uint8Array; tos: number };
      const size = first.bytes.length;
      const most = isRaw ? 1 : 1 + choose(64);
      let end = at + 1;
      let total = size;
      while (end < list.length && end - at < most) {
        const next = list[end] as { bytes: Uint8Array; tos: number };
        if (next.tos !== first.tos || next.bytes.length > size || total + next.bytes.length > 65_000) break;
        total += next.bytes.length;
        end++;
        if (next.bytes.length < size) break;
      }
      const bytes = concat(...list.slice(at, end).map((one) => one.bytes));
      // The receiving node's view: its own socket, the sender's address.
      const { slot, source } = fromPeer(2, innerOf(first.bytes, options), options);
      merged.push({ slot, source, bytes, tos: first.tos, segment: end - at > 1 ? size : 0 });
      at = end;
    }
    return merged;
  });
  // Raw IPv6 sockets hand on the payload only, and one for each inner version.
  const isPayloadOnly = isRaw && options.underlay === 6;
  const list = interleaved(rows, choose);
  return isPayloadOnly ? list.map((one) => ({ ...one, bytes: one.bytes.slice(40) })) : list;
}

const FRAGMENT6 = 44;
const isFragment = (packet: Uint8Array): boolean =>
  isIpv4(parsed(packet).dst) ? (number(packet, 6, 2) & 0x3fff) !== 0 : parsed(packet).protocol === FRAGMENT6;

/** What must stay in order: a flow, or the fragments of a datagram, of which most have no ports. */
const flowOf = (packet: Uint8Array) => {
  const { src, protocol, l4 } = parsed(packet);
  if (isFragment(packet)) return `${src} fragments ${number(packet, isIpv4(src) ? 4 : 46, 2)}`;
  return `${src} ${protocol} ${number(packet, l4, 2)}`;
};

/** With DF set the identification means nothing (RFC 6864 §4.1). */
function comparable(packet: Uint8Array): string {
  if (isIpv4(parsed(packet).dst) && number(packet, 6, 2) & 0x4000) {
    const copy = packet.slice();
    copy.set([0, 0], 4);
    return hex(withHeaderChecksum(copy));
  }
  return hex(packet);
}

function byFlow(packets: readonly Uint8Array[]): Record<string, string[]> {
  const flows: Record<string, string[]> = {};
  for (const packet of packets) {
    flows[flowOf(packet)] ??= [];
    flows[flowOf(packet)]?.push(comparable(packet));
  }
  return flows;
}

/** Streams through node 1 and node 2: what was sent, what must arrive, what did. */
function carried(streams: readonly Stream[], seed: number, options: ClusterOptions, offloads: number) {
  const choose = chooser(seed);
  const [a, b] = [nodeOf(1, options, { offloads }), nodeOf(2, { ...options, podMtu: 1500 }, { offloads })];
  // Two streams of the same ports would be one.
  const unique = [
    ...new Map(streams.map((one) => [`${one.family} ${one.isTcp} ${one.pod} ${one.sport}`, one])).values(),
  ];
  const all = interleaved(
    unique.map((one) => framesOf(one).map((frame) => ({ ...frame, pod: one.pod }))),
    choose,
  );
  const frames: FrameIn[] = all.map((one) => fromPod(1, one.pod, one.packet, one.vnet));
  const sent = bursts(frames, 10, choose).flatMap((burst) => {
    const { messages, verdicts } = a.egress(...burst);
    expect(verdicts).toEqual({ Forward: burst.length });
    return messages;
  });
  const rows = received(sent, options, choose);
  const arrived = bursts(rows, 16, choose).flatMap((burst) => {
    const { messages, verdicts } = b.ingress(...burst);
    expect(Object.keys(verdicts)).toEqual(['Forward']);
    return messages;
  });
  return { all, sent, rows, arrived, a, b, packets: arrived.flatMap(({ bytes }) => packetsOf(bytes)) };
}

const tunnels: readonly (ClusterOptions & { encapsulation: Encapsulation; underlay: 4 | 6 })[] = [
  { encapsulation: 'vxlan', underlay: 4 },
  { encapsulation: 'geneve', underlay: 6 },
  { encapsulation: 'geneve-ip', underlay: 4 },
  { encapsulation: 'ipip', underlay: 4 },
  { encapsulation: 'ipip', underlay: 6 },
];
const streams = fc.array(stream, { minLength: 1, maxLength: 5 });
const seed = fc.nat();

describe.each(tunnels)('superframes through $encapsulation over IPv$underlay', (options) => {
  it('arrive as the packets that they stand for', () => {
    fc.assert(
      fc.property(streams, seed, (list, choices) => {
        const { all, packets, sent } = carried(list, choices, options, ALL_OFFLOADS);
        expect(packets.every((packet) => isFragment(packet) || isIntact(packet))).toBe(true);
        expect(byFlow(packets)).toEqual(byFlow(all.flatMap(({ segments }) => segments)));
        for (const { datagrams, segment } of sent) {
          expect(datagrams.slice(0, -1).every((one) => one.length === segment)).toBe(true);
          expect(
            datagrams.every(
              (one) => innerOf(one, options).length <= 1500 - (options.underlay === 4 ? 20 : 40),
            ),
          ).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });
});

const switches = [
  ['TSO', OFFLOAD_TSO],
  ['USO', OFFLOAD_USO],
  ['UDP_SEGMENT', OFFLOAD_UDP_SEGMENT],
  ['coalescing', OFFLOAD_COALESCE],
] as const;

/** Every combination but that of all, each through another tunnel. */
const combinations = Array.from({ length: 2 ** switches.length - 1 }, (_, bits) => {
  const on = switches.filter((_one, i) => bits & (1 << i));
  return {
    title: on.map(([name]) => name).join(', ') || 'no offload',
    offloads: on.reduce((all, [, bit]) => all | bit, 0),
    options: tunnels[bits % tunnels.length] as ClusterOptions,
  };
});

describe.each(combinations)('superframes with $title', ({ offloads, options }) => {
  it('arrive as the packets that they stand for', () => {
    fc.assert(
      fc.property(streams, seed, (list, choices) => {
        const { all, packets, sent, arrived } = carried(list, choices, options, offloads);
        expect(byFlow(packets)).toEqual(byFlow(all.flatMap(({ segments }) => segments)));
        if (!(offloads & OFFLOAD_UDP_SEGMENT)) expect(sent.every(({ segment }) => segment === 0)).toBe(true);
        if (!(offloads & OFFLOAD_COALESCE)) expect(arrived.every(({ frames }) => frames === 1)).toBe(true);
        for (const { bytes } of arrived) {
          const gso = (bytes[1] as number) & 0x7f;
          if (!(offloads & OFFLOAD_TSO)) expect([0, 5]).toContain(gso);
          if (!(offloads & OFFLOAD_USO)) expect([0, 1, 4]).toContain(gso);
        }
      }),
      { numRuns: 25 },
    );
  });
});

describe('a superframe with IP options or extension headers', () => {
  const payload = Uint8Array.from({ length: 5001 }, (_, i) => i * 3);
  const extension = { type: 60, bytes: concat(be(0, 1), be(1, 1), new Uint8Array(14)) };

  it.each([4, 6] as const)('repeats them in each segment, IPv%i', (family) => {
    const between = {
      src: pod(family, 1, 2),
      dst: pod(family, 2, 2),
      options: new Uint8Array(12).fill(1),
      extensions: [extension],
    };
    const start = 14 + (family === 4 ? 32 : 56);
    for (const options of tunnels) {
      const segmentsOf = (packet: Uint8Array, header: Uint8Array) => {
        const { messages } = nodeOf(1, options).egress(fromPod(1, 2, packet, header));
        return messages.flatMap(({ datagrams }) => datagrams).map((one) => hex(innerOf(one, options)));
      };
      const tcp = tcpPacket(between, { checksum: 'partial', flags: ACK | PSH }, payload);
      const tcpHeader = vnet({ flags: 1, gsoType: family === 4 ? 1 : 4, gsoSize: 1000, start, offset: 16 });
      expect(segmentsOf(tcp, tcpHeader)).toEqual(split(hopped(tcp), 1000).map(hex));
      const udp = udpPacket(between, { checksum: 'partial' }, payload);
      expect(segmentsOf(udp, vnet({ flags: 1, gsoType: 5, gsoSize: 999, start, offset: 6 }))).toEqual(
        split(hopped(udp), 999).map(hex),
      );
    }
  });
});

describe('the largest superframe', () => {
  it.each([4, 6] as const)('goes in messages that a socket takes, IPv%i', (family) => {
    for (const options of tunnels) {
      const between = { src: pod(family, 1, 2), dst: pod(family, 2, 2) };
      const packet = tcpPacket(between, { checksum: 'partial' }, new Uint8Array(65_400).fill(7));
      const header = vnet({
        flags: 1,
        gsoType: family === 4 ? 1 : 4,
        gsoSize: 1358,
        start: family === 4 ? 34 : 54,
        offset: 16,
      });
      // The harness looks at the size of every message.
      const { messages, verdicts } = nodeOf(1, options, { maxBatch: 128 }).egress(
        fromPod(1, 2, packet, header),
      );
      expect(verdicts).toEqual({ Forward: 1 });
      const inner = messages.flatMap(({ datagrams }) => datagrams).map((one) => hex(innerOf(one, options)));
      expect(inner).toEqual(split(hopped(packet), 1358).map(hex));
    }
  });
});

describe('a long transfer', () => {
  it('leaves in few messages and arrives in few frames', () => {
    const item = { bytes: 12_000, psh: false, tos: 0, flags: 0, ackStep: 0, optionStep: 0, idStep: 0 };
    const long: Stream = {
      family: 4,
      isTcp: true,
      mss: 1200,
      sport: 1030,
      pod: 2,
      df: true,
      id: 1,
      seq: 1,
      hasOptions: true,
      hasFin: false,
      fragment: 0,
      list: new Array(6).fill(item),
    };
    const a = nodeOf(1);
    const b = nodeOf(2);
    const out = a.egress(...framesOf(long).map((one) => fromPod(1, 2, one.packet, one.vnet)));
    expect(out.stats[STAT_SUPERFRAMES]).toBe(6);
    expect(out.stats[STAT_SEGMENTS]).toBe(60);
    // 50 datagrams of 1274 bytes fit 65 000.
    expect(out.messages.length).toBeLessThanOrEqual(3);
    const rows = out.messages.map(({ bytes, segment }) => ({
      ...fromPeer(2, new Uint8Array([0x45])),
      bytes,
      segment,
    }));
    const { messages, stats } = b.ingress(...rows);
    expect(stats[STAT_COALESCED]).toBeLessThanOrEqual(2);
    expect(messages.length).toBeLessThanOrEqual(2);
  });
});
