// Packets to Services and back: whom they reach, and every byte of them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { address } from '../../../src/net/address.ts';
import { decide } from '../../../src/service/decide.ts';
import { slotOf } from '../../../src/service/maglev.ts';
import {
  ACK,
  type Addresses,
  be,
  concat,
  echoPacket,
  FIN,
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
import { compilerOf, type EndpointFields, service, slice } from '../../support/services.ts';
import {
  type ClusterOptions,
  fromPeer,
  fromPod,
  innerOf,
  nodeOf,
  pod,
  tablesOf,
  toPod,
  underlay,
} from '../cluster.ts';
import { allow, type Burst, deny, fate, type PolicySpec, TestNode } from '../harness.ts';

const families = [4, 6] as const;
const VIP = { 4: '10.96.0.10', 6: 'fd00:96::a' } as const;
const CLIENT = 40000;

/** default/web of one family: http 80 → 8080, dns UDP 53 → 5353, sctp 90 → 9090. */
function web(family: 4 | 6, endpoints: readonly EndpointFields[], spec: object = {}): object[] {
  const ports = [
    { name: 'http', port: 80, target: 8080, protocol: 'TCP' },
    { name: 'dns', port: 53, target: 5353, protocol: 'UDP' },
    { name: 'sctp', port: 90, target: 9090, protocol: 'SCTP' },
  ];
  return [
    service({
      clusterIP: VIP[family],
      clusterIPs: [VIP[family]],
      ports: ports.map(({ target, ...port }) => ({ ...port, targetPort: target })),
      ...spec,
    }),
    slice(endpoints, {
      type: family === 4 ? 'IPv4' : 'IPv6',
      ports: ports.map(({ target, name, protocol }) => ({ name, protocol, port: target })),
    }),
  ];
}

const withWeb = (
  family: 4 | 6,
  endpoints: readonly EndpointFields[],
  spec?: object,
  more: ClusterOptions = {},
): ClusterOptions => ({ ...more, services: compilerOf(web(family, endpoints, spec)) });

const reversed = ({ src, dst }: Addresses): Addresses => ({ src: dst, dst: src });
const ready = (ip: string, node = 'node-2'): EndpointFields => ({ ip, node, ready: true });

/** The only packet that node 1 sends into the tunnel for one of its pod 2, or of another port. */
function sent(node: TestNode, packet: Uint8Array, more?: Uint8Array, port = 2): Uint8Array {
  const burst = node.egress(fromPod(1, port, packet, more));
  expect(fate(burst)).toBe('Forward');
  const datagrams = burst.messages.flatMap((message) => message.datagrams);
  expect(datagrams).toHaveLength(1);
  return innerOf(datagrams[0] as Uint8Array, {});
}

/** The only frame that a TAP of node 1 gets, without vnet header. */
function delivered(burst: Burst, port = 2): Uint8Array {
  expect(fate(burst)).toBe('Forward');
  expect(burst.messages.map(({ slot }) => slot)).toEqual([port]);
  return (burst.messages[0] as { bytes: Uint8Array }).bytes.slice(12);
}

const destinationOf = (packet: Uint8Array): string =>
  Buffer.from((packet[0] as number) >> 4 === 4 ? packet.slice(16, 20) : packet.slice(24, 40)).toString('hex');
const bytesOf = (text: string): string =>
  Buffer.from(address(text).bytes.slice(text.includes('.') ? 12 : 0)).toString('hex');

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

/** CRC-32c bit by bit, RFC 9260 appendix A. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

describe('the endpoint of a connection', () => {
  const endpoints = Array.from({ length: 7 }, (_, i) => ready(`10.244.2.${i + 2}`));
  const client = pod(4, 1, 2);

  it('is the one that `service why` names', () => {
    const services = compilerOf(web(4, endpoints));
    const node = nodeOf(1, { services });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 65535 }), (sport) => {
        const told = decide(services, {
          client: address(client),
          origin: 'pod',
          clientPort: sport,
          to: address(VIP[4]),
          port: 53,
          protocol: 'UDP',
        });
        const went = sent(node, udpPacket({ src: client, dst: VIP[4] }, { sport, dport: 53 }));
        if (told.verdict !== 'forward') throw new Error(told.verdict);
        expect(destinationOf(went)).toBe(bytesOf(told.backend?.address.text ?? ''));
      }),
    );
  });

  it('has the slot that TypeScript computes', () => {
    const node = nodeOf(1);
    const at = node.scratch;
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.integer({ min: 0, max: 65535 }),
        fc.constantFrom(1, 1024, 8192, 65536),
        (bytes, port, slots) => {
          node.bytes.set(bytes, at);
          const one = { ...address('::'), bytes };
          expect(node.wasm.slotOf(at, port, slots) >>> 0).toBe(slotOf(one, port, slots));
        },
      ),
    );
  });

  const udpTo = (node: TestNode, sport = CLIENT) =>
    destinationOf(sent(node, udpPacket({ src: client, dst: VIP[4] }, { sport, dport: 53 })));
  const tables = (list: readonly EndpointFields[], spec?: object) => tablesOf(1, withWeb(4, list, spec));

  it('Services 8: UDP leaves one that has gone, stays with one that serves, and comes where there was none', () => {
    const [first, second] = [ready('10.244.2.2'), ready('10.244.2.3')] as const;
    const node = nodeOf(1, withWeb(4, [first]));
    expect(udpTo(node)).toBe(bytesOf(first.ip));
    node.publish(tables([first, second]));
    expect(udpTo(node)).toBe(bytesOf(first.ip));
    // Terminating, but still serving.
    node.publish(tables([{ ...first, ready: false, serving: true, terminating: true }, second]));
    expect(udpTo(node)).toBe(bytesOf(first.ip));
    node.publish(tables([second]));
    expect(udpTo(node)).toBe(bytesOf(second.ip));
    // To zero, and from zero.
    node.publish(tables([]));
    expect(
      fate(node.egress(fromPod(1, 2, udpPacket({ src: client, dst: VIP[4] }, { sport: CLIENT, dport: 53 })))),
    ).toBe('ServiceNoEndpoint');
    node.publish(tables([first]));
    expect(udpTo(node)).toBe(bytesOf(first.ip));
    // The Service goes and comes: meanwhile its address is outside.
    node.publish(tablesOf(1));
    const past = node.egress(
      fromPod(1, 2, udpPacket({ src: client, dst: VIP[4] }, { sport: CLIENT, dport: 53 })),
    );
    expect(past.messages.map(({ slot }) => slot)).toEqual([0]);
    node.publish(tables([second]));
    expect(udpTo(node)).toBe(bytesOf(second.ip));
  });

  const tcpTo = (node: TestNode, flags: number, fields: object = {}) =>
    destinationOf(
      sent(node, tcpPacket({ src: client, dst: VIP[4] }, { sport: CLIENT, dport: 80, flags, ...fields })),
    );
  const answers = (node: TestNode, from: string, flags: number, fields: object = {}) =>
    delivered(
      node.ingress(
        fromPeer(1, tcpPacket({ src: from, dst: client }, { sport: 8080, dport: CLIENT, flags, ...fields })),
      ),
    );

  function established(node: TestNode): string {
    const there = tcpTo(node, SYN, { seq: 1000, ack: 0 });
    const backend = endpoints.find(({ ip }) => bytesOf(ip) === there)?.ip ?? expect.fail(there);
    answers(node, backend, SYN | ACK, { seq: 5000, ack: 1001 });
    tcpTo(node, ACK, { seq: 1001, ack: 5001 });
    return backend;
  }

  it('Services 8: a TCP connection stays with its own, whatever comes and goes', () => {
    const node = nodeOf(1, withWeb(4, endpoints));
    const backend = established(node);
    const others = endpoints.filter(({ ip }) => ip !== backend);
    for (const list of [others, others.slice(1), [ready('10.244.2.99')], []]) {
      node.publish(tables(list));
      expect(tcpTo(node, ACK, { seq: 1001, ack: 5001 })).toBe(bytesOf(backend));
    }
    node.publish(tablesOf(1));
    expect(tcpTo(node, ACK, { seq: 1001, ack: 5001 })).toBe(bytesOf(backend));
  });

  it('a new connection from the same port after the old one has closed chooses anew', () => {
    const node = nodeOf(1, withWeb(4, endpoints));
    const backend = established(node);
    tcpTo(node, FIN | ACK, { seq: 1001, ack: 5001 });
    answers(node, backend, FIN | ACK, { seq: 5001, ack: 1002 });
    node.publish(tables([ready('10.244.2.3')]));
    expect(tcpTo(node, SYN, { seq: 9000, ack: 0 })).toBe(bytesOf('10.244.2.3'));
  });

  it('a SYN sent again goes elsewhere when the endpoint has gone meanwhile', () => {
    const node = nodeOf(1, withWeb(4, [ready('10.244.2.2')]));
    expect(tcpTo(node, SYN, { seq: 1000, ack: 0 })).toBe(bytesOf('10.244.2.2'));
    expect(tcpTo(node, SYN, { seq: 1000, ack: 0 })).toBe(bytesOf('10.244.2.2'));
    node.publish(tables([ready('10.244.2.3')]));
    expect(tcpTo(node, SYN, { seq: 1000, ack: 0 })).toBe(bytesOf('10.244.2.3'));
  });

  it('Services 8: a restart loses no connection', () => {
    const before = nodeOf(1, withWeb(4, endpoints));
    const backend = established(before);
    const first = udpTo(before);
    const after = new TestNode(null, { successorOf: before });
    expect(after.flowsKept).toBe(true);
    after.publish(tables([...endpoints.filter(({ ip }) => ip !== backend), ready('10.244.2.77')]));
    expect(tcpTo(after, ACK, { seq: 1001, ack: 5001 })).toBe(bytesOf(backend));
    if (first !== bytesOf(backend)) expect(udpTo(after)).toBe(first);
  });

  it('Services 7: ClientIP affinity keeps a client for its time, and not with one that has gone', () => {
    const spec = { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } } };
    const node = nodeOf(1, withWeb(4, [ready('10.244.2.2')], spec));
    expect(udpTo(node, 1000)).toBe(bytesOf('10.244.2.2'));
    node.publish(tables(endpoints, spec));
    for (const port of [1001, 1002, 1003, 1004]) expect(udpTo(node, port)).toBe(bytesOf('10.244.2.2'));
    node.clock += 4_000;
    expect(udpTo(node, 1005)).toBe(bytesOf('10.244.2.2'));
    // Without a new connection for its time: where its hash leads.
    node.clock += 5_001;
    const hashed =
      endpoints[0] &&
      decide(compilerOf(web(4, endpoints, spec)), {
        client: address(client),
        origin: 'pod',
        clientPort: undefined,
        to: address(VIP[4]),
        port: 53,
        protocol: 'UDP',
      });
    const place = hashed?.verdict === 'forward' ? hashed.backend?.address.text : undefined;
    expect(udpTo(node, 1006)).toBe(bytesOf(place ?? ''));
    const left = endpoints.filter(({ ip }) => ip !== place);
    node.publish(tables(left, spec));
    const next = udpTo(node, 1007);
    expect(next).not.toBe(bytesOf(place ?? ''));
    node.publish(tables(endpoints, spec));
    expect(udpTo(node, 1008)).toBe(next);
  });
});

describe('the node itself', () => {
  const self = { 4: '10.244.1.0', 6: 'fd00:244:1::' } as const;

  it.each(families)("reaches its own and another node's processes through a Service over IPv%i", (family) => {
    const client = underlay(family, 1);
    for (const [backend, source] of [
      [underlay(family, 1), self[family]],
      [underlay(family, 2), pod(family, 1, 1)],
    ] as const) {
      const node = nodeOf(1, withWeb(family, [ready(backend)], {}, { self: true }));
      const asked = tcpPacket(
        { src: client, dst: VIP[family] },
        { sport: CLIENT, dport: 80, flags: SYN, ack: 0 },
      );
      const burst = node.egress(fromPod(1, 0, asked));
      expect(fate(burst)).toBe('Forward');
      const message = burst.messages[0] as { bytes: Uint8Array; datagrams: readonly Uint8Array[] };
      const isOwn = source === self[family];
      const there = isOwn ? message.bytes.slice(12 + 14) : innerOf(message.datagrams[0] as Uint8Array, {});
      const sport = Buffer.from(there).readUInt16BE(family === 4 ? 20 : 40);
      expect(there).toEqual(
        tcpPacket({ src: source, dst: backend }, { sport, dport: 8080, flags: SYN, ack: 0 }),
      );
      const back = tcpPacket(
        { src: backend, dst: source },
        { sport: 8080, dport: sport, flags: SYN | ACK, ack: 2 },
      );
      const answered = isOwn ? node.egress(fromPod(1, 0, back)) : node.ingress(fromPeer(1, back));
      expect(delivered(answered, 0)).toEqual(
        toPod(
          1,
          0,
          tcpPacket(
            { src: VIP[family], dst: client },
            { sport: 80, dport: CLIENT, flags: SYN | ACK, ack: 2 },
          ),
        ),
      );
    }
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
