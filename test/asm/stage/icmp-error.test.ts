// ICMP errors to senders: RFC 792, RFC 1812 §4.3, RFC 4443, byte by byte.
import { describe, expect, it } from 'vitest';
import { NO_TUNNEL } from '../../../asm/layout/burst.ts';
import { STAT_GENERATED, STAT_GENERATED_SUPPRESSED } from '../../../asm/layout/tables.ts';
import {
  be,
  concat,
  echoPacket,
  ethernet,
  hex,
  icmp,
  icmp6,
  ipPacket,
  ipv4,
  ipv6,
  tcpPacket,
  udpPacket,
  vnet,
  vxlan,
} from '../../support/packets.ts';
import { fromPeer, fromPod, nodeOf, pod, routerMac, toPod, underlay, VNI } from '../cluster.ts';
import type { Burst } from '../harness.ts';

const families = [4, 6] as const;
const remote = (family: 4 | 6) => ({ src: pod(family, 1, 2), dst: pod(family, 2, 2) });
const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => i);

/** The error of node 1 about `packet`, as an IP packet to its source. */
function error(
  family: 4 | 6,
  to: string,
  packet: Uint8Array,
  type: number,
  code: number,
  rest = 0,
): Uint8Array {
  const between = { src: pod(family, 1, 1), dst: to };
  return family === 4
    ? ipv4({ ...between, protocol: 1, df: false }, icmp(type, code, be(rest, 4), packet.slice(0, 576 - 28)))
    : ipv6({ ...between, protocol: 58 }, icmp6(between, type, code, be(rest, 4), packet.slice(0, 1280 - 48)));
}

const frames = ({ messages }: Burst) =>
  messages.map(({ slot, frames, bytes }) => ({ slot, frames, bytes: hex(bytes) }));
const toPort = (packet: Uint8Array, port = 2) => [
  { slot: port, frames: 0, bytes: hex(concat(vnet(), toPod(1, port, packet))) },
];

describe.each(families)('ICMP errors over IPv%i', (family) => {
  const [exceeded, unreachable] = family === 4 ? [11, 3] : [3, 1];
  const headers = family === 4 ? 20 : 40;

  it('time exceeded, for one hop or none, towards a tunnel or a pod of this node', () => {
    const node = nodeOf(1);
    for (const ttl of [0, 1]) {
      for (const dst of [pod(family, 2, 2), pod(family, 1, 3)]) {
        const packet = udpPacket({ src: pod(family, 1, 2), dst, ttl }, {}, bytes(100));
        const burst = node.egress(fromPod(1, 2, packet));
        expect(burst.verdicts).toEqual({ TtlExpired: 1 });
        expect(burst.stats[STAT_GENERATED]).toBe(1);
        expect(frames(burst)).toEqual(toPort(error(family, pod(family, 1, 2), packet, exceeded, 0)));
      }
    }
  });

  it('too big: the tunnel’s MTU (RFC 1191 §4, RFC 4443 §3.2)', () => {
    const node = nodeOf(1);
    const fitting = udpPacket(remote(family), {}, bytes(1450 - headers - 8));
    expect(node.egress(fromPod(1, 2, fitting)).verdicts).toEqual({ Forward: 1 });
    const packet = udpPacket(remote(family), {}, bytes(1450 - headers - 7));
    const burst = node.egress(fromPod(1, 2, packet));
    expect(burst.verdicts).toEqual({ MtuExceeded: 1 });
    expect(frames(burst)).toEqual(
      toPort(error(family, pod(family, 1, 2), packet, family === 4 ? 3 : 2, family === 4 ? 4 : 0, 1450)),
    );
  });

  it('too big for a smaller tunnel: never below 1280 over IPv6 (RFC 8200 §5)', () => {
    const node = nodeOf(1, { tunnelMtu: 1000 });
    const packet = udpPacket(remote(family), {}, bytes(1200));
    const burst = node.egress(fromPod(1, 2, packet));
    expect(burst.verdicts).toEqual({ MtuExceeded: 1 });
    expect(frames(burst)).toEqual(
      toPort(
        error(
          family,
          pod(family, 1, 2),
          packet,
          family === 4 ? 3 : 2,
          family === 4 ? 4 : 0,
          family === 4 ? 1000 : 1280,
        ),
      ),
    );
  });

  it('too big for a pod of this node', () => {
    const node = nodeOf(1, { ports: { 3: { mtu: 1300 } } });
    const packet = udpPacket({ ...remote(family), dst: pod(family, 1, 3) }, {}, bytes(1300));
    const burst = node.egress(fromPod(1, 2, packet));
    expect(frames(burst)).toEqual(
      toPort(error(family, pod(family, 1, 2), packet, family === 4 ? 3 : 2, family === 4 ? 4 : 0, 1300)),
    );
  });

  it('about a superframe whose segments do not fit: the quote is its beginning', () => {
    const node = nodeOf(1);
    const packet = tcpPacket(remote(family), { checksum: 'partial' }, bytes(20_000));
    const header = vnet({
      flags: 1,
      gsoType: family === 4 ? 1 : 4,
      gsoSize: 1450,
      start: 14 + headers,
      offset: 16,
    });
    const burst = node.egress(fromPod(1, 2, packet, header));
    expect(burst.verdicts).toEqual({ MtuExceeded: 1 });
    expect(frames(burst)).toEqual(
      toPort(error(family, pod(family, 1, 2), packet, family === 4 ? 3 : 2, family === 4 ? 4 : 0, 1450)),
    );
  });

  it('about a superframe that may be fragmented all the same: its segments never are', () => {
    const packet = udpPacket({ ...remote(family), df: false }, { checksum: 'partial' }, bytes(20_000));
    const header = vnet({ flags: 1, gsoType: 5, gsoSize: 1450, start: 14 + headers, offset: 6 });
    expect(nodeOf(1).egress(fromPod(1, 2, packet, header)).verdicts).toEqual({ MtuExceeded: 1 });
  });

  it('host unreachable where no such pod lives, quoting no more than is allowed (RFC 1812 §4.3.2.3, RFC 4443 §2.4 c)', () => {
    const node = nodeOf(1);
    for (const length of [0, 1, 519, 520, 521, 1183, 1184, 1185, 1300]) {
      const packet = udpPacket({ src: pod(family, 1, 2), dst: pod(family, 1, 200) }, {}, bytes(length));
      const burst = node.egress(fromPod(1, 2, packet));
      expect(burst.verdicts).toEqual({ NoEndpoint: 1 });
      expect(frames(burst)).toEqual(
        toPort(error(family, pod(family, 1, 2), packet, unreachable, family === 4 ? 1 : 3)),
      );
    }
  });

  it('go into the tunnel where the packet came from', () => {
    const node = nodeOf(1);
    const packet = udpPacket({ src: pod(family, 2, 2), dst: pod(family, 1, 200), tos: 2 }, {}, bytes(64));
    const burst = node.ingress(fromPeer(1, packet));
    expect(burst.verdicts).toEqual({ NoEndpoint: 1 });
    const answer = error(family, pod(family, 2, 2), packet, unreachable, family === 4 ? 1 : 3);
    expect(burst.messages.map(({ tunnel, frames, tos, bytes }) => [tunnel, frames, tos, hex(bytes)])).toEqual(
      [[0, 0, 0, hex(vxlan(VNI, ethernet({ dst: routerMac(2), src: routerMac(1) }, answer)))]],
    );
  });

  it('come from the gateway on a node that has no address in the pod network', () => {
    const node = nodeOf(1);
    node.bytes.fill(0, node.area + 128, node.area + 160);
    const { messages } = node.egress(fromPod(1, 2, udpPacket({ ...remote(family), ttl: 1 }, {})));
    const source = messages[0]?.bytes.slice(26 + (family === 4 ? 12 : 8), 26 + (family === 4 ? 16 : 24));
    expect(hex(source ?? new Uint8Array())).toBe(family === 4 ? 'a9fe0101' : `fe80${'0'.repeat(27)}1`);
  });

  it('are never sent about an ICMP error (RFC 1122 §3.2.2, RFC 4443 §2.4 e.1)', () => {
    const node = nodeOf(1);
    const quoted = udpPacket({ src: pod(family, 2, 2), dst: pod(family, 1, 2) }, {});
    for (const type of family === 4 ? [3, 4, 5, 11, 12] : [1, 2, 3, 4, 100]) {
      const between = { ...remote(family), ttl: 1 };
      const packet =
        family === 4
          ? ipv4({ ...between, protocol: 1 }, icmp(type, 0, be(0, 4), quoted))
          : ipv6({ ...between, protocol: 58 }, icmp6(between, type, 0, be(0, 4), quoted));
      const { verdicts, messages } = node.egress(fromPod(1, 2, packet));
      expect(verdicts).toEqual({ TtlExpired: 1 });
      expect(messages).toEqual([]);
    }
    // An echo is no error.
    expect(node.egress(fromPod(1, 2, echoPacket({ ...remote(family), ttl: 1 }))).messages).toHaveLength(1);
  });

  it('are never sent about a later fragment, but about a first one (RFC 1122 §3.2.2)', () => {
    const node = nodeOf(1);
    const fragment = (offset: number) =>
      family === 4
        ? ipv4({ ...remote(4), ttl: 1, df: false, mf: true, offset, id: 5 }, bytes(16))
        : ipv6(
            {
              ...remote(6),
              ttl: 1,
              extensions: [{ type: 44, bytes: concat(be(0, 2), be(offset + 1, 2), be(5, 4)) }],
            },
            bytes(16),
          );
    const first = fragment(0);
    first.set(be(16, 2), first.length - 12);
    expect(node.egress(fromPod(1, 2, fragment(8))).messages).toHaveLength(0);
    expect(node.egress(fromPod(1, 2, first)).messages).toHaveLength(1);
  });

  it('are never sent about a spoofed source or a group', () => {
    const node = nodeOf(1);
    for (const packet of [
      udpPacket({ ...remote(family), src: pod(family, 1, 3), ttl: 1 }, {}),
      udpPacket({ ...remote(family), dst: family === 4 ? '224.0.0.1' : 'ff02::1', ttl: 1 }, {}),
    ]) {
      expect(node.egress(fromPod(1, 2, packet)).messages).toEqual([]);
    }
  });

  it('are limited in rate (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f)', () => {
    const node = nodeOf(1);
    const packet = udpPacket({ ...remote(family), ttl: 1 }, {});
    const flood = () => node.egress(...Array.from({ length: 128 }, () => fromPod(1, 2, packet)));
    let [sent, held] = [0, 0];
    for (let i = 0; i < 10; i++) {
      const { messages, stats } = flood();
      sent += messages.length;
      held += stats[STAT_GENERATED_SUPPRESSED] ?? 0;
    }
    expect([sent, held]).toEqual([1000, 280]);
    node.clock += 50;
    expect(flood().messages).toHaveLength(50);
    node.clock += 10_000;
    expect(flood().messages).toHaveLength(128);
  });
});

describe('ICMP errors and node ports', () => {
  it('tell the node’s own processes, too', () => {
    const node = nodeOf(1);
    const packet = ipPacket(
      { src: underlay(4, 1), dst: pod(4, 1, 99), protocol: 17 },
      udpPacket(remote(4), {}).slice(20),
    );
    const burst = node.egress(fromPod(1, 0, packet));
    expect(frames(burst)).toEqual(toPort(error(4, underlay(4, 1), packet, 3, 1), 0));
    expect(burst.messages[0]?.tunnel).toBe(NO_TUNNEL);
  });
});
