// What the node itself sends to Services.
import { describe, expect, it } from 'vitest';
import { ACK, SYN, tcpPacket } from '../../support/packets.ts';
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
});
