// One client, one endpoint and one source port, by a Service and directly: two connections that nobody may take for one.
import { describe, expect, it } from 'vitest';
import {
  ACK,
  type Addresses,
  be,
  concat,
  FIN,
  hopped,
  ipPacket,
  le,
  RST,
  SCTP,
  SYN,
  tcpPacket,
  udpPacket,
} from '../../support/packets.ts';
import { fromPeer, fromPod, nodeOf, pod, tablesOf, toPod } from '../cluster.ts';
import { deny, fate, type TestNode } from '../harness.ts';
import { CLIENT, crc32c, delivered, families, ready, reversed, sent, VIP, withWeb } from '../services.ts';

type Build = (between: Addresses, sport: number, dport: number, isAnswer?: boolean) => Uint8Array;

const TAG = 7;

/** INIT, or INIT ACK with the tag that the INIT asked for. */
const sctp: Build = (between, sport, dport, isAnswer = false) => {
  const chunk = concat(
    be(isAnswer ? 2 : 1, 1),
    be(0, 1),
    be(20, 2),
    be(TAG, 4),
    be(65536, 4),
    be(0x10001, 4),
  );
  const bytes = concat(be(sport, 2), be(dport, 2), be(isAnswer ? TAG : 0, 4), be(0, 4), chunk, be(9, 4));
  bytes.set(le(crc32c(bytes), 4), 8);
  return ipPacket({ ...between, protocol: SCTP }, bytes);
};

const protocols: readonly (readonly [string, number, number, Build])[] = [
  [
    'TCP',
    80,
    8080,
    (between, sport, dport, isAnswer) =>
      tcpPacket(between, { sport, dport, flags: isAnswer ? SYN | ACK : SYN, ack: isAnswer ? 2 : 0 }),
  ],
  ['UDP', 53, 5353, (between, sport, dport) => udpPacket(between, { sport, dport })],
  ['SCTP', 90, 9090, sctp],
];

const cases = families.flatMap((family) =>
  protocols.map(([name, port, target, build]) => ({ name, family, port, target, build })),
);

describe.each(cases)('$name over IPv$family', ({ family, port, target, build }) => {
  const client = pod(family, 1, 2);
  const endpoint = pod(family, 2, 2);
  const known = { src: client, dst: VIP[family] };
  const real = { src: client, dst: endpoint };
  const sportOf = (packet: Uint8Array) => Buffer.from(packet).readUInt16BE(family === 4 ? 20 : 40);
  const through = (node: TestNode) => sportOf(sent(node, build(known, CLIENT, port)));
  const straight = (node: TestNode) => sportOf(sent(node, build(real, CLIENT, target)));
  /** What the client gets when the endpoint answers to a port of the client's address. */
  const answerTo = (node: TestNode, sport: number) =>
    delivered(node.ingress(fromPeer(1, build(reversed(real), target, sport, true))));
  const fromService = toPod(1, 2, build(reversed(known), port, CLIENT, true));
  const fromEndpoint = toPod(1, 2, build(reversed(real), target, CLIENT, true));

  it('by the Service first, then directly: each gets its own answers', () => {
    const node = nodeOf(1, withWeb(family, [ready(endpoint)]));
    const first = through(node);
    expect(first).toBe(CLIENT);
    const second = straight(node);
    expect(second).not.toBe(CLIENT);
    expect(sent(node, build(real, CLIENT, target))).toEqual(hopped(build(real, second, target)));
    expect(answerTo(node, first)).toEqual(fromService);
    expect(answerTo(node, second)).toEqual(fromEndpoint);
    expect([through(node), straight(node)]).toEqual([first, second]);
  });

  it('directly first, then by the Service: each gets its own answers', () => {
    const node = nodeOf(1, withWeb(family, [ready(endpoint)]));
    const first = straight(node);
    expect(first).toBe(CLIENT);
    const second = through(node);
    expect(second).not.toBe(CLIENT);
    expect(answerTo(node, first)).toEqual(fromEndpoint);
    expect(answerTo(node, second)).toEqual(fromService);
    expect([straight(node), through(node)]).toEqual([first, second]);
  });

  it('keeps its own port when tables change', () => {
    const node = nodeOf(1, withWeb(family, [ready(endpoint)]));
    const ports = [through(node), straight(node)];
    node.publish(tablesOf(1, withWeb(family, [ready(endpoint), ready(pod(family, 2, 3))])));
    expect([through(node), straight(node)]).toEqual(ports);
  });

  it('has the ends to itself once the connection by the Service has been silent for too long', () => {
    const node = nodeOf(1, withWeb(family, [ready(endpoint)]));
    through(node);
    node.clock += 500_000_000;
    expect(straight(node)).toBe(CLIENT);
    expect(answerTo(node, CLIENT)).toEqual(fromEndpoint);
    const again = through(node);
    expect(again).not.toBe(CLIENT);
    expect(answerTo(node, again)).toEqual(fromService);
    expect(answerTo(node, CLIENT)).toEqual(fromEndpoint);
  });

  it('gets another port, and is judged as what the client asks for, where the endpoint has spoken to the client first', () => {
    const spoken = build(reversed(real), target, CLIENT);
    const open = nodeOf(1, withWeb(family, [ready(endpoint)]));
    delivered(open.ingress(fromPeer(1, spoken)));
    expect(through(open)).not.toBe(CLIENT);
    const isolated = { ports: { 2: { egress: { rows: [[deny(1)]] } } } };
    const shut = nodeOf(1, withWeb(family, [ready(endpoint)], {}, isolated));
    delivered(shut.ingress(fromPeer(1, spoken)));
    expect(fate(shut.egress(fromPod(1, 2, build(known, CLIENT, port))))).toBe('PolicyEgress');
  });

  it('is refused where no source port is left', () => {
    const node = nodeOf(1, {
      ...withWeb(family, [ready(endpoint)]),
      sourcePorts: { first: 62_000, last: 62_001 },
    });
    for (const sport of [62_000, 62_001]) sent(node, build(real, sport, target));
    through(node);
    expect(fate(node.egress(fromPod(1, 2, build(real, CLIENT, target))))).toBe('ServiceNoSourcePort');
  });
});

describe.each(families)('a TCP connection over IPv%i', (family) => {
  const client = pod(family, 1, 2);
  const endpoint = pod(family, 2, 2);
  const known = { src: client, dst: VIP[family] };
  const real = { src: client, dst: endpoint };
  const sportOf = (packet: Uint8Array) => Buffer.from(packet).readUInt16BE(family === 4 ? 20 : 40);
  const segment = (flags: number, seq: number, ack: number) => ({ sport: CLIENT, flags, seq, ack });

  it.each([
    ['has ended', FIN | ACK],
    ['was reset', RST | ACK],
  ])('gets the ends of one by a Service that %s, whose stragglers do not reach it', (_, last) => {
    const node = nodeOf(1, withWeb(family, [ready(endpoint)]));
    const answer = (flags: number, seq: number, ack: number, dport = CLIENT) =>
      delivered(
        node.ingress(fromPeer(1, tcpPacket(reversed(real), { sport: 8080, dport, flags, seq, ack }))),
      );
    const through = (flags: number, seq: number, ack: number) =>
      sent(node, tcpPacket(known, { ...segment(flags, seq, ack), dport: 80 }));
    through(SYN, 1000, 0);
    answer(SYN | ACK, 5000, 1001);
    through(ACK, 1001, 5001);
    through(last, 1001, 5001);
    if (last & FIN) answer(FIN | ACK, 5001, 1002);
    const syn = tcpPacket(real, { ...segment(SYN, 9000, 0), dport: 8080 });
    expect(sent(node, syn)).toEqual(hopped(syn));
    expect(answer(SYN | ACK, 7000, 9001)).toEqual(
      toPod(
        1,
        2,
        tcpPacket(reversed(real), { sport: 8080, dport: CLIENT, flags: SYN | ACK, seq: 7000, ack: 9001 }),
      ),
    );
    expect(sportOf(through(ACK, 1002, 5002))).not.toBe(CLIENT);
  });

  it('goes on when the one by the Service has ended and begun anew', () => {
    const node = nodeOf(1, withWeb(family, [ready(endpoint)]));
    const through = (flags: number, seq: number, ack: number) =>
      sent(node, tcpPacket(known, { ...segment(flags, seq, ack), dport: 80 }));
    const straight = (flags: number, seq: number, ack: number) =>
      sportOf(sent(node, tcpPacket(real, { ...segment(flags, seq, ack), dport: 8080 })));
    const answer = (dport: number, flags: number, seq: number, ack: number) =>
      node.ingress(fromPeer(1, tcpPacket(reversed(real), { sport: 8080, dport, flags, seq, ack })));
    through(SYN, 1000, 0);
    answer(CLIENT, SYN | ACK, 5000, 1001);
    const port = straight(SYN, 3000, 0);
    answer(port, SYN | ACK, 8000, 3001);
    through(RST | ACK, 1001, 5001);
    expect(straight(ACK, 3001, 8001)).toBe(port);
    expect(sportOf(through(SYN, 20_000, 0))).toBe(CLIENT);
    expect(straight(ACK, 3001, 8001)).toBe(port);
  });
});
