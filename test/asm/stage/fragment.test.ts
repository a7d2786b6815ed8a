// Fragments carried, and IPv4 packets fragmented that may be (RFC 791 §3.2) and do not fit a tunnel.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PORT_IS_PENDING, STAT_FRAGMENTED } from '../../../asm/layout/tables.ts';
import { reassembled } from '../../support/offload.ts';
import {
  concat,
  fragmentHeader,
  hex,
  hopped,
  ipv4,
  ipv6,
  number,
  udp,
  udpPacket,
  vnet,
} from '../../support/packets.ts';
import { type ClusterOptions, fromPeer, fromPod, nodeOf, pod, toPod } from '../cluster.ts';
import { allow, deny, fate } from '../harness.ts';

const there = (family: 4 | 6) => ({ src: pod(family, 1, 2), dst: pod(family, 2, 2) });
const back = (family: 4 | 6) => ({ src: pod(family, 2, 2), dst: pod(family, 1, 2) });
const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => i * 31 + (i >> 8));

/** Inner packets of what node 1 sends. */
function carried(options: ClusterOptions, packet: Uint8Array, header?: Uint8Array) {
  const burst = nodeOf(1, options).egress(fromPod(1, 2, packet, header));
  const outer =
    options.encapsulation === 'ipip'
      ? options.underlay === 6
        ? 40
        : 20
      : options.encapsulation === 'geneve-ip'
        ? 8
        : 22;
  return {
    ...burst,
    inner: burst.messages.flatMap(({ datagrams }) => datagrams).map((one) => one.slice(outer)),
  };
}

const tunnels: ClusterOptions[] = [
  { encapsulation: 'vxlan' },
  { encapsulation: 'geneve-ip' },
  { encapsulation: 'ipip' },
  { encapsulation: 'ipip', underlay: 6 },
];

describe.each(tunnels)('fragmentation into a tunnel, $encapsulation $underlay', (options) => {
  it('gives fragments that make up the packet again, none larger than the tunnel’s MTU', () => {
    const length = fc.integer({ min: 1500, max: 60_000 });
    const mtu = fc.integer({ min: 68 + 40, max: 1480 });
    const optionWords = fc.integer({ min: 0, max: 10 });
    fc.assert(
      fc.property(length, mtu, optionWords, fc.nat(0xffff), (size, tunnelMtu, words, id) => {
        const packet = udpPacket(
          { ...there(4), df: false, id, tos: 2, options: new Uint8Array(words * 4).fill(1) },
          {},
          bytes(size),
        );
        const { inner, verdicts, messages, stats } = carried({ ...options, tunnelMtu }, packet);
        expect(verdicts).toEqual({ Forward: 1 });
        expect(stats[STAT_FRAGMENTED]).toBe(1);
        expect(Math.max(...inner.map((one) => one.length))).toBeLessThanOrEqual(tunnelMtu);
        expect(inner.every((one) => one.length === number(one, 2, 2))).toBe(true);
        expect(messages.every(({ tos }) => tos === 2)).toBe(true);
        expect(hex(reassembled(inner))).toBe(hex(hopped(packet)));
      }),
      { numRuns: 25 },
    );
  });

  it('fragments a fragment again, and the last one says whether more follow', () => {
    for (const mf of [true, false]) {
      const packet = ipv4({ ...there(4), df: false, mf, offset: 16_000, id: 99 }, bytes(4000));
      const { inner } = carried(options, packet);
      const offsets = inner.map((one) => (number(one, 6, 2) & 0x1fff) * 8);
      expect(offsets[0]).toBe(16_000);
      expect((number(inner.at(-1) as Uint8Array, 6, 2) & 0x2000) !== 0).toBe(mf);
      expect(hex(concat(...inner.map((one) => one.slice(20))))).toBe(hex(bytes(4000)));
    }
  });
});

describe('fragmentation towards a pod', () => {
  const local = { src: pod(4, 1, 2), dst: pod(4, 1, 3) };
  const node = (mtu: number) => nodeOf(1, { ports: { 2: { mtu }, 3: { mtu } } });
  const received = (burst: ReturnType<ReturnType<typeof node>['egress']>) =>
    burst.messages.map(({ slot, bytes }) => [slot, hex(bytes.slice(0, 26)), bytes.slice(26)] as const);

  it('of the same node gives fragments that make up the packet again', () => {
    const length = fc.integer({ min: 1500, max: 60_000 });
    fc.assert(
      fc.property(
        length,
        fc.integer({ min: 108, max: 1480 }),
        fc.integer({ min: 0, max: 10 }),
        (size, mtu, words) => {
          const options = new Uint8Array(words * 4).fill(1);
          const packet = udpPacket({ ...local, df: false, id: 7, options }, {}, bytes(size));
          const burst = node(mtu).egress(fromPod(1, 2, packet));
          expect(burst.verdicts).toEqual({ Forward: 1 });
          expect(burst.stats[STAT_FRAGMENTED]).toBe(1);
          expect(burst.messages.map(({ frames }) => frames)).toEqual(
            burst.messages.map((_, i) => (i === 0 ? 1 : 0)),
          );
          const pieces = received(burst);
          const header = hex(concat(vnet(), toPod(1, 3, packet)).slice(0, 26));
          expect(
            pieces.every(([slot, before, { length }]) => slot === 3 && before === header && length <= mtu),
          ).toBe(true);
          expect(hex(reassembled(pieces.map(([, , piece]) => piece)))).toBe(hex(hopped(packet)));
        },
      ),
      { numRuns: 25 },
    );
  });

  it('completes a partial checksum first', () => {
    const packet = (checksum: 'full' | 'partial') =>
      udpPacket({ ...local, df: false, id: 1 }, { checksum }, bytes(5000));
    const burst = node(1400).egress(
      fromPod(1, 2, packet('partial'), vnet({ flags: 1, start: 34, offset: 6 })),
    );
    expect(hex(reassembled(received(burst).map(([, , piece]) => piece)))).toBe(hex(hopped(packet('full'))));
  });

  it('from a peer gives fragments, too', () => {
    const packet = udpPacket({ ...back(4), df: false, id: 7 }, {}, bytes(1300));
    const burst = node(800).ingress(fromPeer(1, packet));
    expect(burst.verdicts).toEqual({ Forward: 1 });
    expect(burst.messages.map(({ slot }) => slot)).toEqual([2, 2]);
    expect(hex(reassembled(burst.messages.map(({ bytes }) => bytes.slice(26))))).toBe(hex(packet));
  });

  it('is never done to DF packets or IPv6, nor where the MTU leaves no room', () => {
    const long = { ...local, df: true };
    const six = { src: pod(6, 1, 2), dst: pod(6, 1, 3) };
    expect(node(1300).egress(fromPod(1, 2, udpPacket(long, {}, bytes(1400)))).verdicts).toEqual({
      MtuExceeded: 1,
    });
    expect(node(1300).egress(fromPod(1, 2, udpPacket(six, {}, bytes(1400)))).verdicts).toEqual({
      MtuExceeded: 1,
    });
    const free = udpPacket({ ...local, df: false }, {}, bytes(100));
    expect(node(67).egress(fromPod(1, 2, free)).verdicts).toEqual({ Unsplittable: 1 });
    expect(
      node(67).ingress(fromPeer(1, udpPacket({ ...back(4), df: false }, {}, bytes(100)))).verdicts,
    ).toEqual({
      MtuExceeded: 1,
    });
  });
});

describe('fragmentation', () => {
  it('completes a partial checksum first', () => {
    const packet = (checksum: 'full' | 'partial') =>
      udpPacket({ ...there(4), df: false, id: 1 }, { checksum }, bytes(5000));
    const { inner } = carried({}, packet('partial'), vnet({ flags: 1, start: 34, offset: 6 }));
    expect(hex(reassembled(inner))).toBe(hex(hopped(packet('full'))));
  });

  it('is never done to DF packets or IPv6', () => {
    expect(carried({}, udpPacket(there(4), {}, bytes(2000))).verdicts).toEqual({ MtuExceeded: 1 });
    expect(carried({}, udpPacket(there(6), {}, bytes(2000))).verdicts).toEqual({ MtuExceeded: 1 });
  });

  it('stops by name where a tunnel’s MTU leaves no room for payload', () => {
    const packet = udpPacket({ ...there(4), df: false, options: new Uint8Array(40).fill(1) }, {}, bytes(100));
    for (const tunnelMtu of [0, 1, 20, 60, 67])
      expect(carried({ tunnelMtu }, packet).verdicts).toEqual({ Unsplittable: 1 });
    expect(carried({ tunnelMtu: 68 }, packet).verdicts).toEqual({ Forward: 1 });
  });
});

describe('fragments', () => {
  const pieces = (family: 4 | 6, between: { src: string; dst: string }) =>
    [0, 1000, 2000].map((offset) => {
      const body = udp(between, {}, bytes(2400)).slice(offset, offset + 1000);
      const more = offset < 2000;
      return family === 4
        ? ipv4({ ...between, df: false, mf: more, offset, id: 4711 }, body)
        : ipv6({ ...between, extensions: [fragmentHeader(offset, more, 4711)] }, body);
    });

  it.each([4, 6] as const)('of a pod are carried as they are, IPv%i', (family) => {
    for (const packet of pieces(family, there(family))) {
      const { inner, verdicts } = carried({}, packet);
      expect(verdicts).toEqual({ Forward: 1 });
      expect(inner.map(hex)).toEqual([hex(hopped(packet))]);
    }
  });

  it.each([4, 6] as const)('of a peer reach the pod as they are, IPv%i', (family) => {
    const node = nodeOf(1);
    const packets = pieces(family, back(family));
    const { messages } = node.ingress(...packets.map((packet) => fromPeer(1, packet)));
    expect(messages.map(({ bytes }) => hex(bytes))).toEqual(
      packets.map((packet) => hex(concat(vnet(), toPod(1, 2, packet)))),
    );
  });

  const isolated = (cell: number): ClusterOptions => ({
    ports: {
      2: { ingress: { rows: [[deny(1), cell]], ports: [{ protocol: 'udp', port: 53, portClass: 1 }] } },
    },
  });

  it.each([4, 6] as const)('NetworkPolicy 24: follow their first one through policy, IPv%i', (family) => {
    const packets = pieces(family, back(family));
    const fates = (cell: number, order: readonly number[]) => {
      const node = nodeOf(1, isolated(cell));
      return order.map((i) => fate(node.ingress(fromPeer(1, packets[i] as Uint8Array))));
    };
    expect(fates(allow(2), [0, 1, 2])).toEqual(['Forward', 'Forward', 'Forward']);
    expect(fates(deny(2), [0, 1, 2])).toEqual(['PolicyIngress', 'PolicyIngress', 'PolicyIngress']);
    expect(fates(allow(2), [1, 0, 2])).toEqual(['FragmentWithoutFirst', 'Forward', 'Forward']);
  });

  it('follow none of another protocol, datagram or receiver', () => {
    const first = ipv4(
      { ...back(4), df: false, mf: true, id: 7 },
      udp(back(4), { length: 1000 }, bytes(496)),
    );
    for (const other of [{ protocol: 6 }, { id: 8 }, { src: pod(4, 2, 3) }, { protocol: 132 }]) {
      const node = nodeOf(1, isolated(allow(2)));
      const later = ipv4({ ...back(4), df: false, offset: 504, id: 7, ...other }, bytes(400));
      expect(fate(node.ingress(fromPeer(1, first)))).toBe('Forward');
      expect(fate(node.ingress(fromPeer(1, later)))).toBe('FragmentWithoutFirst');
    }
  });

  it('need no first one where no policy asks for ports', () => {
    const [, second] = pieces(4, back(4));
    expect(fate(nodeOf(1).ingress(fromPeer(1, second as Uint8Array)))).toBe('Forward');
  });

  it('are forgotten after 60 s (RFC 8200 §4.5)', () => {
    const [first, second] = pieces(6, back(6)) as [Uint8Array, Uint8Array];
    const node = nodeOf(1, isolated(allow(2)));
    expect(fate(node.ingress(fromPeer(1, first)))).toBe('Forward');
    node.clock += 60_001;
    expect(fate(node.ingress(fromPeer(1, second)))).toBe('FragmentWithoutFirst');
  });

  it('do not pass a pod whose policies are not known yet', () => {
    const node = nodeOf(1, { ports: { 2: { flags: PORT_IS_PENDING } } });
    for (const packet of pieces(4, back(4)))
      expect(fate(node.ingress(fromPeer(1, packet)))).toBe('PolicyPending');
  });
});
