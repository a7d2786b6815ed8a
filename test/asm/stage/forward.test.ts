// Where packets go: TAP to TAP whole, into tunnels, to the node; TTL, MTU, superframes of peers.
import { describe, expect, it } from 'vitest';
import { OFFLOAD_COALESCE, OFFLOAD_UDP_SEGMENT, OFFLOAD_USO } from '../../../asm/layout/memory.ts';
import {
  PORT_DROPS,
  PORT_RX_BYTES,
  PORT_RX_PACKETS,
  PORT_TX_BYTES,
  PORT_TX_PACKETS,
  TUNNEL_RX_PACKETS,
  TUNNEL_TX_BYTES,
  TUNNEL_TX_PACKETS,
} from '../../../asm/layout/tables.ts';
import { packetsOf, split } from '../../support/offload.ts';
import {
  be,
  checksum,
  concat,
  echoPacket,
  ethernet,
  hex,
  hopped,
  ipPacket,
  pseudoHeader,
  tcpPacket,
  udp,
  udpPacket,
  vnet,
} from '../../support/packets.ts';
import { fromPeer, fromPod, nodeOf, pod, routerMac, toPod, underlay } from '../cluster.ts';
import { fate } from '../harness.ts';

const families = [4, 6] as const;
const payload = Uint8Array.from({ length: 333 }, (_, i) => i);
const large = Uint8Array.from({ length: 40_000 }, (_, i) => (i * i) >> 3);

describe.each(families)('pod to pod on one node, IPv%i', (family) => {
  const node = nodeOf(1);
  const local = { src: pod(family, 1, 2), dst: pod(family, 1, 3) };

  it('routes: TTL decremented once, addressed to the receiver’s MAC', () => {
    const packet = udpPacket({ ...local, ttl: 2 }, {}, payload);
    const { messages } = node.egress(fromPod(1, 2, packet));
    expect(messages.map(({ slot, bytes }) => [slot, hex(bytes)])).toEqual([
      [3, hex(concat(vnet(), toPod(1, 3, hopped(packet))))],
    ]);
  });

  it('hands a superframe on whole, vnet header and all', () => {
    const packet = tcpPacket(local, { checksum: 'partial' }, large);
    const header = vnet({
      flags: 1,
      gsoType: family === 4 ? 1 : 4,
      headerLength: 54,
      gsoSize: 1390,
      start: family === 4 ? 34 : 54,
      offset: 16,
    });
    const { messages } = node.egress(fromPod(1, 2, packet, header));
    expect(hex(messages[0]?.bytes ?? new Uint8Array())).toBe(
      hex(concat(header, toPod(1, 3, hopped(packet)))),
    );
  });

  it('is possible with oneself (hairpin)', () => {
    const packet = udpPacket({ src: pod(family, 1, 2), dst: pod(family, 1, 2) }, {}, payload);
    const { messages } = node.egress(fromPod(1, 2, packet));
    expect(messages.map(({ slot, bytes }) => [slot, hex(bytes)])).toEqual([
      [2, hex(concat(vnet(), toPod(1, 2, hopped(packet))))],
    ]);
  });

  it('needs a pod that lives', () => {
    expect(fate(node.egress(fromPod(1, 2, udpPacket({ ...local, dst: pod(family, 1, 88) }, {}))))).toBe(
      'NoEndpoint',
    );
    expect(fate(node.egress(fromPod(1, 2, udpPacket({ ...local, dst: pod(family, 7, 8) }, {}))))).toBe(
      'NoEndpoint',
    );
  });
});

describe.each(families)('node ports, IPv%i', (family) => {
  const node = nodeOf(1);

  it('reach local pods and peers without a hop more: the kernel has routed already', () => {
    const own = underlay(family, 1);
    const toLocal = udpPacket({ src: own, dst: pod(family, 1, 2), ttl: 1 }, {}, payload);
    for (const port of [0, 1]) {
      const { messages } = node.egress(fromPod(1, port, toLocal));
      expect(messages.map(({ slot, bytes }) => [slot, hex(bytes)])).toEqual([
        [2, hex(concat(vnet(), toPod(1, 2, toLocal)))],
      ]);
      const toRemote = udpPacket({ src: own, dst: pod(family, 2, 2), ttl: 1 }, {}, payload);
      const sent = node.egress(fromPod(1, port, toRemote)).messages[0];
      expect(hex(sent?.bytes.slice(8) ?? new Uint8Array())).toBe(
        hex(ethernet({ dst: routerMac(2), src: routerMac(1) }, toRemote)),
      );
    }
  });

  it('take what pods send to their node and to the world, TTL untouched: the kernel decrements it', () => {
    const outside = family === 4 ? '198.51.100.1' : '2001:db8:ffff::1';
    for (const dst of [underlay(family, 1), pod(family, 1, 1), outside]) {
      const packet = udpPacket({ src: pod(family, 1, 2), dst, ttl: 1 }, {}, payload);
      const { messages } = node.egress(fromPod(1, 2, packet));
      expect(messages.map(({ slot, bytes }) => [slot, hex(bytes)])).toEqual([
        [0, hex(concat(vnet(), toPod(1, 0, packet)))],
      ]);
    }
  });

  it('take what peers’ pods send to this node', () => {
    const packet = echoPacket({ src: pod(family, 2, 2), dst: underlay(family, 1) });
    const { messages } = node.ingress(fromPeer(1, packet));
    expect(messages.map(({ slot, bytes }) => [slot, hex(bytes)])).toEqual([
      [0, hex(concat(vnet(), toPod(1, 0, packet)))],
    ]);
  });

  it('never tunnel a packet without hops (RFC 2003 §3.1)', () => {
    for (const port of [0, 1]) {
      const packet = udpPacket({ src: underlay(family, 1), dst: pod(family, 2, 2), ttl: 0 }, {});
      expect(fate(node.egress(fromPod(1, port, packet)))).toBe('TtlExpired');
    }
  });

  it('never tunnel what goes between the tunnel’s own ends (RFC 2003 §3.2, RFC 2473 §4.1)', () => {
    const packet = udpPacket({ src: underlay(family, 1), dst: underlay(family, 2) }, {});
    const other = nodeOf(1, { underlay: family });
    for (const port of [0, 1]) expect(fate(other.egress(fromPod(1, port, packet)))).toBe('TunnelLoop');
  });
});

describe.each(families)('superframes of a peer, without a word on how to cut them, IPv%i', (family) => {
  const between = { src: pod(family, 2, 2), dst: pod(family, 1, 2) };
  const headers = (family === 4 ? 20 : 40) + 20;
  const body = large.slice(0, 30_000);

  it('TCP: one GSO frame cut to the port’s MTU', () => {
    const packet = tcpPacket(between, { checksum: 'partial', flags: 0x18 }, body);
    const { messages, verdicts } = nodeOf(1).ingress(fromPeer(1, packet));
    expect(verdicts).toEqual({ Forward: 1 });
    const header = vnet({
      flags: 1,
      gsoType: family === 4 ? 1 : 4,
      headerLength: 14 + headers,
      gsoSize: 1450 - headers,
      start: 14 + headers - 20,
      offset: 16,
    });
    expect(messages.map(({ bytes }) => hex(bytes))).toEqual([hex(concat(header, toPod(1, 2, packet)))]);
  });

  it('TCP whose open checksum happens to be right all the same', () => {
    const content = body.slice();
    content.set([0, 0]);
    const open = tcpPacket(between, { checksum: 'partial' }, content);
    const transport = open.subarray(headers - 20);
    const missing = checksum(concat(pseudoHeader(between.src, between.dst, 6, transport.length), transport));
    content.set(be(missing, 2));
    const packet = tcpPacket(between, { checksum: 'partial' }, content);
    expect(hex(packet)).toBe(hex(tcpPacket(between, {}, content)));
    const { messages, verdicts } = nodeOf(1).ingress(fromPeer(1, packet));
    expect(verdicts).toEqual({ Forward: 1 });
    const size = 1450 - headers;
    expect(messages.flatMap((one) => packetsOf(one.bytes)).map(hex)).toEqual(split(packet, size).map(hex));
  });

  it.each([
    ['TSO', OFFLOAD_USO | OFFLOAD_UDP_SEGMENT | OFFLOAD_COALESCE],
    ['every offload', 0],
  ])('TCP with %s off: segments', (_, offloads) => {
    const node = nodeOf(1, {}, { offloads });
    const packet = tcpPacket(between, { checksum: 'partial', flags: 0x99 }, body);
    const { messages, verdicts } = node.ingress(
      fromPeer(1, packet),
      fromPeer(1, udpPacket(between, {}, payload)),
    );
    expect(verdicts).toEqual({ Forward: 2 });
    const expected = [...split(packet, 1450 - headers), udpPacket(between, {}, payload)].map((one) =>
      hex(concat(vnet(), toPod(1, 2, one))),
    );
    expect(messages.map(({ bytes }) => hex(bytes))).toEqual(expected);
  });

  it('UDP cannot be cut: its datagrams’ size is not known', () => {
    const packet = udpPacket(between, { checksum: 'partial' }, body);
    const { messages, verdicts } = nodeOf(1).ingress(fromPeer(1, packet));
    expect(verdicts).toEqual({ Unsplittable: 1 });
    expect(messages).toEqual([]);
  });

  it('a packet that is too long and has a whole checksum is none', () => {
    expect(fate(nodeOf(1).ingress(fromPeer(1, tcpPacket(between, {}, body))))).toBe('MtuExceeded');
  });

  it('TCP whose headers alone do not fit the port is not cut', () => {
    for (const mtu of [20, headers - 1, headers]) {
      const packet = tcpPacket(between, { checksum: 'partial' }, body);
      const node = nodeOf(1, { ports: { 2: { mtu } } });
      expect(node.ingress(fromPeer(1, packet)).verdicts).toEqual({ MtuExceeded: 1 });
    }
  });

  it('a small packet with a partial checksum has it completed', () => {
    for (const bytes of [0, 1, 333, 1380]) {
      const content = large.slice(0, bytes);
      for (const build of [tcpPacket, udpPacket]) {
        const { messages } = nodeOf(1).ingress(fromPeer(1, build(between, { checksum: 'partial' }, content)));
        expect(messages.flatMap((one) => packetsOf(one.bytes)).map(hex)).toEqual([
          hex(build(between, {}, content)),
        ]);
      }
    }
  });

  it('so has a UDP datagram that is shorter than its IP packet (RFC 768: the length is the datagram’s)', () => {
    const trailing = (checksum: 'full' | 'partial') =>
      ipPacket(
        { ...between, protocol: 17 },
        concat(udp(between, { checksum }, payload), Uint8Array.of(1, 2, 3)),
      );
    const { messages } = nodeOf(1).ingress(fromPeer(1, trailing('partial')));
    expect(messages.map(({ bytes }) => hex(bytes))).toEqual([
      hex(concat(vnet(), toPod(1, 2, trailing('full')))),
    ]);
  });

  it('a wrong checksum goes on as it came, alone', () => {
    const wrong = tcpPacket(between, { checksum: 0x1234 }, payload);
    const { messages } = nodeOf(1).ingress(fromPeer(1, wrong), fromPeer(1, wrong));
    expect(messages.map(({ bytes }) => hex(bytes))).toEqual([
      hex(concat(vnet(), toPod(1, 2, wrong))),
      hex(concat(vnet(), toPod(1, 2, wrong))),
    ]);
  });
});

describe('counters of ports and tunnels', () => {
  it('count packets and bytes, each way, and drops where the packet came in', () => {
    const node = nodeOf(1);
    const packet = udpPacket({ src: pod(4, 1, 2), dst: pod(4, 1, 3) }, {}, payload);
    node.egress(
      fromPod(1, 2, packet),
      fromPod(1, 2, udpPacket({ src: pod(4, 1, 3), dst: pod(4, 1, 2) }, {})),
    );
    expect(node.portCounter(2, PORT_RX_PACKETS)).toBe(2);
    expect(node.portCounter(2, PORT_RX_BYTES)).toBe(14 + packet.length + 14 + 28);
    expect(node.portCounter(2, PORT_DROPS)).toBe(1);
    expect(node.portCounter(3, PORT_TX_PACKETS)).toBe(1);
    expect(node.portCounter(3, PORT_TX_BYTES)).toBe(14 + packet.length);

    const toPeer = udpPacket({ src: pod(4, 1, 2), dst: pod(4, 2, 2) }, {}, payload);
    node.egress(fromPod(1, 2, toPeer), fromPod(1, 2, toPeer));
    expect(node.tunnelCounter(0, TUNNEL_TX_PACKETS)).toBe(2);
    expect(node.tunnelCounter(0, TUNNEL_TX_BYTES)).toBe(2 * (22 + toPeer.length));
    node.ingress(fromPeer(1, udpPacket({ src: pod(4, 2, 2), dst: pod(4, 1, 2) }, {})));
    expect(node.tunnelCounter(0, TUNNEL_RX_PACKETS)).toBe(1);
  });

  it('nothing passes before the first tables', () => {
    const node = nodeOf(1);
    node.view.setUint32(0x1000, 0, true);
    expect(fate(node.egress(fromPod(1, 2, udpPacket({ src: pod(4, 1, 2), dst: pod(4, 2, 2) }, {}))))).toBe(
      'PolicyPending',
    );
    expect(fate(node.ingress(fromPeer(1, udpPacket({ src: pod(4, 2, 2), dst: pod(4, 1, 2) }, {}))))).toBe(
      'PolicyPending',
    );
  });

  it('a port that went away is down', () => {
    const node = nodeOf(1, { ports: { 3: { kind: 0 } } });
    expect(fate(node.egress(fromPod(1, 2, udpPacket({ src: pod(4, 1, 2), dst: pod(4, 1, 3) }, {}))))).toBe(
      'PortDown',
    );
    expect(fate(node.ingress(fromPeer(1, udpPacket({ src: pod(4, 2, 2), dst: pod(4, 1, 3) }, {}))))).toBe(
      'PortDown',
    );
  });
});
