// ARP (RFC 826, RFC 5227) and neighbour discovery (RFC 4861) answered by the data path, byte by byte.
import { describe, expect, it } from 'vitest';
import { STAT_GENERATED } from '../../../asm/layout/tables.ts';
import {
  arp,
  be,
  concat,
  ethernet,
  geneve,
  hex,
  icmp6,
  ip,
  ipv6,
  mac,
  neighborAdvertisement,
  neighborSolicitation,
  vnet,
  vxlan,
} from '../../support/packets.ts';
import {
  GATEWAY4,
  GATEWAY6,
  GENEVE_SLOT,
  nodeOf,
  pod,
  portMac,
  routerMac,
  underlay,
  VNI,
  VXLAN_SLOT,
} from '../cluster.ts';
import { fate } from '../harness.ts';

const broadcast = 'ff:ff:ff:ff:ff:ff';
const node = nodeOf(1);
const fromPort = (port: number, frame: Uint8Array) => node.egress({ port, frame });
const fromTunnel = (frame: Uint8Array) =>
  node.ingress({ slot: VXLAN_SLOT, source: underlay(4, 2), bytes: vxlan(VNI, frame) });

const request = (senderIp: string, targetIp: string, senderMac = portMac(1, 2), operation = 1) =>
  ethernet(
    { dst: broadcast, src: senderMac, type: 0x0806 },
    arp({ operation, senderMac, senderIp, targetIp }),
  );
const reply = (senderIp: string, targetIp: string, targetMac: string) =>
  ethernet(
    { dst: targetMac, src: routerMac(1), type: 0x0806 },
    arp({ operation: 2, senderMac: routerMac(1), senderIp, targetMac, targetIp }),
  );

describe('a TAP that the tables do not know', () => {
  it('gets no answer, by name', () => {
    const solicitation = neighborSolicitation({ src: pod(6, 1, 2), dst: GATEWAY6 }, GATEWAY6, portMac(1, 2));
    for (const frame of [
      request(pod(4, 1, 2), GATEWAY4),
      ethernet({ dst: broadcast, src: portMac(1, 2) }, solicitation),
    ])
      for (const port of [9, 2000]) expect(fate(fromPort(port, frame))).toBe('PortDown');
  });
});

describe('ARP from a pod', () => {
  it('asking for the gateway is answered', () => {
    for (const padding of [0, 18]) {
      const frame = concat(request(pod(4, 1, 2), GATEWAY4), new Uint8Array(padding));
      const { messages, verdicts, stats } = fromPort(2, frame);
      expect(verdicts).toEqual({ Consumed: 1 });
      expect(stats[STAT_GENERATED]).toBe(1);
      expect(messages.map(({ slot, frames, bytes }) => [slot, frames, hex(bytes)])).toEqual([
        [2, 0, hex(concat(vnet(), reply(GATEWAY4, pod(4, 1, 2), portMac(1, 2))))],
      ]);
    }
  });

  it('of a node TAP is answered whatever address it asks from', () => {
    expect(fate(fromPort(0, request(underlay(4, 1), GATEWAY4, portMac(1, 0))))).toBe('Consumed');
    expect(fate(fromPort(1, request('198.51.100.1', GATEWAY4, portMac(1, 1))))).toBe('Consumed');
  });

  it.each([
    ['for another pod', request(pod(4, 1, 2), pod(4, 1, 3)), 'ArpIgnored'],
    ['for itself (an announcement, RFC 5227 §2.3)', request(pod(4, 1, 2), pod(4, 1, 2)), 'ArpIgnored'],
    ['as a probe for its own address (RFC 5227 §2.1.1)', request('0.0.0.0', pod(4, 1, 2)), 'ArpIgnored'],
    ['as a probe for the gateway', request('0.0.0.0', GATEWAY4), 'ArpIgnored'],
    ['as a reply', request(pod(4, 1, 2), GATEWAY4, portMac(1, 2), 2), 'ArpIgnored'],
    ['as another pod', request(pod(4, 1, 3), GATEWAY4), 'SourceSpoofed'],
    ['as nobody that lives', request(pod(4, 1, 77), GATEWAY4), 'SourceSpoofed'],
    ['as a pod of a peer', request(pod(4, 2, 2), GATEWAY4), 'SourceSpoofed'],
    ['from another MAC', request(pod(4, 1, 2), GATEWAY4, portMac(1, 3)), 'SourceSpoofed'],
  ])('asking %s is not', (_, frame, verdict) => {
    const burst = fromPort(2, frame);
    expect(fate(burst)).toBe(verdict);
    expect(burst.messages).toEqual([]);
  });

  it('cut at any length, or for other networks, is ignored', () => {
    const frame = request(pod(4, 1, 2), GATEWAY4);
    for (let length = 14; length < frame.length; length++)
      expect(fate(fromPort(2, frame.slice(0, length)))).toBe('ArpIgnored');
    for (const [at, value] of [
      [15, 6],
      [16, 0],
      [17, 1],
      [18, 8],
      [19, 16],
      [21, 3],
    ] as const) {
      const other = frame.slice();
      other[at] = value;
      expect(fate(fromPort(2, other))).toBe('ArpIgnored');
    }
  });

  it('in a VLAN is no ARP to us', () => {
    const tagged = ethernet(
      { dst: broadcast, src: portMac(1, 2), type: 0x0806, vlans: [5] },
      request(pod(4, 1, 2), GATEWAY4).slice(14),
    );
    expect(fate(fromPort(2, tagged))).toBe('VlanTagged');
  });
});

describe('ARP from a tunnel', () => {
  const theirMac = routerMac(2);

  it('asking for a pod or the node of this side is answered into the tunnel', () => {
    for (const target of [pod(4, 1, 2), pod(4, 1, 3), pod(4, 1, 1), underlay(4, 1)]) {
      const { messages, verdicts } = fromTunnel(request(pod(4, 2, 2), target, theirMac));
      expect(verdicts).toEqual({ Consumed: 1 });
      expect(messages.map(({ tunnel, frames, bytes }) => [tunnel, frames, hex(bytes)])).toEqual([
        [0, 0, hex(vxlan(VNI, reply(target, pod(4, 2, 2), theirMac)))],
      ]);
    }
  });

  it('asking for anybody else, or as somebody else, is not', () => {
    for (const target of [pod(4, 1, 77), pod(4, 2, 3), GATEWAY4, '198.51.100.1']) {
      expect(fate(fromTunnel(request(pod(4, 2, 2), target, theirMac)))).toBe('ArpIgnored');
    }
    for (const sender of [pod(4, 1, 2), pod(4, 3, 2), underlay(4, 1), '198.51.100.1']) {
      expect(fate(fromTunnel(request(sender, pod(4, 1, 2), theirMac)))).toBe('InnerSourceSpoofed');
    }
  });

  it('by GENEVE that carries IP cannot be answered', () => {
    const other = nodeOf(1, { encapsulation: 'geneve-ip' });
    const bytes = geneve({ vni: VNI }, request(pod(4, 2, 2), pod(4, 1, 2), theirMac));
    expect(fate(other.ingress({ slot: GENEVE_SLOT, source: underlay(4, 2), bytes }))).toBe('ArpIgnored');
  });
});

const solicitedNode = (target: string) =>
  `ff02::1:ff${hex(ip(target)).slice(-6, -4)}:${hex(ip(target)).slice(-4)}`;
const solicitation = (src: string, target: string, sourceMac = portMac(1, 2), ttl = 255) =>
  ethernet(
    { dst: '33:33:ff:00:00:01', src: sourceMac },
    neighborSolicitation({ src, dst: solicitedNode(target) }, target, sourceMac, ttl),
  );
const advertisement = (target: string, dst: string, targetMac: string) =>
  ethernet(
    { dst: targetMac, src: routerMac(1) },
    neighborAdvertisement({ src: target, dst }, target, routerMac(1)),
  );

describe('neighbour solicitation from a pod (RFC 4861 §7.2.4)', () => {
  it('for the gateway is answered, from its global or a link-local address', () => {
    for (const src of [pod(6, 1, 2), 'fe80::42']) {
      const { messages, verdicts } = fromPort(2, solicitation(src, GATEWAY6));
      expect(verdicts).toEqual({ Consumed: 1 });
      expect(messages.map(({ slot, frames, bytes }) => [slot, frames, hex(bytes)])).toEqual([
        [2, 0, hex(concat(vnet(), advertisement(GATEWAY6, src, portMac(1, 2))))],
      ]);
    }
  });

  it('sent to the gateway itself (reachability, §7.3.1) is answered', () => {
    const frame = ethernet(
      { dst: routerMac(1), src: portMac(1, 2) },
      neighborSolicitation({ src: pod(6, 1, 2), dst: GATEWAY6 }, GATEWAY6, portMac(1, 2)),
    );
    expect(fate(fromPort(2, frame))).toBe('Consumed');
  });

  const valid = neighborSolicitation(
    { src: pod(6, 1, 2), dst: solicitedNode(GATEWAY6) },
    GATEWAY6,
    portMac(1, 2),
  );
  const framed = (packet: Uint8Array) => ethernet({ dst: '33:33:ff:00:00:01', src: portMac(1, 2) }, packet);
  const between = { src: pod(6, 1, 2), dst: solicitedNode(GATEWAY6) };
  const body = (code: number, content: Uint8Array, type = 135) =>
    framed(ipv6({ ...between, protocol: 58, ttl: 255 }, icmp6(between, type, code, be(0, 4), content)));
  const badChecksum = valid.slice();
  badChecksum[42] = (badChecksum[42] as number) ^ 1;

  it.each([
    ['as a probe for a duplicate address (RFC 4862 §5.4.2)', solicitation('::', pod(6, 1, 2)), 'NdIgnored'],
    ['as a probe for the gateway', solicitation('::', GATEWAY6), 'NdIgnored'],
    ['for another pod', solicitation(pod(6, 1, 2), pod(6, 1, 3)), 'NdIgnored'],
    [
      'with a hop limit that a router could have changed (§7.1.1)',
      solicitation(pod(6, 1, 2), GATEWAY6, portMac(1, 2), 254),
      'NdIgnored',
    ],
    ['with a code (§7.1.1)', body(1, concat(ip(GATEWAY6), be(0x0101, 2), mac(portMac(1, 2)))), 'NdIgnored'],
    ['with a wrong checksum (§7.1.1)', framed(badChecksum), 'NdIgnored'],
    ['shorter than 24 bytes (§7.1.1)', body(0, ip(GATEWAY6).slice(0, 15)), 'NdIgnored'],
    [
      'with an option of no length (§7.1.1)',
      body(0, concat(ip(GATEWAY6), be(0x0100, 2), mac(portMac(1, 2)))),
      'NdIgnored',
    ],
    [
      'with an option that ends behind it',
      body(0, concat(ip(GATEWAY6), be(0x0102, 2), mac(portMac(1, 2)))),
      'NdIgnored',
    ],
    [
      'that is an advertisement',
      body(0, concat(ip(GATEWAY6), be(0x0201, 2), mac(portMac(1, 2))), 136),
      'NdIgnored',
    ],
    ['as another pod', solicitation(pod(6, 1, 3), GATEWAY6), 'SourceSpoofed'],
    ['as a pod of a peer', solicitation(pod(6, 2, 2), GATEWAY6), 'SourceSpoofed'],
    ['from another MAC', solicitation(pod(6, 1, 2), GATEWAY6, portMac(1, 3)), 'SourceSpoofed'],
  ])('%s is not answered', (_, frame, verdict) => {
    const burst = fromPort(2, frame);
    expect(fate(burst)).toBe(verdict);
    expect(burst.messages).toEqual([]);
  });
});

describe('neighbour solicitation from a tunnel', () => {
  it('for a pod or the node of this side is answered into the tunnel', () => {
    for (const target of [pod(6, 1, 2), pod(6, 1, 1), underlay(6, 1)]) {
      const { messages, verdicts } = fromTunnel(solicitation(pod(6, 2, 2), target, routerMac(2)));
      expect(verdicts).toEqual({ Consumed: 1 });
      expect(messages.map(({ bytes }) => hex(bytes))).toEqual([
        hex(vxlan(VNI, advertisement(target, pod(6, 2, 2), routerMac(2)))),
      ]);
    }
  });

  it('for anybody else, or as somebody else, is not', () => {
    for (const target of [pod(6, 1, 77), pod(6, 2, 3), GATEWAY6]) {
      expect(fate(fromTunnel(solicitation(pod(6, 2, 2), target, routerMac(2))))).toBe('NdIgnored');
    }
    for (const sender of [pod(6, 1, 3), pod(6, 3, 2)]) {
      expect(fate(fromTunnel(solicitation(sender, pod(6, 1, 2), routerMac(2))))).toBe('InnerSourceSpoofed');
    }
  });
});
