// What is well formed: every header, cut at every length, and each of its lies. Frames of a pod through egress().
import { describe, expect, it } from 'vitest';
import {
  ACK,
  be,
  concat,
  echoPacket,
  ethernet,
  fragmentHeader,
  icmp6,
  ipPacket,
  ipv4,
  ipv6,
  SCTP,
  TCP,
  tcp,
  tcpPacket,
  udp,
  udpPacket,
  vnet,
  withHeaderChecksum,
} from '../../support/packets.ts';
import { fromPod, nodeOf, pod, portMac, routerMac } from '../cluster.ts';
import { fate } from '../harness.ts';

const node = nodeOf(1);
const v4 = { src: pod(4, 1, 2), dst: pod(4, 2, 2) };
const v6 = { src: pod(6, 1, 2), dst: pod(6, 2, 2) };
const ends = { 4: v4, 6: v6 };
const families = [4, 6] as const;
const payload = Uint8Array.from({ length: 40 }, (_, i) => i);
const eightBytes = new Uint8Array(8);
const destinationOptions = { type: 60, bytes: eightBytes };

const fateOf = (packet: Uint8Array, header?: Uint8Array) => fate(node.egress(fromPod(1, 2, packet, header)));
const patched = (packet: Uint8Array, at: number, ...bytes: number[]) => {
  const copy = packet.slice();
  copy.set(bytes, at);
  return copy;
};
/** An IPv4 packet with a changed header whose checksum is right. */
const patched4 = (packet: Uint8Array, at: number, ...bytes: number[]) =>
  withHeaderChecksum(patched(packet, at, ...bytes));

const wellFormed: Record<string, Uint8Array> = {
  'TCP over IPv4': tcpPacket(v4, {}, payload),
  'TCP with options over IPv4': tcpPacket(v4, { options: new Uint8Array(40).fill(1) }, payload),
  'UDP over IPv4': udpPacket(v4, {}, payload),
  'UDP over IPv4 with options': udpPacket({ ...v4, options: new Uint8Array(40).fill(1) }, {}, payload),
  'ICMP echo': echoPacket(v4),
  'SCTP over IPv4': ipv4({ ...v4, protocol: 132 }, concat(be(1, 2), be(2, 2), be(1, 4), be(0, 4), payload)),
  'an unknown protocol over IPv4': ipv4({ ...v4, protocol: 253 }, payload),
  'TCP over IPv6': tcpPacket(v6, {}, payload),
  'UDP over IPv6': udpPacket(v6, {}, payload),
  'ICMPv6 echo': echoPacket(v6),
  'SCTP over IPv6': ipv6({ ...v6, protocol: 132 }, concat(be(1, 2), be(2, 2), be(1, 4), be(0, 4), payload)),
  'UDP behind hop-by-hop, routing, destination options and a fragment header that splits nothing (RFC 6946)':
    udpPacket(
      {
        ...v6,
        extensions: [
          { type: 0, bytes: eightBytes },
          { type: 43, bytes: eightBytes },
          fragmentHeader(0, false, 9),
          { type: 60, bytes: patched(new Uint8Array(24), 1, 2) },
        ],
      },
      {},
      payload,
    ),
  'UDP behind an authentication header (RFC 4302)': udpPacket(
    { ...v6, extensions: [{ type: 51, bytes: patched(new Uint8Array(24), 1, 4) }] },
    {},
    payload,
  ),
  'no next header (RFC 8200 §4.7)': ipv6({ ...v6, protocol: 59 }, payload),
  'a first fragment': ipv4({ ...v4, df: false, mf: true, id: 77 }, udp(v4, { length: 400 }, payload)),
  'a later fragment': ipv4({ ...v4, df: false, offset: 48, id: 77 }, payload),
  'a later IPv6 fragment, behind which no header is looked for (RFC 8200 §4.5)': ipv6(
    { ...v6, protocol: 0, extensions: [fragmentHeader(48, false, 78)] },
    patched(eightBytes, 1, 200),
  ),
};

describe('parse', () => {
  it.each(Object.entries(wellFormed))('takes %s', (_, packet) => {
    expect(fateOf(packet)).toBe('Forward');
  });

  it('ignores padding behind the IP packet', () => {
    for (const packet of Object.values(wellFormed)) {
      const frame = concat(
        ethernet({ dst: routerMac(1), src: portMac(1, 2) }, packet),
        new Uint8Array(46).fill(0xee),
      );
      const { messages, verdicts } = node.egress({ port: 2, frame });
      expect(verdicts).toEqual({ Forward: 1 });
      expect(messages[0]?.bytes.length).toBe(8 + 14 + packet.length);
    }
  });

  it('names the drop at every length to which a frame is cut', () => {
    for (const [name, packet] of Object.entries(wellFormed)) {
      const frame = ethernet({ dst: routerMac(1), src: portMac(1, 2) }, packet);
      const isV4 = (packet[0] as number) >> 4 === 4;
      const header = isV4 ? ((packet[0] as number) & 15) * 4 : 40;
      for (let length = 0; length < frame.length; length++) {
        const got = fate(node.egress({ port: 2, frame: frame.slice(0, length) }));
        const expected =
          length < 14
            ? 'FrameTooShort'
            : length < 14 + header
              ? isV4
                ? 'Ipv4Header'
                : 'Ipv6Header'
              : isV4
                ? 'Ipv4Length'
                : 'Ipv6Length';
        expect(`${name} cut to ${length}: ${got}`).toBe(`${name} cut to ${length}: ${expected}`);
      }
    }
  });

  it('names the drop of a frame that is shorter than its vnet header', () => {
    for (let length = 0; length < 12; length++) {
      node.frameDescriptor(0, 0x400000 + 0x10000 + 192, length, 2);
      expect(fate(node.run('egress', 1))).toBe('FrameTooShort');
    }
  });

  describe.each(families)('transport headers over IPv%i', (family) => {
    const at = ends[family];
    const wrap = (protocol: number, transport: Uint8Array) => ipPacket({ ...at, protocol }, transport);

    it.each([
      ['TCP', 6, 'TcpHeader', tcp(at, { options: new Uint8Array(12) }), 32],
      ['UDP', 17, 'UdpHeader', udp(at, {}, payload), 48],
      ['SCTP', 132, 'SctpHeader', new Uint8Array(12), 12],
      ['ICMP', family === 4 ? 1 : 58, 'IcmpHeader', new Uint8Array(8), 8],
    ] as const)('cut at every length: %s', (_, protocol, verdict, transport, whole) => {
      for (let length = 0; length < whole; length++) {
        expect(fateOf(wrap(protocol, transport.slice(0, length)))).toBe(verdict);
      }
      expect(fateOf(wrap(protocol, transport.slice(0, whole)))).toBe('Forward');
    });

    it('TCP whose data offset is too small or too large (RFC 9293 §3.1)', () => {
      const segment = tcp(at, {}, payload);
      for (const words of [0, 1, 4])
        expect(fateOf(wrap(6, patched(segment, 12, words << 4)))).toBe('TcpHeader');
      expect(fateOf(wrap(6, patched(segment.slice(0, 50), 12, 15 << 4)))).toBe('TcpHeader');
    });

    it('UDP whose length is too small or too large (RFC 768)', () => {
      for (const length of [0, 7, 49, 0xffff])
        expect(fateOf(wrap(17, udp(at, { length }, payload)))).toBe('UdpHeader');
      expect(fateOf(wrap(17, udp(at, { length: 8 }, payload)))).toBe('Forward');
    });

    it('ICMP of the other family is a protocol like any other', () => {
      expect(fateOf(wrap(family === 4 ? 58 : 1, new Uint8Array(1)))).toBe('Forward');
    });
  });

  it.each([
    ['a version that is not 4', patched4(wellFormed['UDP over IPv4'] as Uint8Array, 0, 0x55), 'Ipv4Header'],
    ['a header length below 20', patched4(wellFormed['UDP over IPv4'] as Uint8Array, 0, 0x44), 'Ipv4Header'],
    [
      'a header length beyond the frame',
      patched(ipv4({ ...v4, protocol: 253 }, new Uint8Array(4)), 0, 0x4f),
      'Ipv4Header',
    ],
    [
      'a total length below the header',
      patched4(wellFormed['UDP over IPv4'] as Uint8Array, 2, 0, 19),
      'Ipv4Length',
    ],
    [
      'a total length beyond the frame',
      patched4(wellFormed['UDP over IPv4'] as Uint8Array, 2, 0xff, 0xff),
      'Ipv4Length',
    ],
    ['a wrong header checksum', patched(wellFormed['UDP over IPv4'] as Uint8Array, 10, 0, 0), 'Ipv4Checksum'],
    [
      'a fragment that ends behind 65535',
      ipv4({ ...v4, df: false, offset: 65528 }, payload),
      'FragmentMalformed',
    ],
    [
      'a fragment of no multiple of 8 bytes with more to come',
      ipv4({ ...v4, df: false, mf: true }, new Uint8Array(20)),
      'FragmentMalformed',
    ],
    ['an empty fragment', ipv4({ ...v4, df: false, offset: 8 }, new Uint8Array()), 'FragmentMalformed'],
    ...[TCP, SCTP].map((protocol): [string, Uint8Array, string] => [
      `a fragment over the header of protocol ${protocol} (RFC 1858)`,
      ipv4({ ...v4, protocol, df: false, offset: 8 }, payload),
      'FragmentMalformed',
    ]),
  ])('IPv4 with %s (RFC 791)', (_, packet, verdict) => {
    expect(fateOf(packet)).toBe(verdict);
  });

  const extended = (...extensions: { type: number; bytes: Uint8Array }[]) =>
    udpPacket({ ...v6, extensions }, {}, payload);
  it.each([
    [
      'a payload length beyond the frame',
      patched(wellFormed['UDP over IPv6'] as Uint8Array, 4, 0xff, 0xff),
      'Ipv6Length',
    ],
    [
      'an extension header that ends behind the packet',
      extended({ type: 60, bytes: patched(eightBytes, 1, 255) }),
      'Ipv6Extension',
    ],
    [
      'an extension header of which 8 bytes are not there',
      ipv6({ ...v6, protocol: 60 }, new Uint8Array(7)),
      'Ipv6Extension',
    ],
    [
      '17 extension headers',
      extended(...Array.from({ length: 17 }, () => destinationOptions)),
      'Ipv6Extension',
    ],
    ['16 extension headers', extended(...Array.from({ length: 16 }, () => destinationOptions)), 'Forward'],
    ['a fragment that ends behind 65535', extended(fragmentHeader(65528, false, 1)), 'FragmentMalformed'],
    [
      'a fragment of no multiple of 8 bytes with more to come',
      ipv6({ ...v6, extensions: [fragmentHeader(0, true, 1)] }, udp(v6, {}, new Uint8Array(5))),
      'FragmentMalformed',
    ],
    [
      'a fragment over a TCP header',
      ipv6({ ...v6, protocol: TCP, extensions: [fragmentHeader(16, false, 1)] }, payload),
      'FragmentMalformed',
    ],
    [
      'an empty fragment',
      ipv6({ ...v6, extensions: [fragmentHeader(8, false, 1)] }, new Uint8Array()),
      'FragmentMalformed',
    ],
  ])('IPv6 with %s (RFC 8200 §4)', (_, packet, verdict) => {
    expect(fateOf(packet)).toBe(verdict);
  });

  it('an EtherType that the version contradicts', () => {
    const as = (type: number, packet: Uint8Array) =>
      fate(
        node.egress({ port: 2, frame: ethernet({ dst: routerMac(1), src: portMac(1, 2), type }, packet) }),
      );
    expect(as(0x86dd, wellFormed['UDP over IPv4'] as Uint8Array)).toBe('Ipv6Header');
    expect(as(0x0800, wellFormed['UDP over IPv6'] as Uint8Array)).toBe('Ipv4Header');
    expect(as(0x88cc, payload)).toBe('NonIp');
    // 802.3 with a length instead of a type.
    expect(as(0x0026, payload)).toBe('NonIp');
  });

  it('VLAN tags, cut or too many (IEEE 802.1Q)', () => {
    const tagged = (vlans: number[]) =>
      ethernet({ dst: routerMac(1), src: portMac(1, 2), vlans }, wellFormed['UDP over IPv4'] as Uint8Array);
    for (const vlans of [[1], [1, 2], [1, 2, 3, 4]]) {
      expect(fate(node.egress({ port: 2, frame: tagged(vlans) }))).toBe('VlanTagged');
    }
    expect(fate(node.egress({ port: 2, frame: tagged([1, 2, 3, 4, 5]) }))).toBe('FrameTooShort');
    for (const length of [14, 15, 17]) {
      expect(fate(node.egress({ port: 2, frame: tagged([1]).slice(0, length) }))).toBe('FrameTooShort');
    }
  });

  it('ICMPv6 with an odd length', () => {
    expect(fateOf(ipv6({ ...v6, protocol: 58 }, icmp6(v6, 128, 0, be(0, 4), new Uint8Array(3))))).toBe(
      'Forward',
    );
  });
});

describe('virtio_net_hdr that contradicts its frame', () => {
  const [CSUM, TCP4, UFO, TCP6, UDP_L4, ECN] = [1, 1, 3, 4, 5, 0x80];
  const large = new Uint8Array(3000);
  const tcp4 = tcpPacket(v4, { flags: ACK, checksum: 'partial' }, large);
  const tcp6 = tcpPacket(v6, { flags: ACK, checksum: 'partial' }, large);
  const udp4 = udpPacket(v4, { checksum: 'partial' }, large);
  const right4 = { flags: CSUM, gsoType: TCP4, gsoSize: 1000, start: 34, offset: 16 };
  const right6 = { ...right4, gsoType: TCP6, start: 54 };
  const rightUdp = { ...right4, gsoType: UDP_L4, offset: 6 };

  it.each([
    ['TCP over IPv4', tcp4, right4],
    ['TCP over IPv6', tcp6, right6],
    ['UDP', udp4, rightUdp],
    ['TCP with the ECN bit', tcp4, { ...right4, gsoType: TCP4 | ECN }],
    ['a size that holds all of it', tcpPacket(v4, { checksum: 'partial' }, large.slice(0, 900)), right4],
  ])('takes what is right: %s', (_, packet, fields) => {
    expect(fateOf(packet, vnet(fields))).toBe('Forward');
  });

  it.each([
    ['a checksum that begins before the transport header', udp4, { flags: CSUM, start: 33, offset: 6 }],
    ['a checksum that begins at 0', udp4, { flags: CSUM, start: 0, offset: 6 }],
    ['a checksum field behind the end', udp4, { flags: CSUM, start: 34, offset: 3007 }],
    ['a checksum that begins behind the end', udp4, { flags: CSUM, start: 65535, offset: 65535 }],
    ['TCPv4 of an IPv6 packet', tcp6, { ...right6, gsoType: TCP4 }],
    ['TCPv6 of an IPv4 packet', tcp4, { ...right4, gsoType: TCP6 }],
    ['TCP of UDP', udp4, { ...rightUdp, gsoType: TCP4 }],
    ['UDP of TCP', tcp4, { ...right4, gsoType: UDP_L4 }],
    ['a type that is not offered (UFO)', udp4, { ...rightUdp, gsoType: UFO }],
    ['an unknown type', tcp4, { ...right4, gsoType: 6 }],
    ['segments of no bytes', tcp4, { ...right4, gsoSize: 0 }],
    ['a superframe whose checksum is not open', tcp4, { ...right4, flags: 0 }],
    ['a superframe whose checksum begins elsewhere', tcp4, { ...right4, start: 35 }],
    [
      'a superframe that is a later fragment',
      ipv4({ ...v4, protocol: 6, df: false, offset: 48, mf: true }, large),
      right4,
    ],
    ['a superframe that is echo', echoPacket(v4, 1, large), right4],
  ])('%s', (_, packet, fields) => {
    expect(fateOf(packet, vnet(fields))).toBe('VnetHeader');
  });
});
