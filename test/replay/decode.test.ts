import { describe, expect, it } from 'vitest';
import { type Decoded, readDecoded } from '../../src/replay/decoded.ts';
import { Inspector, type Sample, wellKnownPorts } from '../../src/replay/inspector.ts';
import {
  ACK,
  arp,
  be,
  concat,
  ethernet,
  fragmentHeader,
  fromHex,
  geneve,
  geneveOption,
  ipPacket,
  ipv4,
  ipv6,
  SCTP,
  tcpPacket,
  UDP,
  udp,
  udpPacket,
  vxlan,
} from '../support/packets.ts';

const ETHERNET = 1;
const RAW = 101;
const inspector = new Inspector();

const decode = (data: Uint8Array, sample: Partial<Sample> = {}): Decoded =>
  readDecoded(inspector.inspect({ linkType: ETHERNET, original: data.length, data, ...sample }));
const decodeIp = (data: Uint8Array, sample: Partial<Sample> = {}) =>
  decode(data, { linkType: RAW, ...sample });

const macs = { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' };
const v4 = { src: '10.244.1.2', dst: '10.244.2.3' };
const v6 = { src: 'fd00:244:1::2', dst: 'fd00:244:2::3' };
const outer4 = { src: '192.0.2.1', dst: '192.0.2.2' };
const outer6 = { src: '2001:db8::1', dst: '2001:db8::2' };
const frame4 = ethernet(macs, tcpPacket(v4, { flags: ACK }));
const underlays = [
  ['IPv4', outer4],
  ['IPv6', outer6],
] as const;

const inner4 = {
  ethernet: { ...macs, type: 0x0800, vlans: [] },
  ip: { version: 4, ...v4, protocol: 6, ttl: 64, dscp: 0, ecn: 0, fragment: { offset: 0, more: false } },
  l4: { sport: 40000, dport: 80, checksum: 'ok' },
};

describe('a packet without a tunnel', () => {
  it('is its own outer and inner one', () => {
    expect(decode(frame4)).toEqual({
      outer: { ...v4, protocol: 6, sport: 40000, dport: 80, checksum: 'none' },
      tunnel: null,
      inner: inner4,
      verdict: 'forward',
      reason: null,
    });
  });

  it('shows DSCP, ECN and TTL, with an upper protocol that has no ports', () => {
    const { outer, inner } = decodeIp(
      ipPacket({ ...v6, protocol: 58, tos: 0xb9, ttl: 3 }, new Uint8Array(8)),
    );
    expect(outer).toEqual({ ...v6, protocol: 58, sport: null, dport: null, checksum: 'none' });
    expect(inner).toEqual({
      ethernet: null,
      ip: { version: 6, ...v6, protocol: 58, ttl: 3, dscp: 46, ecn: 1, fragment: { offset: 0, more: false } },
      l4: null,
    });
  });

  it('need not be IP', () => {
    const question = arp({ operation: 1, senderMac: macs.src, senderIp: v4.src, targetIp: v4.dst });
    expect(decode(ethernet({ ...macs, type: 0x0806 }, question))).toEqual({
      outer: null,
      tunnel: null,
      inner: { ethernet: { ...macs, type: 0x0806, vlans: [] }, ip: null, l4: null },
      verdict: 'forward',
      reason: null,
    });
  });

  it('shows VLANs from the outside in, and no type where there is a length', () => {
    expect(decode(ethernet({ ...macs, vlans: [100, 4095] }, tcpPacket(v4, {}))).inner).toMatchObject({
      ethernet: { type: 0x0800, vlans: [100, 4095] },
      ip: v4,
    });
    expect(decode(ethernet({ ...macs, type: 46 }, new Uint8Array(46))).inner).toEqual({
      ethernet: { ...macs, type: null, vlans: [] },
      ip: null,
      l4: null,
    });
  });

  it('shows IPv4-mapped addresses of an IPv6 header as RFC 5952 writes them', () => {
    const mapped = concat(fromHex('00000000000000000000ffff'), Uint8Array.of(10, 0, 0, 1));
    const packet = ipv6({ ...v6, protocol: 59 }, new Uint8Array());
    packet.set(mapped, 8);
    expect(decodeIp(packet).outer?.src).toBe('::ffff:10.0.0.1');
  });
});

describe.each(underlays)('over %s', (_, outer) => {
  const between = { ...outer, protocol: 17, sport: 50000 };

  it('VXLAN is opened', () => {
    expect(decodeIp(udpPacket(outer, { sport: 50000, dport: 4789 }, vxlan(42, frame4)))).toEqual({
      outer: { ...between, dport: 4789, checksum: 'ok' },
      tunnel: { type: 'vxlan', vni: 42, protocol: null, oam: null, critical: null, options: null },
      inner: inner4,
      verdict: 'forward',
      reason: null,
    });
  });

  it('GENEVE is opened, with its options', () => {
    const options = concat(
      geneveOption(0x0102, 0x80, fromHex('01020304')),
      geneveOption(0xffff, 0x7f, new Uint8Array()),
    );
    const payload = geneve({ vni: 0xffffff, critical: true, options }, frame4);
    expect(decodeIp(udpPacket(outer, { sport: 50000, dport: 6081, checksum: 0 }, payload))).toEqual({
      outer: { ...between, dport: 6081, checksum: 'zero' },
      tunnel: {
        type: 'geneve',
        vni: 0xffffff,
        protocol: 0x6558,
        oam: false,
        critical: true,
        options: [
          { class: 0x0102, type: 0, critical: true, length: 8 },
          { class: 0xffff, type: 0x7f, critical: false, length: 4 },
        ],
      },
      inner: inner4,
      verdict: 'drop',
      reason: 'geneve-critical-option',
    });
  });

  it.each([
    ['IPv4', v4, 0x0800],
    ['IPv6', v6, 0x86dd],
  ] as const)('GENEVE may carry %s without Ethernet', (__, inner, protocol) => {
    const payload = geneve({ vni: 7, protocol }, udpPacket(inner, { checksum: 'partial' }));
    expect(decodeIp(udpPacket(outer, { dport: 6081 }, payload))).toMatchObject({
      tunnel: { protocol, options: [] },
      inner: { ethernet: null, ip: inner, l4: { checksum: 'partial' } },
      verdict: 'forward',
    });
  });

  it.each([
    ['IPv4', v4, 4],
    ['IPv6', v6, 41],
  ] as const)('%s in IP is opened', (__, inner, protocol) => {
    expect(decodeIp(ipPacket({ ...outer, protocol }, tcpPacket(inner, {})))).toMatchObject({
      outer: { ...outer, protocol, sport: null, dport: null, checksum: 'none' },
      tunnel: { type: 'ipip', vni: null, protocol, oam: null, critical: null, options: null },
      inner: { ethernet: null, ip: { ...inner, protocol: 6 }, l4: { checksum: 'ok' } },
      verdict: 'forward',
    });
  });

  it('only the outermost of two tunnels is opened', () => {
    const within = ethernet(macs, udpPacket(v4, { dport: 4789 }, vxlan(2, frame4)));
    expect(decodeIp(udpPacket(outer, { dport: 6081 }, geneve({ vni: 1 }, within)))).toMatchObject({
      tunnel: { type: 'geneve', vni: 1 },
      inner: { ip: { ...v4, protocol: 17 }, l4: { dport: 4789 } },
    });
  });

  it('a partial outer checksum is recognised', () => {
    const packet = udpPacket(outer, { dport: 4789, checksum: 'partial' }, vxlan(1, frame4));
    expect(decodeIp(packet)).toMatchObject({ outer: { checksum: 'partial' }, verdict: 'forward' });
  });

  it('a bad outer checksum is a drop, a bad inner one is not', () => {
    const bad = ethernet(macs, udpPacket(v4, { checksum: 0xdead }));
    expect(decodeIp(udpPacket(outer, { dport: 4789, checksum: 0xdead }, vxlan(1, frame4)))).toMatchObject({
      outer: { checksum: 'bad' },
      tunnel: { vni: 1 },
      verdict: 'drop',
      reason: 'outer-checksum',
    });
    expect(decodeIp(udpPacket(outer, { dport: 4789 }, vxlan(1, bad)))).toMatchObject({
      inner: { l4: { checksum: 'bad' } },
      verdict: 'forward',
    });
  });

  it('a tunnel is known by its destination port alone', () => {
    const packet = udpPacket(outer, { sport: 4789, dport: 1234 }, vxlan(1, frame4));
    expect(decodeIp(packet).tunnel).toBeNull();
    const more = new Inspector({ vxlan: [1234], geneve: wellKnownPorts.geneve });
    expect(
      readDecoded(more.inspect({ linkType: RAW, data: packet, original: packet.length })).tunnel?.type,
    ).toBe('vxlan');
  });

  it.each([
    ['vxlan-too-short', 4789, vxlan(1, new Uint8Array()).subarray(0, 7), null],
    ['vxlan-no-vni', 4789, vxlan(9, frame4, 0), 9],
    ['frame-too-short', 8472, vxlan(9, frame4.subarray(0, 13)), 9],
    ['geneve-too-short', 6081, geneve({ vni: 1 }, new Uint8Array()).subarray(0, 7), null],
    ['geneve-version', 6081, geneve({ vni: 9, version: 1 }, frame4), 9],
    ['geneve-oam', 6081, geneve({ vni: 9, oam: true }, frame4), 9],
    ['geneve-protocol', 6081, geneve({ vni: 9, protocol: 0x8847 }, frame4), 9],
    ['geneve-options', 6081, geneve({ vni: 9, optionLength: 63 }, frame4), 9],
    ['geneve-options', 6081, geneve({ vni: 9, options: fromHex('000000ff00000000') }, frame4), 9],
  ])('%s', (reason, dport, payload, vni) => {
    expect(decodeIp(udpPacket(outer, { dport }, payload))).toMatchObject({
      tunnel: { vni },
      verdict: 'drop',
      reason,
    });
  });

  it('what a tunnel carries must be well formed, too', () => {
    const damaged = tcpPacket(v4, {});
    damaged[10] = (damaged[10] as number) ^ 1;
    expect(decodeIp(udpPacket(outer, { dport: 4789 }, vxlan(1, ethernet(macs, damaged))))).toMatchObject({
      inner: { ip: v4 },
      verdict: 'drop',
      reason: 'ipv4-checksum',
    });
  });
});

describe('fragments', () => {
  const whole = udp(v4, { dport: 4789 }, vxlan(1, frame4));

  it('the first of an IPv4 packet shows its ports and the tunnel, and no checksum verdict', () => {
    const first = ipv4({ ...v4, protocol: UDP, df: false, mf: true }, whole.subarray(0, 64));
    expect(decodeIp(first)).toMatchObject({
      outer: { dport: 4789, checksum: 'none' },
      tunnel: { vni: 1 },
      verdict: 'forward',
    });
    const plain = ipv4(
      { ...v4, protocol: UDP, df: false, mf: true },
      udp(v4, { length: 100 }, new Uint8Array(56)),
    );
    expect(decodeIp(plain).inner).toMatchObject({
      ip: { fragment: { offset: 0, more: true } },
      l4: { dport: 53, checksum: 'none' },
    });
  });

  it('a later one shows neither', () => {
    const later = ipv4({ ...v4, protocol: UDP, df: false, offset: 1480 }, whole.subarray(64));
    expect(decodeIp(later)).toMatchObject({
      outer: { protocol: UDP, sport: null, dport: null },
      tunnel: null,
      inner: { ip: { fragment: { offset: 1480, more: false } }, l4: null },
      verdict: 'forward',
    });
  });

  it('of IPv6 are told by their header, also where it holds a whole packet (RFC 6946)', () => {
    const later = ipv6(
      { ...v6, protocol: UDP, extensions: [fragmentHeader(1448, true, 1)] },
      new Uint8Array(48),
    );
    expect(decodeIp(later).inner).toMatchObject({
      ip: { protocol: UDP, fragment: { offset: 1448, more: true } },
      l4: null,
    });
    const atomic = ipv6({ ...v6, protocol: UDP, extensions: [fragmentHeader(0, false, 1)] }, udp(v6, {}));
    expect(decodeIp(atomic).inner).toMatchObject({
      ip: { fragment: { offset: 0, more: false } },
      l4: { checksum: 'ok' },
    });
  });
});

describe('IPv6 extension headers', () => {
  const options = (type: number, bytes = 8) => ({
    type,
    bytes: concat(be(0, 1), be(bytes / 8 - 1, 1), be(1, 1), be(bytes - 4, 1), new Uint8Array(bytes - 4)),
  });

  it('are walked to the upper protocol', () => {
    const extensions = [
      options(0, 16),
      options(60),
      { type: 51, bytes: concat(be(0, 1), be(4, 1), new Uint8Array(22)) },
    ];
    const packet = ipv6(
      { ...v6, protocol: UDP, extensions },
      udp(v6, { dport: 6081 }, geneve({ vni: 3 }, frame4)),
    );
    expect(decodeIp(packet)).toMatchObject({
      outer: { protocol: UDP, dport: 6081, checksum: 'ok' },
      tunnel: { vni: 3 },
    });
  });

  it('may route: the checksum covers the last destination', () => {
    const last = 'fd00:244:9::9';
    const routing = {
      type: 43,
      bytes: concat(
        be(0, 1),
        be(2, 1),
        be(0, 1),
        be(1, 1),
        be(0, 4),
        ipv6({ ...v6, dst: last }, new Uint8Array()).subarray(24, 40),
      ),
    };
    const packet = ipv6({ ...v6, protocol: UDP, extensions: [routing] }, udp({ src: v6.src, dst: last }, {}));
    expect(decodeIp(packet)).toMatchObject({ outer: { ...v6, checksum: 'ok' } });
  });
});

describe('SCTP', () => {
  // INIT with the CRC-32c that a Linux host put there.
  const packet = (crc: string) =>
    ipv4({ ...v4, protocol: SCTP }, fromHex(`80440000 00000000 ${crc} 00000000`.replaceAll(' ', '')));

  it('has a CRC-32c', () => {
    const computed = crc32c(Buffer.from(packet('00000000').subarray(20)));
    const good = Buffer.alloc(4);
    good.writeUInt32LE(computed);
    expect(decodeIp(packet(good.toString('hex'))).inner?.l4).toEqual({
      sport: 0x8044,
      dport: 0,
      checksum: 'ok',
    });
    expect(decodeIp(packet('00000000')).inner?.l4?.checksum).toBe('bad');
  });

  /** RFC 9260 appendix A, bit by bit. */
  function crc32c(bytes: Uint8Array): number {
    let crc = 0xffffffff;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc >>> 0;
  }
});

describe('a packet cut short by the capture', () => {
  it('is decoded as far as it goes, without checksum verdicts', () => {
    const packet = udpPacket(outer4, { dport: 4789 }, vxlan(5, frame4));
    expect(decodeIp(packet.subarray(0, 70), { original: packet.length })).toMatchObject({
      outer: { ...outer4, dport: 4789, checksum: 'none' },
      tunnel: { type: 'vxlan', vni: 5 },
      inner: { ethernet: { ...macs }, ip: { ...v4 }, l4: null },
      verdict: 'drop',
      reason: 'capture-truncated',
    });
  });

  it('may be cut in its padding only', () => {
    expect(decode(frame4, { original: frame4.length + 6 })).toMatchObject({
      inner: { l4: { checksum: 'none' } },
      reason: 'capture-truncated',
    });
  });
});

describe('link types', () => {
  const packet = tcpPacket(v4, {});
  const packet6 = tcpPacket(v6, {});
  const cooked = (protocol: number, payload: Uint8Array, hardware = 1) =>
    concat(be(0, 2), be(hardware, 2), be(6, 2), new Uint8Array(8), be(protocol, 2), payload);
  const cooked2 = (protocol: number, payload: Uint8Array) =>
    concat(be(protocol, 2), be(0, 2), be(3, 4), be(1, 2), be(0, 1), be(6, 1), new Uint8Array(8), payload);

  it.each<[string, number, Uint8Array]>([
    ['raw IP', 101, packet],
    ['raw IP of BSD', 12, packet6],
    ['raw IP of OpenBSD', 14, packet],
    ['IPv4', 228, packet],
    ['IPv6', 229, packet6],
    ['Linux cooked', 113, cooked(0x0800, packet)],
    ['Linux cooked with a VLAN tag', 113, cooked(0x8100, concat(be(5, 2), be(0x86dd, 2), packet6))],
    ['Linux cooked, version 2', 276, cooked2(0x86dd, packet6)],
    ['BSD loopback, little-endian', 0, concat(fromHex('02000000'), packet)],
    ['BSD loopback, big-endian', 0, concat(fromHex('00000002'), packet)],
    ['BSD loopback with IPv6 of Darwin', 0, concat(fromHex('1e000000'), packet6)],
    ['OpenBSD loopback', 108, concat(fromHex('00000018'), packet6)],
  ])('%s', (_, linkType, data) => {
    expect(decode(data, { linkType })).toMatchObject({
      inner: { ethernet: null, ip: { protocol: 6 }, l4: { checksum: 'ok' } },
      verdict: 'forward',
    });
  });

  it.each<[string, number, Uint8Array]>([
    ['of a link type that is not known', 105, packet],
    ['ARP in a Linux cooked capture', 113, cooked(0x0806, new Uint8Array(28))],
    ['a netlink message in a Linux cooked capture', 113, cooked(0x0800, packet, 824)],
    ['of another protocol family', 0, concat(fromHex('07000000'), packet)],
    ['neither IPv4 nor IPv6', 101, fromHex('50000000')],
    ['nothing at all', 101, new Uint8Array()],
  ])('%s is no packet', (_, linkType, data) => {
    expect(decode(data, { linkType })).toEqual({
      outer: null,
      tunnel: null,
      inner: null,
      verdict: 'drop',
      reason: 'link-type',
    });
  });
});

describe('malformed headers', () => {
  const damaged = (packet: Uint8Array, at: number, ...bytes: number[]) => {
    const copy = packet.slice();
    copy.set(bytes, at);
    return copy;
  };

  it.each<[string, Uint8Array, object | null]>([
    ['ipv4-checksum', damaged(tcpPacket(v4, {}), 8, 63), { dport: 80 }],
    ['ipv4-header', damaged(tcpPacket(v4, {}), 0, 0x44), null],
    ['ipv4-length', damaged(tcpPacket(v4, {}), 2, 0, 19), null],
    ['ipv4-length', damaged(tcpPacket(v4, {}), 2, 1, 0), { dport: 80 }],
    ['ipv6-length', damaged(tcpPacket(v6, {}), 4, 1, 0), { dport: 80 }],
    ['ipv6-header', tcpPacket(v6, {}).subarray(0, 39), null],
    ['tcp-header', damaged(tcpPacket(v4, {}), 32, 0x40), { dport: 80, checksum: 'none' }],
    ['udp-header', udpPacket(v6, { length: 7 }), { dport: 53 }],
  ])('%s', (reason, packet, outer) => {
    const decoded = decodeIp(packet);
    expect(decoded).toMatchObject({ verdict: 'drop', reason });
    if (outer === null) expect(decoded.outer).toBeNull();
    else expect({ ...decoded.outer, ...decoded.inner?.l4 }).toMatchObject(outer);
  });

  it('an Ethernet header cut short is nothing', () => {
    expect(decode(frame4.subarray(0, 13))).toMatchObject({
      inner: null,
      verdict: 'drop',
      reason: 'frame-too-short',
    });
  });
});
