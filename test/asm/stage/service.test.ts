// Packets to Services and back: every byte of them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ACK,
  type Addresses,
  be,
  concat,
  echoPacket,
  fragmentHeader,
  hopped,
  ICMP,
  ICMPV6,
  icmp,
  icmp6,
  ipPacket,
  ipv4,
  ipv6,
  le,
  SCTP,
  SYN,
  tcpPacket,
  UDP,
  udp,
  udpPacket,
  vnet,
} from '../../support/packets.ts';
import { compilerOf, service, slice } from '../../support/services.ts';
import { fromPeer, fromPod, innerOf, nodeOf, pod, tablesOf, toPod } from '../cluster.ts';
import { allow, deny, fate, type PolicySpec } from '../harness.ts';
import { CLIENT, crc32c, delivered, families, ready, reversed, sent, VIP, withWeb } from '../services.ts';

describe.each(families)('a connection to a cluster IP over IPv%i', (family) => {
  const own = pod(family, 1, 2);
  const remote = pod(family, 2, 2);
  const known = { src: own, dst: VIP[family] };
  const real = { src: own, dst: remote };
  const body = Uint8Array.from({ length: 33 }, (_, i) => i);

  it.each([
    ['TCP', tcpPacket, 80, 8080, { flags: SYN, ack: 0 }],
    ['UDP', udpPacket, 53, 5353, {}],
  ] as const)('%s goes to an endpoint of another node and comes back', (_, build, port, target, fields) => {
    const node = nodeOf(1, withWeb(family, [ready(remote)]));
    const ports = { sport: CLIENT, dport: port };
    const asked = build(known, { ...ports, ...fields }, body);
    expect(sent(node, asked)).toEqual(hopped(build(real, { ...ports, ...fields, dport: target }, body)));
    const answered = { ...fields, ...('flags' in fields && { flags: SYN | ACK, ack: 2 }) };
    const answer = build(reversed(real), { ...answered, sport: target, dport: CLIENT }, body);
    expect(delivered(node.ingress(fromPeer(1, answer)))).toEqual(
      toPod(1, 2, build(reversed(known), { ...answered, sport: port, dport: CLIENT }, body)),
    );
    // Once more, as a known connection.
    const again = { ...ports, ...('flags' in fields && { flags: ACK, seq: 35, ack: 35 }) };
    expect(sent(node, build(known, again, body))).toEqual(
      hopped(build(real, { ...again, dport: target }, body)),
    );
  });

  it('goes to a pod of the same node, whose policy sees the target port, and comes back', () => {
    const near = pod(family, 1, 3);
    const ingress: PolicySpec = {
      rows: [[deny(1), allow(2)]],
      ports: [{ protocol: 'tcp', port: 8080, portClass: 1 }],
    };
    const node = nodeOf(1, withWeb(family, [ready(near, 'node-1')], {}, { ports: { 3: { ingress } } }));
    const syn = { sport: CLIENT, flags: SYN, ack: 0 };
    expect(delivered(node.egress(fromPod(1, 2, tcpPacket(known, { ...syn, dport: 80 }))), 3)).toEqual(
      toPod(1, 3, hopped(tcpPacket({ src: own, dst: near }, { ...syn, dport: 8080 }))),
    );
    const answer = { flags: SYN | ACK, ack: 2, dport: CLIENT };
    const back = tcpPacket({ src: near, dst: own }, { ...answer, sport: 8080 });
    expect(delivered(node.egress(fromPod(1, 3, back)), 2)).toEqual(
      toPod(1, 2, hopped(tcpPacket(reversed(known), { ...answer, sport: 80 }))),
    );
    // Policy does not know the Service's own port.
    const dns = udpPacket(known, { sport: CLIENT, dport: 53 });
    expect(fate(node.egress(fromPod(1, 2, dns)))).toBe('PolicyIngress');
  });

  it('with a checksum left open keeps it open', () => {
    const node = nodeOf(1, withWeb(family, [ready(pod(family, 1, 3), 'node-1')]));
    const fields = { sport: CLIENT, dport: 80, flags: SYN, ack: 0, checksum: 'partial' } as const;
    const l4 = 14 + (family === 4 ? 20 : 40);
    const open = vnet({ flags: 1, start: l4, offset: 16 });
    const burst = node.egress(fromPod(1, 2, tcpPacket(known, fields, body), open));
    const near = { src: own, dst: pod(family, 1, 3) };
    expect(delivered(burst, 3)).toEqual(
      toPod(1, 3, hopped(tcpPacket(near, { ...fields, dport: 8080 }, body))),
    );
  });

  it('with a wrong checksum stays wrong, without one stays without', () => {
    const node = nodeOf(1, withWeb(family, [ready(remote)]));
    const wrong = udpPacket(known, { sport: CLIENT, dport: 53, checksum: 0x1234 }, body);
    const good = udpPacket(real, { sport: CLIENT, dport: 5353 }, body);
    expect(sent(node, wrong)).not.toEqual(hopped(good));
    if (family === 6) return;
    const none = udpPacket(known, { sport: CLIENT, dport: 53, checksum: 0 }, body);
    expect(sent(node, none)).toEqual(
      hopped(udpPacket(real, { sport: CLIENT, dport: 5353, checksum: 0 }, body)),
    );
  });

  it('over SCTP gets the CRC of its new ports', () => {
    const node = nodeOf(1, withWeb(family, [ready(remote)]));
    const chunk = concat(be(1, 1), be(0, 1), be(20, 2), be(7, 4), be(65536, 4), be(1, 2), be(1, 2), be(9, 4));
    const packet = (between: Addresses, dport: number) => {
      const bytes = concat(be(CLIENT, 2), be(dport, 2), be(0, 4), be(0, 4), chunk);
      bytes.set(le(crc32c(bytes), 4), 8);
      return ipPacket({ ...between, protocol: SCTP }, bytes);
    };
    expect(sent(node, packet(known, 90))).toEqual(hopped(packet(real, 9090)));
  });

  it('over SCTP in fragments keeps its CRC where the ports stay, and is dropped by name where they change', () => {
    const spec = (target: number) => ({
      services: compilerOf([
        service({
          clusterIP: VIP[family],
          clusterIPs: [VIP[family]],
          ports: [{ name: 'sctp', port: 90, targetPort: target, protocol: 'SCTP' }],
        }),
        slice([ready(remote)], {
          type: family === 4 ? 'IPv4' : 'IPv6',
          ports: [{ name: 'sctp', port: target, protocol: 'SCTP' }],
        }),
      ]),
    });
    // A heartbeat (RFC 9260 §3.3.5): an INIT is never as long.
    const data = Uint8Array.from({ length: 1600 }, (_, i) => i);
    const fragments = (between: Addresses) => {
      const chunk = concat(be(4, 1), be(0, 1), be(4 + data.length, 2), data);
      const whole = concat(be(CLIENT, 2), be(90, 2), be(5, 4), be(0, 4), chunk);
      whole.set(le(crc32c(whole), 4), 8);
      return [0, 800].map((offset) => {
        const part = whole.slice(offset, offset === 0 ? 800 : undefined);
        const more = offset === 0;
        return family === 4
          ? ipv4({ ...between, protocol: SCTP, id: 78, df: false, mf: more, offset }, part)
          : ipv6({ ...between, protocol: SCTP, extensions: [fragmentHeader(offset, more, 78)] }, part);
      });
    };
    const same = nodeOf(1, spec(90));
    expect(fragments(known).map((packet) => sent(same, packet))).toEqual(fragments(real).map(hopped));
    const other = nodeOf(1, spec(9090));
    for (const packet of fragments(known)) {
      const burst = other.egress(fromPod(1, 2, packet));
      expect(fate(burst)).toBe('ServiceSctpFragment');
      expect(burst.messages).toEqual([]);
    }
  });

  it('in fragments goes there whole', () => {
    const node = nodeOf(1, withWeb(family, [ready(remote)]));
    const data = Uint8Array.from({ length: 1600 }, (_, i) => i);
    const fragments = (between: Addresses, dport: number) => {
      const whole = udp(between, { sport: CLIENT, dport }, data);
      return [0, 800].map((offset) => {
        const part = whole.slice(offset, offset === 0 ? 800 : undefined);
        const more = offset === 0;
        return family === 4
          ? ipv4({ ...between, protocol: UDP, id: 77, df: false, mf: more, offset }, part)
          : ipv6({ ...between, protocol: UDP, extensions: [fragmentHeader(offset, more, 77)] }, part);
      });
    };
    const wanted = fragments(real, 5353).map(hopped);
    expect(fragments(known, 53).map((packet) => sent(node, packet))).toEqual(wanted);
    // Without its first one nobody can tell whose it is.
    const stray = nodeOf(1, withWeb(family, [ready(remote)]));
    expect(fate(stray.egress(fromPod(1, 2, fragments(known, 53)[1] as Uint8Array)))).toBe(
      'FragmentWithoutFirst',
    );
  });

  it('of a pod to itself comes from the node, and back through it', () => {
    const node = nodeOf(1, withWeb(family, [ready(own, 'node-1')]));
    const syn = { sport: CLIENT, flags: SYN, ack: 0 };
    const there = delivered(node.egress(fromPod(1, 2, tcpPacket(known, { ...syn, dport: 80 }))), 2);
    const l4 = 14 + (family === 4 ? 20 : 40);
    const sport = Buffer.from(there).readUInt16BE(l4);
    expect(sport).toBeGreaterThanOrEqual(61000);
    const seen = { src: pod(family, 1, 1), dst: own };
    expect(there).toEqual(toPod(1, 2, hopped(tcpPacket(seen, { ...syn, sport, dport: 8080 }))));
    const answer = { flags: SYN | ACK, ack: 2 };
    const back = tcpPacket(reversed(seen), { ...answer, sport: 8080, dport: sport });
    expect(delivered(node.egress(fromPod(1, 2, back)), 2)).toEqual(
      toPod(1, 2, hopped(tcpPacket(reversed(known), { ...answer, sport: 80, dport: CLIENT }))),
    );
  });

  it('takes another source port where the client speaks to the endpoint itself from the same one', () => {
    const node = nodeOf(1, withWeb(family, [ready(remote)]));
    const direct = udpPacket(real, { sport: CLIENT, dport: 5353 });
    expect(sent(node, direct)).toEqual(hopped(direct));
    const through = sent(node, udpPacket(known, { sport: CLIENT, dport: 53 }));
    const sport = Buffer.from(through).readUInt16BE(family === 4 ? 20 : 40);
    expect(sport).not.toBe(CLIENT);
    const answer = udpPacket(reversed(real), { sport: 5353, dport: sport });
    expect(delivered(node.ingress(fromPeer(1, answer)))).toEqual(
      toPod(1, 2, udpPacket(reversed(known), { sport: 53, dport: CLIENT })),
    );
    const straight = udpPacket(reversed(real), { sport: 5353, dport: CLIENT });
    expect(delivered(node.ingress(fromPeer(1, straight)))).toEqual(toPod(1, 2, straight));
  });

  it('takes source ports of the range that it is given', () => {
    const sourcePorts = { first: 50_000, last: 50_001 };
    const node = nodeOf(1, { ...withWeb(family, [ready(own, 'node-1')]), sourcePorts });
    const ports = [1, 2].map((sport) => {
      const asked = udpPacket(known, { sport, dport: 53 });
      const there = delivered(node.egress(fromPod(1, 2, asked)), 2);
      return Buffer.from(there).readUInt16BE(14 + (family === 4 ? 20 : 40));
    });
    expect(ports.sort()).toEqual([50_000, 50_001]);
    const third = udpPacket(known, { sport: 3, dport: 53 });
    expect(fate(node.egress(fromPod(1, 2, third)))).toBe('ServiceNoSourcePort');
  });

  it('Services 8: an endpoint that has gone under a TCP connection is told of by its node, in the words of the client', () => {
    const node = nodeOf(1, withWeb(family, [ready(remote)]));
    const segment = (flags: number, seq: number, ack: number) =>
      tcpPacket(known, { sport: CLIENT, dport: 80, flags, seq, ack });
    sent(node, segment(SYN, 1000, 0));
    const accepted = { sport: 8080, dport: CLIENT, flags: SYN | ACK, seq: 5000, ack: 1001 };
    delivered(node.ingress(fromPeer(1, tcpPacket(reversed(real), accepted))));
    sent(node, segment(ACK, 1001, 5001));
    // Service and pod go, on both nodes.
    const without = (i: number) => {
      const tables = tablesOf(i);
      return { ...tables, endpoints: tables.endpoints.filter(({ address }) => address !== remote) };
    };
    node.publish(without(1));
    const owner = nodeOf(2);
    owner.publish(without(2));
    const last = segment(ACK, 1001, 5001);
    const refused = owner.ingress(fromPeer(2, sent(node, last)));
    expect(fate(refused)).toBe('NoEndpoint');
    const [datagram] = refused.messages.flatMap(({ datagrams }) => datagrams);
    const told = delivered(node.ingress(fromPeer(1, innerOf(datagram ?? expect.fail('silence'), {}))));
    const router = { src: pod(family, 2, 1), dst: own };
    const seen = hopped(last);
    expect(told).toEqual(
      toPod(
        1,
        2,
        family === 4
          ? ipv4({ ...router, protocol: ICMP, df: false }, icmp(3, 1, be(0, 4), seen))
          : ipv6({ ...router, protocol: ICMPV6 }, icmp6(router, 1, 3, be(0, 4), seen)),
      ),
    );
  });

  it('Services 3: without any endpoint is refused by the address itself', () => {
    const node = nodeOf(1, withWeb(family, []));
    const asked = tcpPacket(known, { sport: CLIENT, dport: 80, flags: SYN, ack: 0 });
    const burst = node.egress(fromPod(1, 2, asked));
    expect(fate(burst)).toBe('ServiceNoEndpoint');
    const quote = concat(asked);
    const refusal =
      family === 4
        ? ipv4({ ...reversed(known), protocol: ICMP, df: false }, icmp(3, 3, be(0, 4), quote))
        : ipv6({ ...reversed(known), protocol: ICMPV6 }, icmp6(reversed(known), 1, 4, be(0, 4), quote));
    expect((burst.messages[0] as { bytes: Uint8Array }).bytes.slice(12)).toEqual(toPod(1, 2, refusal));
  });

  it('a port that the Service has not, and an echo, are refused', () => {
    const node = nodeOf(1, withWeb(family, [ready(remote)]));
    for (const packet of [
      udpPacket(known, { dport: 80 }),
      tcpPacket(known, { dport: 81, flags: SYN, ack: 0 }),
      echoPacket(known),
    ]) {
      const burst = node.egress(fromPod(1, 2, packet));
      expect(fate(burst)).toBe('ServiceNoSuchPort');
      expect(burst.messages).toHaveLength(1);
    }
  });

  it('Services 3: under the policy Local without a local endpoint is dropped', () => {
    const node = nodeOf(1, withWeb(family, [ready(remote)], { internalTrafficPolicy: 'Local' }));
    const burst = node.egress(fromPod(1, 2, tcpPacket(known, { dport: 80, flags: SYN, ack: 0 })));
    expect(fate(burst)).toBe('ServiceNoLocalEndpoint');
    expect(burst.messages).toEqual([]);
  });

  it('ICMP errors about what the client sent quote what it sent', () => {
    const node = nodeOf(1, withWeb(family, [ready(remote)]));
    const asked = udpPacket(known, { sport: CLIENT, dport: 53 }, body);
    const went = sent(node, asked);
    const error = (between: Addresses, quote: Uint8Array) =>
      family === 4
        ? ipv4({ ...between, protocol: ICMP }, icmp(3, 3, be(0, 4), quote))
        : ipv6({ ...between, protocol: ICMPV6 }, icmp6(between, 1, 4, be(0, 4), quote));
    // From the endpoint, as from the Service; from a router on the way, as it is.
    expect(delivered(node.ingress(fromPeer(1, error(reversed(real), went))))).toEqual(
      toPod(1, 2, error(reversed(known), hopped(asked))),
    );
    const router = { src: pod(family, 2, 1), dst: own };
    expect(delivered(node.ingress(fromPeer(1, error(router, went))))).toEqual(
      toPod(1, 2, error(router, hopped(asked))),
    );
    // As little of it as must be quoted.
    const little = (family === 4 ? 20 : 40) + 8;
    expect(delivered(node.ingress(fromPeer(1, error(reversed(real), went.slice(0, little)))))).toEqual(
      toPod(1, 2, error(reversed(known), hopped(asked).slice(0, little))),
    );
  });

  it('ICMP errors of the client about an answer reach the endpoint, which knows what they quote', () => {
    const node = nodeOf(1, withWeb(family, [ready(remote)]));
    sent(node, udpPacket(known, { sport: CLIENT, dport: 53 }, body));
    const answer = udpPacket(reversed(real), { sport: 5353, dport: CLIENT }, body);
    const seen = delivered(node.ingress(fromPeer(1, answer))).slice(14);
    const error = (between: Addresses, quote: Uint8Array) =>
      family === 4
        ? ipv4({ ...between, protocol: ICMP }, icmp(3, 3, be(0, 4), quote))
        : ipv6({ ...between, protocol: ICMPV6 }, icmp6(between, 1, 4, be(0, 4), quote));
    expect(sent(node, error(known, seen))).toEqual(hopped(error(real, answer)));
  });

  it('what is too big for the way out is told in the words of its sender', () => {
    const node = nodeOf(1, { ...withWeb(family, [ready(remote)]), podMtu: 9000, tunnelMtu: 1400 });
    const asked = udpPacket(known, { sport: CLIENT, dport: 53 }, new Uint8Array(2000));
    const burst = node.egress(fromPod(1, 2, asked));
    expect(fate(burst)).toBe('MtuExceeded');
    const told = (burst.messages[0] as { bytes: Uint8Array }).bytes.slice(12 + 14);
    const quote = told.slice(family === 4 ? 28 : 48);
    expect(quote).toEqual(asked.slice(0, quote.length));
  });
});

describe('there and back', () => {
  it.each(families)('every byte is as it was, and every checksum right, over IPv%i', (family) => {
    const client = pod(family, 1, 2);
    fc.assert(
      fc.property(
        fc.constantFrom('tcp', 'udp'),
        fc.integer({ min: 1, max: 65535 }),
        fc.integer({ min: 1, max: 65535 }),
        fc.integer({ min: 1, max: 65535 }),
        fc.integer({ min: 2, max: 254 }),
        fc.uint8Array({ maxLength: 90 }),
        (protocol, sport, port, target, host, data) => {
          const backend = family === 4 ? `10.244.2.${host}` : `fd00:244:2::${host}`;
          const PROTOCOL = protocol.toUpperCase();
          const services = compilerOf([
            service({
              clusterIP: VIP[family],
              clusterIPs: [VIP[family]],
              ports: [{ name: 'a', port, targetPort: target, protocol: PROTOCOL }],
            }),
            slice([ready(backend)], {
              type: family === 4 ? 'IPv4' : 'IPv6',
              ports: [{ name: 'a', port: target, protocol: PROTOCOL }],
            }),
          ]);
          const node = nodeOf(1, { services });
          const build = (between: Addresses, from: number, to: number, flags: number) =>
            protocol === 'tcp'
              ? tcpPacket(between, { sport: from, dport: to, flags, ack: flags === SYN ? 0 : 2 }, data)
              : udpPacket(between, { sport: from, dport: to }, data);
          const known = { src: client, dst: VIP[family] };
          const real = { src: client, dst: backend };
          expect(sent(node, build(known, sport, port, SYN))).toEqual(hopped(build(real, sport, target, SYN)));
          const answer = build(reversed(real), target, sport, SYN | ACK);
          expect(delivered(node.ingress(fromPeer(1, answer)))).toEqual(
            toPod(1, 2, build(reversed(known), port, sport, SYN | ACK)),
          );
        },
      ),
      { numRuns: 150 },
    );
  });
});
