// Which packets become one superframe towards a TAP, and which never may (Linux net/ipv4/tcp_offload.c, udp_offload.c).
import { describe, expect, it } from 'vitest';
import {
  OFFLOAD_COALESCE,
  OFFLOAD_TSO,
  OFFLOAD_UDP_SEGMENT,
  OFFLOAD_USO,
} from '../../../asm/layout/memory.ts';
import { STAT_COALESCED, STAT_COALESCED_PACKETS } from '../../../asm/layout/tables.ts';
import { packetsOf, parsed } from '../../support/offload.ts';
import {
  ACK,
  be,
  CWR,
  concat,
  ECE,
  echoPacket,
  FIN,
  fromHex,
  hex,
  type IpFields,
  le,
  number,
  PSH,
  partialChecksum,
  RST,
  SYN,
  type TcpFields,
  tcpPacket,
  type UdpFields,
  URG,
  udpPacket,
} from '../../support/packets.ts';
import { fromPeer, nodeOf, pod } from '../cluster.ts';
import { ALL_OFFLOADS, type NodeOptions } from '../harness.ts';

const families = [4, 6] as const;
const back = (family: 4 | 6) => ({ src: pod(family, 2, 2), dst: pod(family, 1, 2) });
const bytes = (length: number, first = 0) => Uint8Array.from({ length }, (_, i) => first + i * 13);

/** Frames at the TAP, all packets that they stand for, and statistics. */
function arrived(packets: readonly Uint8Array[], options: NodeOptions = {}) {
  const { messages, stats, verdicts } = nodeOf(1, {}, options).ingress(
    ...packets.slice(0, 16).map((packet) => fromPeer(1, packet)),
  );
  expect(verdicts).toEqual({ Forward: packets.length });
  return { messages, stats, packets: messages.flatMap((one) => packetsOf(one.bytes)).map(hex) };
}

type Change = { readonly ip?: Partial<IpFields>; readonly transport?: TcpFields; readonly bytes?: number };

/** The i-th packet of a TCP stream of 100-byte segments, with a difference. */
const segment = (family: 4 | 6, i: number, { ip, transport, bytes: length = 100 }: Change = {}) =>
  tcpPacket(
    { ...back(family), id: 500 + i, df: false, ...ip },
    { seq: 1000 + i * 100, ack: 77, flags: ACK, ...transport },
    bytes(length, i),
  );

describe.each(families)('TCP over IPv%i', (family) => {
  it('in sequence becomes one superframe, its headers speaking of all of it', () => {
    const list = Array.from({ length: 10 }, (_, i) => segment(family, i));
    const { messages, stats, packets } = arrived(list);
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatchObject({ slot: 2, frames: 10 });
    expect(packets).toEqual(list.map(hex));
    expect([stats[STAT_COALESCED], stats[STAT_COALESCED_PACKETS]]).toEqual([1, 10]);
    const frame = messages[0]?.bytes as Uint8Array;
    const l4 = family === 4 ? 20 : 40;
    expect(hex(frame.slice(0, 12))).toBe(
      hex(
        concat(
          be(1, 1),
          be(family === 4 ? 1 : 4, 1),
          le(14 + l4 + 20, 2),
          le(100, 2),
          le(14 + l4, 2),
          le(16, 2),
          be(0, 2),
        ),
      ),
    );
    const { src, dst } = back(family);
    expect(number(frame, 12 + 14 + l4 + 16, 2)).toBe(partialChecksum(src, dst, 6, 20 + 1000));
  });

  it.each<[string, Change, Change]>([
    ['a gap', {}, { transport: { seq: 1101 } }],
    ['a repetition', {}, { transport: { seq: 1000 } }],
    ['another acknowledgement', {}, { transport: { ack: 78 } }],
    ['another window', {}, { transport: { window: 513 } }],
    ['another urgent pointer', {}, { transport: { urgent: 1 } }],
    ['another source port', {}, { transport: { sport: 40001 } }],
    ['another destination port', {}, { transport: { dport: 81 } }],
    ['options that came', {}, { transport: { options: fromHex('0101080a0000000100000002') } }],
    ['options that went', { transport: { options: fromHex('0101080a0000000100000002') } }, {}],
    [
      'options that changed',
      { transport: { options: fromHex('0101080a0000000100000002') } },
      { transport: { options: fromHex('0101080a0000000100000003') } },
    ],
    ['FIN', {}, { transport: { flags: ACK | FIN } }],
    ['SYN', {}, { transport: { flags: ACK | SYN } }],
    ['RST', {}, { transport: { flags: ACK | RST } }],
    ['URG', {}, { transport: { flags: ACK | URG } }],
    ['ECE', {}, { transport: { flags: ACK | ECE } }],
    ['CWR', {}, { transport: { flags: ACK | CWR } }],
    ['no ACK', {}, { transport: { flags: RST } }],
    ['CWR first', { transport: { flags: ACK | CWR } }, {}],
    ['PSH first', { transport: { flags: ACK | PSH } }, {}],
    ['a short segment first', { bytes: 60 }, { transport: { seq: 1060 } }],
    ['a longer segment', {}, { bytes: 101 }],
    ['no payload', {}, { bytes: 0 }],
    ['no payload first', { bytes: 0 }, { transport: { seq: 1000 } }],
    ['a wrong checksum', {}, { transport: { checksum: 0x0101 } }],
    ['a wrong checksum first', { transport: { checksum: 0x0101 } }, {}],
    ['another TOS', {}, { ip: { tos: 1 } }],
    ['another TTL', {}, { ip: { ttl: 63 } }],
    ...(family === 4
      ? ([
          ['DF', {}, { ip: { df: true } }],
          ['an identification that does not count up', {}, { ip: { id: 500 } }],
          ['an identification that leaps', {}, { ip: { id: 502 } }],
          ['IP options', {}, { ip: { options: fromHex('01010101') } }],
          ['another source', {}, { ip: { src: pod(4, 2, 3) } }],
        ] as [string, Change, Change][])
      : ([
          ['another flow label', {}, { ip: { flow: 1 } }],
          ['an extension header', {}, { ip: { extensions: [{ type: 60, bytes: new Uint8Array(8) }] } }],
          ['another source', {}, { ip: { src: pod(6, 2, 3) } }],
        ] as [string, Change, Change][])),
  ])('is not merged over %s', (_, first, second) => {
    const list = [segment(family, 0, first), segment(family, 1, second)];
    const { messages, packets } = arrived(list);
    expect(messages).toHaveLength(2);
    expect(packets).toEqual(list.map(hex));
  });

  it('ends with a short segment or PSH, which it may hold as the last', () => {
    for (const last of [
      { bytes: 60 },
      { transport: { flags: ACK | PSH } },
      { bytes: 1, transport: { flags: ACK | PSH } },
    ] as Change[]) {
      const list = [segment(family, 0), segment(family, 1, last), segment(family, 2), segment(family, 3)];
      const { messages, packets } = arrived(list);
      expect(messages.map(({ frames }) => frames)).toEqual([2, 2]);
      expect(packets).toEqual(list.map(hex));
    }
  });

  it('counts sequence and identification over their ends', () => {
    const list = [0, 1, 2].map((i) =>
      segment(family, i, {
        ip: { id: (0xffff + i) % 0x10000 },
        transport: { seq: (2 ** 32 - 150 + i * 100) % 2 ** 32 },
      }),
    );
    const { messages, packets } = arrived(list);
    expect(messages).toHaveLength(1);
    expect(packets).toEqual(list.map(hex));
  });

  it('is never gathered from more pieces than one write takes (UIO_MAXIOV)', () => {
    const list = Array.from({ length: 1300 }, (_, i) =>
      segment(family, 0, { ip: { id: 500 + i }, transport: { seq: 1000 + i }, bytes: 1 }),
    );
    const one = fromPeer(1, list[0] as Uint8Array);
    const rows = [0, 500, 1000].map((from) => ({
      ...one,
      bytes: concat(...list.slice(from, from + 500).map((packet) => fromPeer(1, packet).bytes)),
      segment: one.bytes.length,
    }));
    const { messages } = nodeOf(1).ingress(...rows);
    expect(messages.length).toBeLessThan(4);
    expect(messages.flatMap(({ bytes }) => packetsOf(bytes)).map(hex)).toEqual(list.map(hex));
  });

  it('is never reordered around what stands between', () => {
    const list = [
      segment(family, 0),
      segment(family, 0, { transport: { sport: 5, seq: 9 } }),
      segment(family, 1),
      echoPacket(back(family)),
      segment(family, 2),
    ];
    const { messages, packets } = arrived(list);
    expect(messages).toHaveLength(5);
    expect(packets).toEqual(list.map(hex));
  });

  it('is never larger than 64 KiB', () => {
    const node = nodeOf(1);
    const mss = 1380;
    const list = Array.from({ length: 100 }, (_, i) =>
      segment(family, 0, { ip: { id: 500 + i }, transport: { seq: 1000 + i * mss }, bytes: mss }),
    );
    const one = fromPeer(1, list[0] as Uint8Array);
    const rows = [0, 44, 88].map((from) => ({
      ...one,
      bytes: concat(...list.slice(from, from + 44).map((packet) => fromPeer(1, packet).bytes)),
      segment: one.bytes.length,
    }));
    const { messages } = node.ingress(...rows);
    expect(messages.flatMap(({ bytes }) => packetsOf(bytes)).map(hex)).toEqual(list.map(hex));
    expect(messages.length).toBeLessThan(5);
    expect(Math.max(...messages.map(({ bytes }) => parsed(bytes.slice(26)).total))).toBeLessThan(65536);
  });

  it.each([
    ['coalescing', ALL_OFFLOADS & ~OFFLOAD_COALESCE],
    ['TSO', OFFLOAD_USO | OFFLOAD_UDP_SEGMENT | OFFLOAD_COALESCE],
  ])('goes one by one with %s off', (_, offloads) => {
    const list = Array.from({ length: 5 }, (_unused, i) => segment(family, i));
    const { messages, packets } = arrived(list, { offloads });
    expect(messages).toHaveLength(5);
    expect(packets).toEqual(list.map(hex));
  });
});

describe.each(families)('UDP over IPv%i', (family) => {
  type UdpChange = {
    readonly ip?: Partial<IpFields>;
    readonly transport?: UdpFields;
    readonly bytes?: number;
  };
  const datagram = (i: number, size: number, { ip, transport, bytes: length = size }: UdpChange = {}) =>
    udpPacket({ ...back(family), id: 500 + i, df: false, ...ip }, { ...transport }, bytes(length, i));

  describe.each([16, 128, 129, 1000])('%i bytes', (size) => {
    it('of one flow become one superframe', () => {
      const list = Array.from({ length: 12 }, (_, i) => datagram(i, size));
      const { messages, packets } = arrived(list);
      expect(messages.map(({ frames }) => frames)).toEqual([12]);
      expect(packets).toEqual(list.map(hex));
    });

    it.each<[string, UdpChange, UdpChange]>([
      ['a longer one', {}, { bytes: size + 1 }],
      ['a shorter one first', { bytes: size - 1 }, {}],
      ['no checksum', {}, { transport: { checksum: 0 } }],
      ['no checksum first', { transport: { checksum: 0 } }, {}],
      ['a wrong checksum', {}, { transport: { checksum: 0x0101 } }],
      ['another port', {}, { transport: { dport: 54 } }],
      ['another TOS', {}, { ip: { tos: 8 } }],
      ['another TTL', {}, { ip: { ttl: 63 } }],
      ['no payload', {}, { bytes: 0 }],
      ['a length that ends before the packet', {}, { transport: { length: 8 + size - 1, checksum: 'full' } }],
    ])('are not merged over %s', (_, first, second) => {
      const list = [datagram(0, size, first), datagram(1, size, second)];
      const { messages, packets } = arrived(list);
      expect(messages).toHaveLength(2);
      expect(packets).toEqual(list.map(hex));
    });

    it('end with a shorter one', () => {
      const list = [0, 1, 2, 3].map((i) => datagram(i, size, i === 1 ? { bytes: size - 3 } : {}));
      const { messages, packets } = arrived(list);
      expect(messages.map(({ frames }) => frames)).toEqual([2, 2]);
      expect(packets).toEqual(list.map(hex));
    });

    it.each([1, 2, 5, 64, 128])('are never more than %i where that is CONTROL_MAX_BATCH', (maxBatch) => {
      const node = nodeOf(1, {}, { maxBatch });
      const list = Array.from({ length: 150 }, (_, i) => datagram(i, size));
      const one = fromPeer(1, list[0] as Uint8Array);
      const rows = [0, 50, 100].map((from) => ({
        ...one,
        bytes: concat(...list.slice(from, from + 50).map((packet) => fromPeer(1, packet).bytes)),
        segment: one.bytes.length,
      }));
      const { messages } = node.ingress(...rows);
      expect(messages.flatMap(({ bytes }) => packetsOf(bytes)).map(hex)).toEqual(list.map(hex));
      expect(Math.max(...messages.map(({ frames }) => frames))).toBeLessThanOrEqual(maxBatch);
      if (size <= 128) expect(messages).toHaveLength(Math.ceil(150 / maxBatch));
    });
  });

  it.each([
    ['coalescing', ALL_OFFLOADS & ~OFFLOAD_COALESCE],
    ['USO', OFFLOAD_TSO | OFFLOAD_UDP_SEGMENT | OFFLOAD_COALESCE],
  ])('goes one by one with %s off', (_, offloads) => {
    const list = Array.from({ length: 5 }, (_unused, i) => datagram(i, 100));
    const { messages, packets } = arrived(list, { offloads });
    expect(messages).toHaveLength(5);
    expect(packets).toEqual(list.map(hex));
  });
});
