// Rates of ports: what waits, in which order it goes on, when, and what is dropped.
import { describe, expect, it } from 'vitest';
import { TAP_PAUSED } from '../../../asm/layout/burst.ts';
import { WORKER_SHAPING } from '../../../asm/layout/memory.ts';
import { PORT_DROPS } from '../../../asm/layout/tables.ts';
import { concat, hex, hopped, tcpPacket, udpPacket, vnet } from '../../support/packets.ts';
import { fromPeer, fromPod, nodeOf, pod, toPod } from '../cluster.ts';
import type { TestNode } from '../harness.ts';

/** 8 Mbit/s: a byte a microsecond, with 2 ms of credit. */
const rate = { rate: 8e6, burst: 16_000 };
const CREDIT = 2000;
const PAYLOAD = 1000;

const numbered = (n: number) => udpPacket(local, {}, new Uint8Array(PAYLOAD).fill(n));
const local = { src: pod(4, 1, 2), dst: pod(4, 1, 3) };
/** Of a numbered packet in its Ethernet header. */
const FRAME = PAYLOAD + 28 + 14;
const isShaping = (node: TestNode) => node.view.getUint32(node.base + WORKER_SHAPING, true) !== 0;
const slots = (burst: { messages: readonly { slot: number }[] }) => burst.messages.map(({ slot }) => slot);
/** The number in each message's last byte. */
const numbers = (burst: { messages: readonly { bytes: Uint8Array }[] }) =>
  burst.messages.map(({ bytes }) => bytes.at(-1));

function limited(bandwidth: Parameters<TestNode['limit']>[1], port: number): TestNode {
  const node = nodeOf(1);
  node.limit(port, bandwidth);
  node.time = 1e9;
  return node;
}

describe('what a pod sends', () => {
  it('is let through, and the TAP not read again before the debt is repaid', () => {
    const node = limited({ egress: rate }, 2);
    const frames = Array.from({ length: 3 }, (_, n) => fromPod(1, 2, numbered(n)));
    expect(slots(node.egress(...frames))).toEqual([3, 3, 3]);
    expect(node.switches).toEqual([(2 | TAP_PAUSED) >>> 0]);
    const debt = 3 * FRAME - CREDIT;
    node.time = 1e9 + debt - 1;
    node.shape();
    expect(node.switches).toEqual([]);
    node.time = 1e9 + debt;
    node.shape();
    expect(node.switches).toEqual([2]);
    expect(isShaping(node)).toBe(false);
  });

  it('costs other ports nothing', () => {
    const node = limited({ egress: rate }, 2);
    const other = udpPacket({ src: local.dst, dst: local.src }, {}, new Uint8Array(PAYLOAD));
    const frames = Array.from({ length: 9 }, () => fromPod(1, 3, other));
    expect(slots(node.egress(...frames))).toHaveLength(9);
    expect(node.switches).toEqual([]);
  });

  it('is one debt for both workers', () => {
    const node = limited({ egress: rate }, 2);
    const second = nodeOf(1, {}, { beside: node });
    second.time = 1e9;
    node.egress(...[0, 1].map((n) => fromPod(1, 2, numbered(n))));
    second.egress(fromPod(1, 2, numbered(2)));
    expect(second.switches).toEqual([(2 | TAP_PAUSED) >>> 0]);
    node.time = second.time = 1e9 + 3 * FRAME - CREDIT - 1;
    second.shape();
    expect(second.switches).toEqual([]);
  });
});

describe('what a pod receives', () => {
  it('passes on credit, then waits in order, and goes on at the rate', () => {
    const node = limited({ ingress: rate }, 3);
    const send = (...list: number[]) => node.egress(...list.map((n) => fromPod(1, 2, numbered(n))));
    expect(numbers(send(0, 1, 2, 3))).toEqual([0, 1]);
    expect(isShaping(node)).toBe(true);
    expect(send(4).verdicts).toEqual({ Forward: 1 });
    expect(numbers(node.shape())).toEqual([]);
    const free = 1e9 + 2 * FRAME - CREDIT;
    node.time = free - 1;
    expect(numbers(node.shape())).toEqual([]);
    node.time = free;
    const { messages } = node.shape();
    expect(hex(messages[0]?.bytes ?? new Uint8Array())).toBe(
      hex(concat(vnet(), toPod(1, 3, hopped(numbered(2))))),
    );
    expect(messages).toHaveLength(1);
    node.time = free + 2 * FRAME;
    expect(numbers(node.shape())).toEqual([3, 4]);
    expect(isShaping(node)).toBe(false);
    // Behind what has waited, not before it.
    expect(numbers(send(5))).toEqual([]);
  });

  it('waits whole, superframes too, whatever they are gathered from', () => {
    const node = limited({ ingress: rate }, 2);
    const large = Uint8Array.from({ length: 40_000 }, (_, i) => (i * i) >> 3);
    const header = vnet({ flags: 1, gsoType: 1, headerLength: 54, gsoSize: 1390, start: 34, offset: 16 });
    const superframe = tcpPacket({ src: local.dst, dst: local.src }, { checksum: 'partial' }, large);
    expect(slots(node.egress(fromPod(1, 3, superframe, header)))).toEqual([2]);
    expect(slots(node.egress(fromPod(1, 3, superframe, header)))).toEqual([]);
    const far = { src: pod(4, 2, 2), dst: pod(4, 1, 2) };
    const pieces = [0, 1000].map((at) => tcpPacket(far, { seq: 1 + at }, large.subarray(at, at + 1000)));
    expect(slots(node.ingress(...pieces.map((packet) => fromPeer(1, packet))))).toEqual([]);
    const alone = nodeOf(1).ingress(...pieces.map((packet) => fromPeer(1, packet)));
    node.time = 2e9;
    const { messages } = node.shape();
    expect(hex(messages[0]?.bytes ?? new Uint8Array())).toBe(
      hex(concat(header, toPod(1, 2, hopped(superframe)))),
    );
    node.time = 3e9;
    expect([...messages.slice(1), ...node.shape().messages].map(({ bytes }) => hex(bytes))).toEqual(
      alone.messages.map(({ bytes }) => hex(bytes)),
    );
  });

  it('is dropped by name beyond what may wait, and counted as one drop', () => {
    const node = limited({ ingress: rate }, 3);
    const verdicts: Record<string, number> = {};
    for (let i = 0; i < 5; i++) {
      const burst = node.egress(...Array.from({ length: 100 }, () => fromPod(1, 2, numbered(7))));
      for (const [name, n] of Object.entries(burst.verdicts)) verdicts[name] = (verdicts[name] ?? 0) + n;
    }
    const held = Math.floor((256 << 10) / FRAME);
    expect(verdicts).toEqual({ Forward: 2 + held, RateExceeded: 498 - held });
    expect(node.portCounter(3, PORT_DROPS)).toBe(498 - held);
    // Every block comes back.
    for (let round = 0, time = 2e9; round < 3; round++, time += 1e9) {
      node.time = time;
      let released = 0;
      for (let i = 1; i <= held + 1; i++) {
        node.time = time + i * FRAME;
        released += node.shape().messages.length;
      }
      expect(released).toBe(held);
      expect(isShaping(node)).toBe(false);
      node.time = time;
      for (let i = 0; i < 5 && round < 2; i++)
        node.egress(...Array.from({ length: 100 }, () => fromPod(1, 2, numbered(7))));
    }
  });

  it('is forgotten where another pod has taken the port', () => {
    const node = limited({ ingress: rate }, 3);
    node.egress(...[0, 1, 2, 3].map((n) => fromPod(1, 2, numbered(n))));
    const row = node.wasm.portRow(node.area, 3) >>> 0;
    node.bytes[row + 4 + 5] = 0x77;
    node.time = 2e9;
    expect(node.shape().messages).toEqual([]);
    expect(isShaping(node)).toBe(false);
  });
});
