// Which queue of a TAP a packet is written to: the one that its flow's packets came from.
import { describe, expect, it } from 'vitest';
import { SYN, tcpPacket, udpPacket } from '../../support/packets.ts';
import { fromPeer, fromPod, nodeOf, pod } from '../cluster.ts';

const families = [4, 6] as const;
const QUEUES = 8;

describe.each(families)('queues of a TAP, IPv%i', (family) => {
  const out = { src: pod(family, 1, 2), dst: pod(family, 2, 2) };
  const back = { src: out.dst, dst: out.src };
  const ports = (n: number) => ({ sport: 40_000 + n, dport: 53 });
  const replied = (n: number) => ({ sport: 53, dport: 40_000 + n });
  const node = (queues: number) => {
    const made = nodeOf(1);
    made.queues = queues;
    return made;
  };

  it('a flow is answered in the queue that it was read from', () => {
    const one = node(QUEUES);
    for (let queue = 0; queue < QUEUES; queue++) {
      one.egress({ ...fromPod(1, 2, udpPacket(out, ports(queue))), queue });
      const { messages } = one.ingress(fromPeer(1, udpPacket(back, replied(queue))));
      expect(messages.map((message) => message.queue)).toEqual([queue]);
    }
  });

  it('a flow that has moved is followed', () => {
    const one = node(QUEUES);
    for (const queue of [3, 5]) {
      one.egress({ ...fromPod(1, 2, udpPacket(out, ports(0))), queue });
      const { messages } = one.ingress(fromPeer(1, udpPacket(back, replied(0))));
      expect(messages.map((message) => message.queue)).toEqual([queue]);
    }
  });

  it('flows that nothing is known of are spread, each in one queue', () => {
    const one = node(QUEUES);
    const queueOf = (n: number) =>
      one.ingress(fromPeer(1, tcpPacket(back, { sport: 1000 + n, dport: 80, flags: SYN }))).messages[0]
        ?.queue;
    const first = Array.from({ length: 200 }, (_, n) => queueOf(n));
    expect(new Set(first).size).toBe(QUEUES);
    expect(Array.from({ length: 200 }, (_, n) => queueOf(n))).toEqual(first);
  });

  it.each([0, 1])('CONTROL_QUEUES %i is one queue', (queues) => {
    const one = node(queues);
    for (let n = 0; n < 50; n++) {
      const { messages } = one.ingress(fromPeer(1, udpPacket(back, replied(n))));
      expect(messages.map((message) => message.queue)).toEqual([0]);
    }
  });
});
