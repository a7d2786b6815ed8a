// The tunnel encapsulation limit, RFC 2473 §4.1.1: packets that say how many tunnels they may still enter.
import { describe, expect, it } from 'vitest';
import { split } from '../../support/offload.ts';
import {
  ACK,
  be,
  concat,
  fromHex,
  hex,
  hopped,
  icmp6,
  ipv6,
  number,
  tcpPacket,
  udpPacket,
  vnet,
} from '../../support/packets.ts';
import { type ClusterOptions, fromPod, nodeOf, pod, toPod, underlay } from '../cluster.ts';

const between = { src: pod(6, 1, 2), dst: pod(6, 2, 2) };
const ipip6: ClusterOptions = { encapsulation: 'ipip', underlay: 6 };
const payload = Uint8Array.from({ length: 200 }, (_, i) => i);

/** A destination options header that holds these options. */
const destinationOptions = (options: string) => ({
  type: 60,
  bytes: concat(be(0, 1), be((options.length / 2 + 2) / 8 - 1, 1), fromHex(options)),
});
const limitOf = (limit: number) => destinationOptions(`0401${hex(be(limit, 1))}010100`);
const hopByHop = { type: 0, bytes: concat(be(0, 2), fromHex('010400000000')) };

const withLimit = (limit: number) => udpPacket({ ...between, extensions: [limitOf(limit)] }, {}, payload);

function datagrams(packet: Uint8Array, options = ipip6, header?: Uint8Array): Uint8Array[] {
  const { messages, verdicts } = nodeOf(1, options).egress(fromPod(1, 2, packet, header));
  expect(verdicts).toEqual({ Forward: 1 });
  return messages.flatMap((one) => one.datagrams);
}

/** What carries an inner packet and, where it has one, its limit. */
function outer(inner: Uint8Array, limit: number | undefined, like: Uint8Array): Uint8Array {
  const flow = number(like, 0, 4) % 0x100000;
  const ends = { src: underlay(6, 1), dst: underlay(6, 2), protocol: 41, flow };
  return ipv6(limit === undefined ? ends : { ...ends, extensions: [limitOf(limit)] }, inner);
}

describe('a packet with a limit that enters an IPv6 tunnel', () => {
  it('passes it on, one less, behind the outer header', () => {
    for (const limit of [1, 2, 4, 255]) {
      const packet = withLimit(limit);
      const [sent] = datagrams(packet) as [Uint8Array];
      expect(hex(sent)).toBe(hex(outer(hopped(packet), limit - 1, sent)));
    }
  });

  it('is found behind other options and headers', () => {
    for (const extensions of [
      [destinationOptions('0000000401070100000000000000')],
      [destinationOptions('0106000000000000040107010000')],
      [hopByHop, limitOf(7)],
    ]) {
      const packet = udpPacket({ ...between, extensions }, {}, payload);
      const [sent] = datagrams(packet) as [Uint8Array];
      expect(hex(sent)).toBe(hex(outer(hopped(packet), 6, sent)));
    }
  });

  it('with 0 left goes no further: a parameter problem points at the limit', () => {
    for (const [extensions, pointer] of [
      [[limitOf(0)], 44],
      [[hopByHop, limitOf(0)], 52],
    ] as const) {
      const packet = udpPacket({ ...between, extensions }, {}, payload);
      const { messages, verdicts } = nodeOf(1, ipip6).egress(fromPod(1, 2, packet));
      expect(verdicts).toEqual({ EncapsulationLimit: 1 });
      const ends = { src: pod(6, 1, 1), dst: between.src };
      const answer = ipv6({ ...ends, protocol: 58 }, icmp6(ends, 4, 0, be(pointer, 4), packet));
      expect(messages.map(({ bytes }) => hex(bytes))).toEqual([hex(concat(vnet(), toPod(1, 2, answer)))]);
    }
  });

  it('takes eight bytes of the tunnel’s MTU', () => {
    const mtu = 1460;
    const node = nodeOf(1, ipip6);
    const fitting = udpPacket({ ...between, extensions: [limitOf(3)] }, {}, new Uint8Array(mtu - 8 - 56));
    expect(datagrams(fitting)[0]?.length).toBe(1500);
    const { verdicts, messages } = node.egress(
      fromPod(1, 2, udpPacket({ ...between, extensions: [limitOf(3)] }, {}, new Uint8Array(mtu - 8 - 55))),
    );
    expect(verdicts).toEqual({ MtuExceeded: 1 });
    expect(number(messages[0]?.bytes ?? new Uint8Array(), 12 + 14 + 40 + 4, 4)).toBe(mtu - 8);
  });

  it('does so in each segment of a superframe', () => {
    const packet = tcpPacket(
      { ...between, extensions: [limitOf(9)] },
      { checksum: 'partial', flags: ACK },
      new Uint8Array(5000).fill(3),
    );
    const sent = datagrams(
      packet,
      ipip6,
      vnet({ flags: 1, gsoType: 4, gsoSize: 1000, start: 62, offset: 16 }),
    );
    expect(sent.map(hex)).toEqual(
      split(hopped(packet), 1000).map((one, i) => hex(outer(one, 8, sent[i] as Uint8Array))),
    );
  });

  it('says nothing about the next packet', () => {
    const plain = udpPacket(between, {}, payload);
    const { messages } = nodeOf(1, ipip6).egress(
      ...[withLimit(5), plain, withLimit(0), plain].map((packet) => fromPod(1, 2, packet)),
    );
    const sent = messages.filter(({ tunnel }) => tunnel === 0).flatMap((one) => one.datagrams);
    expect(sent.map((one) => one[6])).toEqual([60, 41, 41]);
  });
});

describe('a limit says nothing', () => {
  it.each<[string, Uint8Array]>([
    [
      'where the packet has none',
      udpPacket({ ...between, extensions: [destinationOptions('010400000000')] }, {}, payload),
    ],
    [
      'as a hop-by-hop option',
      udpPacket({ ...between, extensions: [{ ...limitOf(0), type: 0 }] }, {}, payload),
    ],
    [
      'where the option is cut by the end of its header',
      udpPacket({ ...between, extensions: [destinationOptions('010200000401')] }, {}, payload),
    ],
    [
      'over IPv4',
      udpPacket({ src: pod(4, 1, 2), dst: pod(4, 2, 2), options: fromHex('04010001') }, {}, payload),
    ],
  ])('%s', (_, packet) => {
    const [sent] = datagrams(packet) as [Uint8Array];
    expect(sent[6]).toBe((packet[0] as number) >> 4 === 6 ? 41 : 4);
    expect(hex(sent.slice(40))).toBe(hex(hopped(packet)));
  });

  it.each<ClusterOptions>([
    { encapsulation: 'vxlan' },
    { encapsulation: 'geneve', underlay: 6 },
    { encapsulation: 'ipip' },
  ])('to a tunnel that is no IPv6 tunnel: $encapsulation over $underlay', (options) => {
    for (const limit of [0, 5]) {
      const [sent] = datagrams(withLimit(limit), options) as [Uint8Array];
      expect(hex(sent.slice(-hopped(withLimit(limit)).length))).toBe(hex(hopped(withLimit(limit))));
    }
  });
});
