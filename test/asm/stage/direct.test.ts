// Peers of the same subnet: frames to and from the packet socket, and what of them is whose.
import { describe, expect, it } from 'vitest';
import { DIRECT_SLOT } from '../../../asm/layout/memory.ts';
import {
  TUNNEL_DIRECT,
  TUNNEL_IS_ETHERNET,
  TUNNEL_RX_PACKETS,
  TUNNEL_TX_BYTES,
  TUNNEL_TX_PACKETS,
} from '../../../asm/layout/tables.ts';
import { concat, ethernet, hex, hopped, tcpPacket, udpPacket, vnet } from '../../support/packets.ts';
import { fromPod, pod, tablesOf, toPod, underlay } from '../cluster.ts';
import { type FrameIn, fate, TestNode } from '../harness.ts';

const families = [4, 6] as const;
const own = '02:aa:00:00:00:01';
const peer = '02:aa:00:00:00:02';
const payload = Uint8Array.from({ length: 333 }, (_, i) => i);
const large = Uint8Array.from({ length: 40_000 }, (_, i) => (i * i) >> 3);

/** Node 1, to which node 2 is direct. */
function directNode(): TestNode {
  const tables = tablesOf(1);
  return new TestNode({
    ...tables,
    peers: [...tables.peers, { address: 'ff00::2aa:0:2', kind: TUNNEL_DIRECT, tunnel: 0 }],
    tunnels: tables.tunnels.map((tunnel) => ({
      ...tunnel,
      kind: TUNNEL_DIRECT,
      mtu: 1500,
      slot: DIRECT_SLOT,
      slots: 1,
      flags: TUNNEL_IS_ETHERNET,
      innerDestination: peer,
      innerSource: own,
      header: new Uint8Array(12),
    })),
  });
}

const superframe = (family: 4 | 6, gsoSize = 1440) =>
  vnet({
    flags: 1,
    gsoType: family === 4 ? 1 : 4,
    headerLength: 54,
    gsoSize,
    start: family === 4 ? 34 : 54,
    offset: 16,
  });
const fromPeer = (packet: Uint8Array, header?: Uint8Array, src = peer): FrameIn => ({
  port: DIRECT_SLOT,
  frame: ethernet({ dst: own, src }, packet),
  ...(header && { vnet: header }),
});

describe.each(families)('a direct peer, IPv%i', (family) => {
  const there = { src: pod(family, 1, 2), dst: pod(family, 2, 2) };
  const back = { src: pod(family, 2, 2), dst: pod(family, 1, 2) };

  it('gets packets as they are, from device to device, one hop on', () => {
    const node = directNode();
    const packet = udpPacket({ ...there, ttl: 7 }, {}, payload);
    const { messages } = node.egress(fromPod(1, 2, packet));
    const frame = ethernet({ dst: peer, src: own }, hopped(packet));
    expect(messages.map(({ slot, bytes, tunnel }) => [slot, tunnel, hex(bytes)])).toEqual([
      [DIRECT_SLOT, 0, hex(concat(vnet(), frame))],
    ]);
    expect(node.tunnelCounter(0, TUNNEL_TX_PACKETS)).toBe(1);
    expect(node.tunnelCounter(0, TUNNEL_TX_BYTES)).toBe(frame.length);
  });

  it('gets superframes whole, counted as the packets that they become', () => {
    const node = directNode();
    const packet = tcpPacket(there, { checksum: 'partial' }, large);
    const { messages } = node.egress(fromPod(1, 2, packet, superframe(family)));
    expect(messages.map(({ slot, bytes }) => [slot, hex(bytes)])).toEqual([
      [DIRECT_SLOT, hex(concat(superframe(family), ethernet({ dst: peer, src: own }, hopped(packet))))],
    ]);
    expect(node.tunnelCounter(0, TUNNEL_TX_PACKETS)).toBe(Math.ceil(large.length / 1440));
  });

  it('sends what a pod gets with the hops that are left', () => {
    const node = directNode();
    const packet = udpPacket(back, {}, payload);
    const { messages } = node.egress(fromPeer(packet));
    expect(messages.map(({ slot, bytes }) => [slot, hex(bytes)])).toEqual([
      [2, hex(concat(vnet(), toPod(1, 2, packet)))],
    ]);
    expect(node.tunnelCounter(0, TUNNEL_RX_PACKETS)).toBe(1);
  });

  it('sends superframes, which a pod gets whole', () => {
    const node = directNode();
    const packet = tcpPacket(back, { checksum: 'partial' }, large.slice(0, 10_000));
    // The pod's interface must take a segment.
    const header = superframe(family, 1300);
    const { messages } = node.egress(fromPeer(packet, header));
    expect(messages.map(({ slot, bytes }) => [slot, hex(bytes)])).toEqual([
      [2, hex(concat(header, toPod(1, 2, packet)))],
    ]);
    expect(node.tunnelCounter(0, TUNNEL_RX_PACKETS)).toBe(Math.ceil(10_000 / 1300));
  });

  it('speaks for its own pods and node only', () => {
    const node = directNode();
    const spoofed = (src: string) => fate(node.egress(fromPeer(udpPacket({ ...back, src }, {}))));
    expect(spoofed(pod(family, 2, 77))).toBe('Forward');
    expect(spoofed(underlay(family, 2))).toBe('Forward');
    expect(spoofed(pod(family, 1, 3))).toBe('InnerSourceSpoofed');
    expect(spoofed(underlay(family, 1))).toBe('InnerSourceSpoofed');
    expect(spoofed(pod(family, 3, 2))).toBe('InnerSourceSpoofed');
  });

  it('is known by its MAC', () => {
    const stranger = fromPeer(udpPacket(back, {}), undefined, '02:aa:00:00:00:03');
    expect(fate(directNode().egress(stranger))).toBe('UnknownPeer');
  });

  it('leaves to the kernel what comes from outside the cluster, from whomever', () => {
    const outside = udpPacket({ ...back, src: family === 4 ? '198.51.100.9' : '2001:db8:9::9' }, {});
    for (const mac of [peer, '02:aa:00:00:00:03']) {
      const { messages, verdicts } = directNode().egress(fromPeer(outside, undefined, mac));
      expect(messages).toEqual([]);
      expect(verdicts).toEqual({ Consumed: 1 });
    }
  });

  it('is no way to another peer', () => {
    expect(fate(directNode().egress(fromPeer(udpPacket({ ...back, dst: pod(family, 2, 3) }, {}))))).toBe(
      'TunnelToTunnel',
    );
  });

  it('is told by itself that nobody lives at an address', () => {
    const { messages, verdicts } = directNode().egress(
      fromPeer(udpPacket({ ...back, dst: pod(family, 1, 88) }, {})),
    );
    expect(verdicts).toEqual({ NoEndpoint: 1 });
    expect(messages.map(({ slot }) => slot)).toEqual([DIRECT_SLOT]);
    const [{ bytes }] = messages as [(typeof messages)[0]];
    expect(hex(bytes.slice(0, 12))).toBe(hex(new Uint8Array(12)));
    expect(hex(bytes.slice(12, 24))).toBe(
      hex(ethernet({ dst: peer, src: own }, new Uint8Array()).slice(0, 12)),
    );
  });
});

it('gets fragments where a packet does not fit and may be split', () => {
  const packet = udpPacket({ src: pod(4, 1, 2), dst: pod(4, 2, 2), df: false }, {}, new Uint8Array(2000));
  const { messages } = directNode().egress(fromPod(1, 2, packet));
  expect(messages.map(({ slot, bytes }) => [slot, bytes.length])).toEqual([
    [DIRECT_SLOT, 12 + 14 + 1500],
    [DIRECT_SLOT, 12 + 14 + 20 + 528],
  ]);
});
