// Services, and clients and endpoints that are nodes.
import { describe, expect, it } from 'vitest';
import { node as nodeObject } from '../../support/cluster.ts';
import { ACK, SYN, tcpPacket } from '../../support/packets.ts';
import { compilerOf, service, slice } from '../../support/services.ts';
import { fromPeer, fromPod, innerOf, nodeOf, pod, toPod, underlay } from '../cluster.ts';
import { fate } from '../harness.ts';
import { CLIENT, delivered, families, ready, VIP, withWeb } from '../services.ts';

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

  it.each(families)("of another node is answered by the kernel's way over IPv%i", (family) => {
    const client = underlay(family, 2);
    const at = underlay(family, 1);
    const nodePort = 30_080;
    const spec = { type: 'NodePort', ports: [{ name: 'http', port: 80, nodePort }] };
    const type = family === 4 ? 'IPv4' : 'IPv6';
    const asked = { sport: CLIENT, flags: SYN, ack: 0 };
    for (const isHere of [true, false]) {
      const backend = pod(family, isHere ? 1 : 2, 3);
      const services = compilerOf([
        nodeObject(1),
        service({ ...spec, clusterIP: VIP[family], clusterIPs: [VIP[family]] }),
        slice([ready(backend, isHere ? 'node-1' : 'node-2')], { type }),
      ]);
      const node = nodeOf(1, { services });
      const knock = tcpPacket({ src: client, dst: at }, { ...asked, dport: nodePort });
      const burst = node.egress(fromPod(1, 1, knock));
      expect(fate(burst)).toBe('Forward');
      const message = burst.messages[0] as { bytes: Uint8Array; datagrams: readonly Uint8Array[] };
      const there = isHere ? message.bytes.slice(12 + 14) : innerOf(message.datagrams[0] as Uint8Array, {});
      const sport = Buffer.from(there).readUInt16BE(family === 4 ? 20 : 40);
      const seen = isHere ? client : pod(family, 1, 1);
      const back = tcpPacket(
        { src: backend, dst: seen },
        { sport: 8080, dport: sport, flags: SYN | ACK, ack: 2 },
      );
      const answered = isHere ? node.egress(fromPod(1, 3, back)) : node.ingress(fromPeer(1, back));
      expect(delivered(answered, 0)).toEqual(
        toPod(
          1,
          0,
          tcpPacket({ src: at, dst: client }, { sport: nodePort, dport: CLIENT, flags: SYN | ACK, ack: 2 }),
        ),
      );
    }
  });
});

describe.each(families)('from outside over IPv%i', (family) => {
  const external = family === 4 ? '203.0.113.20' : '2001:db8:113::20';
  const stranger = family === 4 ? '198.51.100.7' : '2001:db8:51::7';
  const near = pod(family, 1, 2);
  const far = pod(family, 2, 2);
  const here = underlay(family, 1);
  const gateway = pod(family, 1, 1);
  const self = family === 4 ? '10.244.1.0' : 'fd00:244:1::';

  it.each([
    ['a stranger reaches a process of this node', stranger, here, self],
    ['another node reaches a pod of this node', underlay(family, 2), near, undefined],
    ['another node reaches a pod of its own', underlay(family, 2), far, gateway],
    ['another node reaches a process of this node', underlay(family, 2), here, self],
  ])('%s, and the answer leaves by the kernel', (_, client, backend, source) => {
    const node = nodeOf(1, withWeb(family, [ready(backend)], { externalIPs: [external] }, { self: true }));
    const syn = { sport: CLIENT, dport: 80, flags: SYN, ack: 0 };
    const asked = node.egress(fromPod(1, 1, tcpPacket({ src: client, dst: external }, syn)));
    expect(fate(asked)).toBe('Forward');
    const message = asked.messages[0] as { bytes: Uint8Array; datagrams: readonly Uint8Array[] };
    const there =
      backend === far ? innerOf(message.datagrams[0] as Uint8Array, {}) : message.bytes.slice(12 + 14);
    const sport = Buffer.from(there).readUInt16BE(family === 4 ? 20 : 40);
    const seen = source ?? client;
    expect(there.slice(family === 4 ? 20 : 40)).toEqual(
      tcpPacket({ src: seen, dst: backend }, { ...syn, sport, dport: 8080 }).slice(family === 4 ? 20 : 40),
    );
    const back = tcpPacket(
      { src: backend, dst: seen },
      { sport: 8080, dport: sport, flags: SYN | ACK, ack: 2 },
    );
    const slot = backend === near ? 2 : 0;
    const answered = backend === far ? node.ingress(fromPeer(1, back)) : node.egress(fromPod(1, slot, back));
    expect(delivered(answered, 0)).toEqual(
      toPod(
        1,
        0,
        tcpPacket({ src: external, dst: client }, { sport: 80, dport: CLIENT, flags: SYN | ACK, ack: 2 }),
      ),
    );
  });
});
