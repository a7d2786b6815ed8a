// What comes from peers: what is opened, and the name of every reason why not.

import { describe, expect, it } from 'vitest';
import { RX_FLAG_TRUNCATED } from '../../../asm/layout/burst.ts';
import { FIRST_SOCKET_SLOT } from '../../../asm/layout/memory.ts';
import { SOCKET_NONE, TUNNEL_VXLAN } from '../../../asm/layout/tables.ts';
import {
  be,
  concat,
  ethernet,
  fromHex,
  geneve,
  geneveOption,
  hex,
  ipv4,
  ipv6,
  tcpPacket,
  udpPacket,
  vnet,
  vxlan,
  withTos,
} from '../../support/packets.ts';
import {
  type ClusterOptions,
  type Encapsulation,
  fromPeer,
  GENEVE_SLOT,
  IPIP4_SLOT,
  IPIP6_4_SLOT,
  IPIP6_6_SLOT,
  nodeOf,
  pod,
  portMac,
  routerMac,
  sockets,
  tablesOf,
  toPod,
  tunnelled,
  underlay,
  VNI,
  VXLAN_SLOT,
} from '../cluster.ts';
import { type DatagramIn, fate, TestNode, type TunnelSpec } from '../harness.ts';

const encapsulations: readonly Encapsulation[] = ['vxlan', 'geneve', 'geneve-ip', 'ipip'];
const families = [4, 6] as const;
const combinations = encapsulations.flatMap((encapsulation) =>
  families.map((underlay) => ({ encapsulation, underlay })),
);
const payload = Uint8Array.from({ length: 333 }, (_, i) => i * 3);
const between = (family: 4 | 6) => ({ src: pod(family, 2, 2), dst: pod(family, 1, 2) });

/** What a TAP gets of a burst, as hex. */
const toTaps = (node: TestNode, ...datagrams: DatagramIn[]) => {
  const { messages, verdicts } = node.ingress(...datagrams);
  return { verdicts, frames: messages.map(({ slot, bytes }) => ({ slot, bytes: hex(bytes) })) };
};
const frameOf = (packet: Uint8Array, port = 2) => ({
  slot: port,
  bytes: hex(concat(vnet(), toPod(1, port, packet))),
});

describe.each(combinations)('decapsulation: $encapsulation over IPv$underlay', (options) => {
  const node = nodeOf(1, options);

  it.each(families)('hands IPv%i to the pod as it was, TTL included', (family) => {
    const packets = [
      udpPacket({ ...between(family), ttl: 1, tos: 0x28 }, {}, payload),
      tcpPacket({ ...between(family), dst: pod(family, 1, 3), ttl: 255 }, { flags: 0x02 }),
    ];
    for (const [i, packet] of packets.entries()) {
      const { verdicts, frames } = toTaps(node, fromPeer(1, packet, options));
      expect(verdicts).toEqual({ Forward: 1 });
      expect(frames).toEqual([frameOf(packet, 2 + i)]);
    }
  });

  it('takes a burst of many datagrams, merged or not, in order', () => {
    const packets = Array.from({ length: 5 }, (_, i) => udpPacket(between(4), { sport: 1000 + i }, payload));
    const one = fromPeer(1, packets[0] as Uint8Array, options);
    const isRaw = options.encapsulation === 'ipip';
    const merged = {
      ...one,
      bytes: concat(...packets.map((packet) => tunnelled(1, packet, options))),
      segment: one.bytes.length,
    };
    const singles = packets.map((packet) => fromPeer(1, packet, options));
    const { verdicts, frames } = toTaps(node, ...singles, ...(isRaw ? [] : [merged]));
    expect(verdicts).toEqual({ Forward: isRaw ? 5 : 10 });
    expect(frames).toEqual([...packets, ...(isRaw ? [] : packets)].map((packet) => frameOf(packet)));
  });

  it('names an inner packet that is cut at any length, and never hands it on', () => {
    for (const family of families) {
      const { bytes, ...rest } = fromPeer(1, udpPacket(between(family), {}, payload.slice(0, 12)), options);
      for (let length = 0; length < bytes.length; length++) {
        const { messages, verdicts } = node.ingress({ ...rest, bytes: bytes.slice(0, length) });
        expect(Object.keys(verdicts)).toHaveLength(1);
        expect(verdicts.Forward ?? verdicts.Consumed).toBeUndefined();
        expect(messages).toEqual([]);
      }
    }
  });

  it('drops an unknown outer source, and one that is known by another encapsulation', () => {
    const datagram = fromPeer(1, udpPacket(between(4), {}), options);
    for (const source of [
      '192.0.2.77',
      '2001:db8::77',
      pod(4, 2, 2),
      underlay(options.underlay === 4 ? 6 : 4, 2),
    ]) {
      expect(fate(node.ingress({ ...datagram, source }))).toBe('UnknownPeer');
    }
    const other = options.encapsulation === 'vxlan' ? GENEVE_SLOT : VXLAN_SLOT;
    expect(fate(node.ingress({ ...datagram, slot: other }))).toBe('WrongEncapsulation');
  });

  it('drops a datagram that was longer than its buffer, and one from a socket that is no tunnel', () => {
    const datagram = fromPeer(1, udpPacket(between(4), {}), options);
    expect(fate(node.ingress({ ...datagram, flags: RX_FLAG_TRUNCATED }))).toBe('FrameTooLong');
    node.socket(FIRST_SOCKET_SLOT + 76, SOCKET_NONE);
    expect(fate(node.ingress({ ...datagram, slot: FIRST_SOCKET_SLOT + 76 }))).toBe('WrongEncapsulation');
  });
});

describe('VXLAN (RFC 7348 §5)', () => {
  const node = nodeOf(1);
  const packet = udpPacket(between(4), {}, payload);
  const frame = ethernet({ dst: routerMac(1), src: routerMac(2) }, packet);
  const fateOf = (bytes: Uint8Array) =>
    fate(node.ingress({ slot: VXLAN_SLOT, source: underlay(4, 2), bytes }));

  it('needs the I flag and ignores reserved bits', () => {
    expect(fateOf(vxlan(VNI, frame, 0))).toBe('VxlanNoVni');
    expect(fateOf(vxlan(VNI, frame, 0xf7))).toBe('VxlanNoVni');
    const reserved = vxlan(VNI, frame, 0xff);
    reserved.set([1, 2, 3], 1);
    reserved[7] = 4;
    expect(fateOf(reserved)).toBe('Forward');
  });

  it('keeps VNIs apart', () => {
    expect(fateOf(vxlan(VNI + 1, frame))).toBe('VxlanWrongVni');
    expect(fateOf(vxlan(0, frame))).toBe('VxlanWrongVni');
  });

  it('needs its header', () => {
    for (let length = 0; length < 8; length++)
      expect(fateOf(vxlan(VNI, frame).slice(0, length))).toBe('VxlanTooShort');
    for (let length = 8; length < 22; length++)
      expect(fateOf(vxlan(VNI, frame).slice(0, length))).toBe('FrameTooShort');
  });

  it('drops inner VLAN tags, non-IP, groups and router advertisements by name (§6.1)', () => {
    const inner = (fields: object, content: Uint8Array) =>
      fateOf(vxlan(VNI, ethernet({ dst: routerMac(1), src: routerMac(2), ...fields }, content)));
    expect(inner({ vlans: [5] }, packet)).toBe('VlanTagged');
    expect(inner({ vlans: [5, 6] }, packet)).toBe('VlanTagged');
    expect(inner({ type: 0x88cc }, payload)).toBe('NonIp');
    expect(inner({}, udpPacket({ src: pod(4, 2, 2), dst: '224.0.0.1' }, {}))).toBe('Multicast');
    expect(inner({}, udpPacket({ src: pod(4, 2, 2), dst: '255.255.255.255' }, {}))).toBe('Multicast');
    expect(inner({}, udpPacket({ src: pod(6, 2, 2), dst: 'ff02::1' }, {}))).toBe('Multicast');
    expect(inner({ dst: 'ff:ff:ff:ff:ff:ff' }, packet)).toBe('Multicast');
    const advertisement = (type: number) =>
      ipv6(
        { src: 'fe80::9', dst: 'ff02::1', protocol: 58, ttl: 255 },
        concat(be(type, 1), new Uint8Array(15)),
      );
    expect(inner({}, advertisement(134))).toBe('RouterAdvertisement');
    expect(inner({}, advertisement(137))).toBe('RouterAdvertisement');
  });
});

describe('GENEVE (RFC 8926 §3.4, §3.5)', () => {
  const options: ClusterOptions = { encapsulation: 'geneve' };
  const node = nodeOf(1, options);
  const packet = udpPacket(between(4), {}, payload);
  const frame = ethernet({ dst: routerMac(1), src: routerMac(2) }, packet);
  const fateOf = (bytes: Uint8Array) =>
    fate(node.ingress({ slot: GENEVE_SLOT, source: underlay(4, 2), bytes }));
  const normal = geneveOption(1, 0x02, fromHex('00112233'));
  const critical = geneveOption(1, 0x82, fromHex('00112233'));

  it('drops another version, a control packet (O bit) and an unknown payload', () => {
    for (const version of [1, 2, 3])
      expect(fateOf(geneve({ vni: VNI, version }, frame))).toBe('GeneveVersion');
    expect(fateOf(geneve({ vni: VNI, oam: true }, frame))).toBe('GeneveOam');
    for (const protocol of [0, 0x0806, 0x8847, 0xffff])
      expect(fateOf(geneve({ vni: VNI, protocol }, frame))).toBe('GeneveProtocol');
    expect(fateOf(geneve({ vni: VNI + 1 }, frame))).toBe('GeneveWrongVni');
  });

  it('skips options that are not critical, whatever the C bit says, and drops critical ones', () => {
    expect(fateOf(geneve({ vni: VNI, options: concat(normal, normal) }, frame))).toBe('Forward');
    expect(fateOf(geneve({ vni: VNI, options: concat(normal, normal), critical: true }, frame))).toBe(
      'Forward',
    );
    expect(fateOf(geneve({ vni: VNI, options: concat(normal, critical), critical: true }, frame))).toBe(
      'GeneveCriticalOption',
    );
    expect(fateOf(geneve({ vni: VNI, options: concat(critical, normal) }, frame))).toBe(
      'GeneveCriticalOption',
    );
  });

  it('drops options whose lengths do not add up to Opt Len', () => {
    const longer = concat(normal.slice(0, 3), be(2, 1), normal.slice(4));
    expect(fateOf(geneve({ vni: VNI, options: longer }, frame))).toBe('GeneveOptions');
    expect(fateOf(geneve({ vni: VNI, options: concat(normal, longer) }, frame))).toBe('GeneveOptions');
    expect(fateOf(geneve({ vni: VNI, options: normal, optionLength: 1 }, frame))).toBe('GeneveOptions');
    expect(fateOf(geneve({ vni: VNI, optionLength: 63 }, new Uint8Array(250)))).toBe('GeneveOptions');
  });

  it('ignores reserved bits', () => {
    const reserved = geneve(
      { vni: VNI, options: concat(normal.slice(0, 3), be(0xe1, 1), normal.slice(4)) },
      frame,
    );
    reserved[1] = 0x3f;
    reserved[7] = 0xff;
    expect(fateOf(reserved)).toBe('Forward');
  });

  it('needs its header', () => {
    for (let length = 0; length < 8; length++)
      expect(fateOf(geneve({ vni: VNI }, frame).slice(0, length))).toBe('GeneveTooShort');
    const cutOptions = geneve({ vni: VNI, options: concat(normal, normal) }, frame);
    for (let length = 8; length < 24; length++)
      expect(fateOf(cutOptions.slice(0, length))).toBe('GeneveOptions');
  });

  it('takes Ethernet and IP payload by one tunnel', () => {
    expect(fateOf(geneve({ vni: VNI, protocol: 0x0800 }, packet))).toBe('Forward');
    expect(fateOf(geneve({ vni: VNI, protocol: 0x86dd }, udpPacket(between(6), {}, payload)))).toBe(
      'Forward',
    );
    expect(fateOf(geneve({ vni: VNI }, frame))).toBe('Forward');
  });

  it('drops a payload that is not of the family that the header says', () => {
    expect(fateOf(geneve({ vni: VNI, protocol: 0x86dd }, packet))).toBe('GeneveProtocol');
    expect(fateOf(geneve({ vni: VNI, protocol: 0x0800 }, udpPacket(between(6), {})))).toBe('GeneveProtocol');
  });
});

describe('IPIP (RFC 2003, RFC 2473, RFC 4213)', () => {
  const node = nodeOf(1, { encapsulation: 'ipip' });
  const node6 = nodeOf(1, { encapsulation: 'ipip', underlay: 6 });
  const outer = { src: underlay(4, 2), dst: underlay(4, 1) };
  const raw4 = (bytes: Uint8Array) => fate(node.ingress({ slot: IPIP4_SLOT, source: outer.src, bytes }));
  const raw6 = (slot: number, bytes: Uint8Array) =>
    fate(node6.ingress({ slot, source: underlay(6, 2), bytes }));
  const inner4 = udpPacket(between(4), {}, payload);
  const inner6 = udpPacket(between(6), {}, payload);

  it('drops an inner version that the protocol contradicts, and other protocols', () => {
    expect(raw4(ipv4({ ...outer, protocol: 4 }, inner6))).toBe('IpipProtocol');
    expect(raw4(ipv4({ ...outer, protocol: 41 }, inner4))).toBe('IpipProtocol');
    expect(raw4(ipv4({ ...outer, protocol: 47 }, inner4))).toBe('IpipProtocol');
    expect(raw6(IPIP6_4_SLOT, inner6)).toBe('IpipProtocol');
    expect(raw6(IPIP6_6_SLOT, inner4)).toBe('IpipProtocol');
  });

  it('steps over outer options', () => {
    expect(raw4(ipv4({ ...outer, protocol: 4, options: new Uint8Array(40).fill(1) }, inner4))).toBe(
      'Forward',
    );
  });

  it('drops a datagram that ends with its outer header', () => {
    expect(raw4(ipv4({ ...outer, protocol: 4 }, new Uint8Array()))).toBe('OuterLength');
    expect(raw6(IPIP6_4_SLOT, new Uint8Array())).toBe('OuterLength');
    for (let length = 0; length < 20; length++)
      expect(raw4(ipv4({ ...outer, protocol: 4 }, inner4).slice(0, length))).toBe('OuterLength');
  });

  it('drops what has no hop left (RFC 2003 §3.1)', () => {
    expect(raw4(ipv4({ ...outer, protocol: 4 }, udpPacket({ ...between(4), ttl: 0 }, {})))).toBe(
      'TtlExpired',
    );
    expect(raw6(IPIP6_6_SLOT, udpPacket({ ...between(6), ttl: 0 }, {}))).toBe('TtlExpired');
  });
});

describe('ECN on the way out of a tunnel (RFC 6040 §4.2, figure 4)', () => {
  const [NOT, ECT1, ECT0, CE] = [0, 1, 2, 3] as const;
  const name = ['Not-ECT', 'ECT(1)', 'ECT(0)', 'CE'];
  // [inner, outer, result]
  const table = [
    [NOT, NOT, NOT],
    [NOT, ECT0, NOT],
    [NOT, ECT1, NOT],
    [NOT, CE, null],
    [ECT0, NOT, ECT0],
    [ECT0, ECT0, ECT0],
    [ECT0, ECT1, ECT1],
    [ECT0, CE, CE],
    [ECT1, NOT, ECT1],
    [ECT1, ECT0, ECT1],
    [ECT1, ECT1, ECT1],
    [ECT1, CE, CE],
    [CE, NOT, CE],
    [CE, ECT0, CE],
    [CE, ECT1, CE],
    [CE, CE, CE],
  ] as const; // prettier-ignore
  const cases = table.map(([inner, outer, result]) => ({
    inner,
    outer,
    result,
    title: `${name[inner]} in ${name[outer]}`,
  }));

  describe.each(combinations)('$encapsulation over IPv$underlay', (options) => {
    const node = nodeOf(1, options);

    it.each(cases)('$title', ({ inner, outer, result }) => {
      for (const family of families) {
        // DSCP is the inner one's, whatever the outer says (RFC 2983 §3.1).
        const packet = tcpPacket({ ...between(family), tos: 0x48 | inner }, { flags: 0x02 });
        const datagram = fromPeer(1, packet, options, { tos: 0xb8 | outer });
        const isRaw4 = options.encapsulation === 'ipip' && options.underlay === 4;
        const bytes = isRaw4 ? withTos(datagram.bytes, 0xb8 | outer) : datagram.bytes;
        const { verdicts, frames } = toTaps(node, { ...datagram, bytes });
        if (result === null) {
          expect(verdicts).toEqual({ EcnCongestion: 1 });
          expect(frames).toEqual([]);
        } else {
          expect(verdicts).toEqual({ Forward: 1 });
          expect(frames).toEqual([frameOf(withTos(packet, 0x48 | result))]);
        }
      }
    });
  });
});

describe('inner sources', () => {
  const node = nodeOf(1);
  const fateOf = (src: string, dst: string) => fate(node.ingress(fromPeer(1, udpPacket({ src, dst }, {}))));

  it.each(families)('belong to the peer: its pods, its range, its node, IPv%i', (family) => {
    const dst = pod(family, 1, 2);
    expect(fateOf(pod(family, 2, 2), dst)).toBe('Forward');
    expect(fateOf(pod(family, 2, 99), dst)).toBe('Forward');
    expect(fateOf(underlay(family, 2), dst)).toBe('Forward');
    expect(fateOf(pod(family, 2, 1), dst)).toBe('Forward');
  });

  it.each(families)(
    'are dropped where they are another’s: a pod of this node, this node, another node, the world, IPv%i',
    (family) => {
      const dst = pod(family, 1, 2);
      for (const src of [
        pod(family, 1, 2),
        pod(family, 1, 3),
        pod(family, 1, 99),
        pod(family, 1, 1),
        underlay(family, 1),
        pod(family, 3, 2),
        underlay(family, 3),
        family === 4 ? '198.51.100.1' : '2001:db8:1::1',
      ]) {
        expect(`${src}: ${fateOf(src, dst)}`).toBe(`${src}: InnerSourceSpoofed`);
      }
    },
  );

  it('are dropped where no packet may carry them (RFC 1122 §3.2.1.3, RFC 4291 §2.5)', () => {
    for (const src of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'])
      expect(fateOf(src, pod(4, 1, 2))).toBe('MartianAddress');
    for (const src of ['::', '::1', 'ff02::1', 'fe80::1'])
      expect(fateOf(src, pod(6, 1, 2))).toBe('MartianAddress');
    for (const dst of ['0.0.0.0', '127.0.0.1', '240.0.0.1'])
      expect(fateOf(pod(4, 2, 2), dst)).toBe('MartianAddress');
    for (const dst of ['::', '::1', 'fe80::1']) expect(fateOf(pod(6, 2, 2), dst)).toBe('MartianAddress');
    const mapped = udpPacket({ src: pod(6, 2, 2), dst: pod(6, 1, 2) }, {});
    mapped.set(concat(be(0, 10), be(0xffff, 2), fromHex('0af40202')), 8);
    expect(fate(node.ingress(fromPeer(1, mapped)))).toBe('MartianAddress');
  });

  it('belong to the peer by whichever of its tunnels they come', () => {
    const tables = tablesOf(1);
    const [tunnel] = tables.tunnels as [TunnelSpec];
    const other = { ...tunnel, family: 6 as const, remote: underlay(6, 2), local: underlay(6, 1) };
    const node = new TestNode({
      ...tables,
      tunnels: [tunnel, other, { ...other, peer: 3, remote: underlay(6, 3) }],
      peers: [
        ...tables.peers,
        { address: underlay(6, 2), kind: TUNNEL_VXLAN, tunnel: 1 },
        { address: underlay(6, 3), kind: TUNNEL_VXLAN, tunnel: 2 },
      ],
    });
    sockets(node);
    const by = (source: string, src: string) =>
      fate(node.ingress({ ...fromPeer(1, udpPacket({ src, dst: pod(4, 1, 2) }, {})), source }));
    for (const src of [pod(4, 2, 2), pod(4, 2, 99), underlay(4, 2)]) {
      expect(by(underlay(4, 2), src)).toBe('Forward');
      expect(by(underlay(6, 2), src)).toBe('Forward');
      expect(by(underlay(6, 3), src)).toBe('InnerSourceSpoofed');
    }
  });

  it('never go out by a tunnel again', () => {
    for (const family of families)
      expect(fateOf(pod(family, 2, 2), pod(family, 2, 3))).toBe('TunnelToTunnel');
  });

  it('reach nothing outside the cluster through this node', () => {
    expect(fateOf(pod(4, 2, 2), '198.51.100.1')).toBe('NoRoute');
    expect(fateOf(pod(6, 2, 2), '2001:db8:1::1')).toBe('NoRoute');
  });

  it('keep the MAC that the peer wrote out of the pod’s sight', () => {
    const { messages } = node.ingress(fromPeer(1, udpPacket(between(4), {})));
    expect(hex(messages[0]?.bytes.slice(12, 24) ?? new Uint8Array())).toBe(
      `${portMac(1, 2)}${routerMac(1)}`.replaceAll(':', ''),
    );
  });
});
