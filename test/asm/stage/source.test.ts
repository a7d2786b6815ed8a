// Nobody speaks for somebody else, and what is no routed packet ends by name: frames of pods and of the node.
import { describe, expect, it } from 'vitest';
import { concat, ethernet, fromHex, ipv6, tcpPacket, udpPacket } from '../../support/packets.ts';
import { fromPod, nodeOf, pod, portMac, routerMac, underlay } from '../cluster.ts';
import { fate } from '../harness.ts';

const families = [4, 6] as const;
const node = nodeOf(1);
const packet = (src: string, dst: string) => udpPacket({ src, dst }, {});
const fateOf = (port: number, content: Uint8Array, fields: object = {}) =>
  fate(
    node.egress({ port, frame: ethernet({ dst: routerMac(1), src: portMac(1, port), ...fields }, content) }),
  );

describe.each(families)('source of a pod, IPv%i', (family) => {
  const remote = pod(family, 2, 2);

  it('is its own address from its own MAC', () => {
    expect(fateOf(2, packet(pod(family, 1, 2), remote))).toBe('Forward');
    expect(fateOf(3, packet(pod(family, 1, 3), remote))).toBe('Forward');
  });

  it('is no other pod, no node, nothing else', () => {
    for (const src of [
      pod(family, 1, 3),
      pod(family, 1, 1),
      pod(family, 1, 77),
      pod(family, 2, 2),
      underlay(family, 1),
      underlay(family, 2),
      family === 4 ? '8.8.8.8' : '2001:db8:9::1',
    ]) {
      expect(`${src} ${fateOf(2, packet(src, pod(family, 2, 3)))}`).toBe(`${src} SourceSpoofed`);
    }
    expect(fateOf(2, packet(pod(family, 1, 2), remote), { src: portMac(1, 3) })).toBe('SourceSpoofed');
    expect(fateOf(2, packet(pod(family, 1, 2), remote), { src: '02:00:00:01:01:02' })).toBe('SourceSpoofed');
  });

  it('speaks to the router only', () => {
    expect(fateOf(2, packet(pod(family, 1, 2), remote), { dst: portMac(1, 3) })).toBe('NotForUs');
    expect(fateOf(2, packet(pod(family, 1, 2), remote), { dst: '0a:00:00:00:01:01' })).toBe('NotForUs');
    expect(fateOf(2, packet(pod(family, 1, 2), remote), { dst: 'ff:ff:ff:ff:ff:ff' })).toBe('Multicast');
    expect(fateOf(2, packet(pod(family, 1, 2), remote), { dst: '01:00:5e:00:00:01' })).toBe('Multicast');
  });
});

describe.each(families)('source of the node, IPv%i', (family) => {
  it('is any address of its own or of a network behind it, never a pod', () => {
    const outside = family === 4 ? '198.51.100.9' : '2001:db8:9::1';
    for (const port of [0, 1]) {
      expect(fateOf(port, packet(underlay(family, 1), pod(family, 1, 2)))).toBe('Forward');
      expect(fateOf(port, packet(pod(family, 1, 1), pod(family, 2, 2)))).toBe('Forward');
      expect(fateOf(port, packet(outside, pod(family, 1, 2)))).toBe('Forward');
      expect(fateOf(port, packet(pod(family, 1, 2), pod(family, 1, 3)))).toBe('SourceSpoofed');
      expect(fateOf(port, packet(pod(family, 2, 2), pod(family, 1, 2)))).toBe('SourceSpoofed');
      // Nor one that could be: it would be judged by the blocks around pods.
      for (const src of [pod(family, 1, 99), pod(family, 2, 99), pod(family, 9, 9)]) {
        expect(fateOf(port, packet(src, pod(family, 1, 2)))).toBe('SourceSpoofed');
      }
    }
  });

  it('does not get back what its kernel should have kept', () => {
    const outside = family === 4 ? '198.51.100.9' : '2001:db8:9::1';
    for (const port of [0, 1]) expect(fateOf(port, packet(underlay(family, 1), outside))).toBe('NoRoute');
  });
});

describe('what is not routed', () => {
  const own4 = pod(4, 1, 2);
  const own6 = pod(6, 1, 2);

  it.each([
    ['a multicast group', packet(own4, '224.0.0.251'), 'Multicast'],
    ['the limited broadcast', packet(own4, '255.255.255.255'), 'Multicast'],
    ['an IPv6 group', packet(own6, 'ff02::fb'), 'Multicast'],
    ['DHCP from nowhere', packet('0.0.0.0', '255.255.255.255'), 'Multicast'],
    ['the unspecified source', packet('0.0.0.0', pod(4, 2, 2)), 'MartianAddress'],
    ['the loopback network', packet(own4, '127.0.0.1'), 'MartianAddress'],
    ['the reserved class E', packet(own4, '241.0.0.1'), 'MartianAddress'],
    ['IPv6 loopback', packet(own6, '::1'), 'MartianAddress'],
    ['a link-local destination', packet(own6, 'fe80::2'), 'MartianAddress'],
    ['a link-local source', packet('fe80::2', pod(6, 2, 2)), 'MartianAddress'],
    [
      'a router advertisement',
      ipv6(
        { src: 'fe80::2', dst: own6, protocol: 58, ttl: 255 },
        concat(fromHex('86000000'), new Uint8Array(12)),
      ),
      'RouterAdvertisement',
    ],
    [
      'a redirect',
      ipv6(
        { src: 'fe80::2', dst: own6, protocol: 58, ttl: 255 },
        concat(fromHex('89000000'), new Uint8Array(36)),
      ),
      'RouterAdvertisement',
    ],
    [
      'a router solicitation',
      ipv6(
        { src: 'fe80::2', dst: 'ff02::2', protocol: 58, ttl: 255 },
        concat(fromHex('85000000'), new Uint8Array(4)),
      ),
      'Multicast',
    ],
  ])('%s', (_, content, verdict) => {
    expect(fateOf(2, content)).toBe(verdict);
  });

  it('VLAN tags and other EtherTypes', () => {
    expect(fateOf(2, packet(own4, pod(4, 2, 2)), { vlans: [7] })).toBe('VlanTagged');
    expect(fateOf(2, packet(own4, pod(4, 2, 2)), { type: 0x8847 })).toBe('NonIp');
  });

  it('a port that is none', () => {
    for (const port of [4, 999, 1024, 65535]) {
      expect(
        fate(node.egress({ ...fromPod(1, 2, tcpPacket({ src: own4, dst: pod(4, 2, 2) }, {})), port })),
      ).toBe('PortDown');
    }
  });
});
