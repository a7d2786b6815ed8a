// Which endpoint a connection to a Service goes to, and for how long.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { address } from '../../../src/net/address.ts';
import { decide } from '../../../src/service/decide.ts';
import { slotOf } from '../../../src/service/maglev.ts';
import { ACK, FIN, SYN, tcpPacket, udpPacket } from '../../support/packets.ts';
import { compilerOf, type EndpointFields } from '../../support/services.ts';
import { fromPeer, fromPod, nodeOf, pod, tablesOf } from '../cluster.ts';
import { fate, TestNode } from '../harness.ts';
import { bytesOf, CLIENT, delivered, destinationOf, ready, sent, VIP, web, withWeb } from '../services.ts';

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
