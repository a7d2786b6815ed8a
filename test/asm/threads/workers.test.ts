// Two threads over one memory: both directions of a flow, made at once, and judged while policy changes.
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { beforeEach, describe, expect, it } from 'vitest';
import { RX_DATAGRAM_SIZE, RX_FRAME_SIZE } from '../../../asm/layout/burst.ts';
import { FLOW_PACKETS_FORWARD, FLOWS_HEADER_SIZE } from '../../../asm/layout/flows.ts';
import {
  CONTROL_FLOWS,
  CONTROL_SEED,
  DATAGRAM_HEADROOM,
  DATAGRAM_STRIDE,
  FRAME_HEADROOM,
  WORKER_DATAGRAM_ARENA,
  WORKER_EPOCH,
  WORKER_FRAME_ARENA,
  WORKER_RX_DATAGRAMS,
  WORKER_RX_FRAMES,
  WORKER_STRIDE,
  WORKERS,
} from '../../../asm/layout/memory.ts';
import { STAT_FLOW_HITS } from '../../../asm/layout/tables.ts';
import { Verdict } from '../../../asm/verdict.ts';
import type { BurstThreadData, Fates, Image } from '../../support/burst-thread.ts';
import { ACK, concat, hex, SYN, tcpPacket, udpPacket, vnet } from '../../support/packets.ts';
import { type ClusterOptions, fromPeer, fromPod, innerOf, nodeOf, pod, tablesOf } from '../cluster.ts';
import { allow, type DatagramIn, deny, type FrameIn, type PolicySpec, TestNode } from '../harness.ts';
import { ready, VIP, withWeb } from '../services.ts';

const there = { src: pod(4, 1, 2), dst: pod(4, 2, 2) };
const back = { src: pod(4, 2, 2), dst: pod(4, 1, 2) };

/** What a burst from TAPs finds in the memory of a worker. */
function framesOf(node: TestNode, worker: number, frames: readonly FrameIn[]): Image {
  const base = WORKERS + worker * WORKER_STRIDE;
  let at = base + WORKER_FRAME_ARENA;
  const writes = frames.map(({ frame }) => {
    const write = { at: at + FRAME_HEADROOM, bytes: concat(vnet(), frame) };
    at = (write.at + write.bytes.length + 63) & ~63;
    return write;
  });
  frames.forEach(({ port }, i) => {
    const { at: offset, bytes } = writes[i] as { at: number; bytes: Uint8Array };
    node.frameDescriptor(i, offset, bytes.length, port);
  });
  const rows = { at: base + WORKER_RX_FRAMES, bytes: node.bytes.slice(node.base + WORKER_RX_FRAMES) };
  rows.bytes = rows.bytes.slice(0, frames.length * RX_FRAME_SIZE);
  return { call: 'egress', rows: frames.length, writes: [...writes, rows] };
}

/** What a burst from sockets finds there. */
function datagramsOf(node: TestNode, worker: number, datagrams: readonly DatagramIn[]): Image {
  const base = WORKERS + worker * WORKER_STRIDE;
  const writes = datagrams.map(({ bytes }, i) => ({
    at: base + WORKER_DATAGRAM_ARENA + i * DATAGRAM_STRIDE + DATAGRAM_HEADROOM,
    bytes,
  }));
  for (const [i, one] of datagrams.entries())
    node.datagramDescriptor(i, writes[i]?.at ?? 0, one.bytes.length, one);
  const from = node.base + WORKER_RX_DATAGRAMS;
  const rows = {
    at: base + WORKER_RX_DATAGRAMS,
    bytes: node.bytes.slice(from, from + datagrams.length * RX_DATAGRAM_SIZE),
  };
  return { call: 'ingress', rows: datagrams.length, writes: [...writes, rows] };
}

/** Datagrams of equal size as the kernel merges them. */
function merged(packets: readonly Uint8Array[]): DatagramIn {
  const [first, ...rest] = packets.map((packet) => fromPeer(1, packet)) as [DatagramIn, ...DatagramIn[]];
  return {
    ...first,
    segment: first.bytes.length,
    bytes: concat(first.bytes, ...rest.map(({ bytes }) => bytes)),
  };
}

class Threads {
  readonly #signals = new SharedArrayBuffer(8);
  readonly #fates: readonly Promise<Fates>[];

  constructor(node: TestNode, mode: BurstThreadData['mode'], images: readonly (readonly Image[])[]) {
    this.#fates = images.map(
      (list, worker) =>
        new Promise((resolve, reject) => {
          const workerData: BurstThreadData = {
            memory: node.memory,
            worker,
            images: list,
            signals: this.#signals,
            mode,
            threads: images.length,
          };
          const thread = new Worker(new URL('../../support/burst-thread.ts', import.meta.url), {
            workerData,
          });
          thread.once('message', resolve);
          thread.once('error', reject);
        }),
    );
  }

  stop(): void {
    Atomics.store(new Int32Array(this.#signals), 1, 1);
  }

  fates(): Promise<Fates[]> {
    return Promise.all(this.#fates);
  }
}

describe('a flow whose directions meet different workers', () => {
  const isolated: ClusterOptions = { ports: { 2: { ingress: { rows: [[deny(7)]] } } } };

  it('is one flow: what leaves by one opens it for what comes by the other', () => {
    const [first] = [nodeOf(1, isolated)];
    const second = new TestNode(null, { beside: first });
    const options = { sport: 40000, dport: 80 };
    const server = { sport: 80, dport: 40000 };
    const send = (flags: number, seq: number, ack: number) =>
      first.egress(fromPod(1, 2, tcpPacket(there, { ...options, flags, seq, ack })));
    const receive = (flags: number, seq: number, ack: number) =>
      second.ingress(fromPeer(1, tcpPacket(back, { ...server, flags, seq, ack })));
    expect(receive(SYN | ACK, 500, 101).verdicts).toEqual({ PolicyIngress: 1 });
    expect(send(SYN, 100, 0).verdicts).toEqual({ Forward: 1 });
    expect(receive(SYN | ACK, 500, 101).verdicts).toEqual({ Forward: 1 });
    expect(send(ACK, 101, 501).stats[STAT_FLOW_HITS]).toBe(1);
    expect(receive(ACK, 501, 101).stats[STAT_FLOW_HITS]).toBe(1);
    expect(first.wasm.flowsCount()).toBe(1);
  });

  it('is one flow even where both make it at the same time', { timeout: 180_000 }, async () => {
    const ROUNDS = 60;
    const FLOWS = 128;
    const node = nodeOf(1, {}, { flowBuckets: 8192 });
    const ports = (round: number) => Array.from({ length: FLOWS }, (_, i) => 1024 + round * FLOWS + i);
    const rounds = Array.from({ length: ROUNDS }, (_, round) => ports(round));
    const out = rounds.map((list) =>
      framesOf(
        node,
        0,
        list.map((port) => fromPod(1, 2, udpPacket(there, { sport: port, dport: 9 }))),
      ),
    );
    const into = rounds.map((list) =>
      datagramsOf(
        node,
        1,
        Array.from({ length: 16 }, (_, i) =>
          merged(list.slice(i * 8, i * 8 + 8).map((port) => udpPacket(back, { sport: 9, dport: port }))),
        ),
      ),
    );
    const fates = await new Threads(node, 'rounds', [out, into]).fates();
    for (const one of fates)
      for (const counts of one.get(node.epoch) ?? [])
        expect(Object.fromEntries(counts)).toEqual({ [Verdict.Forward]: FLOWS });
    expect(node.wasm.flowsCount()).toBe(ROUNDS * FLOWS);
    // From now on both find the same entry.
    const second = new TestNode(null, { beside: node });
    for (const list of [rounds[0], rounds[ROUNDS - 1]]) {
      const again = (list ?? []).map((port) => fromPod(1, 2, udpPacket(there, { sport: port, dport: 9 })));
      const answers = (list ?? []).slice(0, 8).map((port) => udpPacket(back, { sport: 9, dport: port }));
      // What the one that gave up its entry had decided went with it, and is decided once more.
      node.egress(...again);
      second.ingress(merged(answers));
      expect(node.egress(...again).stats[STAT_FLOW_HITS]).toBe(FLOWS);
      expect(second.ingress(merged(answers)).stats[STAT_FLOW_HITS]).toBe(8);
    }
  });
});

describe('fronts of a Service', () => {
  it('are one for each connection even where both workers make them at the same time', {
    timeout: 180_000,
  }, async () => {
    const ROUNDS = 40;
    const FLOWS = 64;
    const node = nodeOf(1, withWeb(4, [ready(pod(4, 2, 2)), ready(pod(4, 2, 3))]), { flowBuckets: 8192 });
    const asked = (port: number) =>
      fromPod(1, 2, udpPacket({ src: pod(4, 1, 2), dst: VIP[4] }, { sport: port, dport: 53 }));
    const rounds = Array.from({ length: ROUNDS }, (_, round) =>
      Array.from({ length: FLOWS }, (_, i) => asked(1024 + round * FLOWS + i)),
    );
    // The second goes through them from the other end, so that the two meet in the middle.
    const images = [0, 1].map((worker) =>
      rounds.map((list) => framesOf(node, worker, worker === 0 ? list : list.toReversed())),
    );
    for (const one of await new Threads(node, 'rounds', images).fates())
      for (const counts of one.get(node.epoch) ?? [])
        expect(Object.fromEntries(counts)).toEqual({ [Verdict.Forward]: FLOWS });
    // A front and a flow for each, and from now on both workers find the same.
    expect(node.wasm.flowsCount()).toBe(2 * ROUNDS * FLOWS);
    const second = new TestNode(null, { beside: node });
    const destinations = (by: TestNode, list: readonly FrameIn[]) =>
      by.egress(...list).messages.flatMap(({ datagrams }) => datagrams.map((one) => hex(innerOf(one, {}))));
    for (const list of [rounds[0] ?? [], rounds[ROUNDS - 1] ?? []])
      expect(destinations(second, list).sort()).toEqual(destinations(node, list).sort());
    expect(node.wasm.flowsCount()).toBe(2 * ROUNDS * FLOWS);
  });
});

describe('NetworkPolicy 22: policy that changes under load', () => {
  // From pod 2 to pod 3 of one node. Neither state lets port 80 or 81 pass, each for the other end's reason: a packet
  // judged by one end's old and the other's new would. Port 82 passes under one state with its answers.
  const onPort = (port: number): PolicySpec => ({
    ports: [{ protocol: 'udp', port, portClass: 1 }],
    rows: [[deny(1), allow(2)]],
  });
  const both = (port: number): PolicySpec => ({
    ports: [port, 82].map((one) => ({ protocol: 'udp', port: one, portClass: 1 })),
    rows: [[deny(1), allow(2)]],
  });
  const states: readonly ClusterOptions[] = [
    { ports: { 2: { egress: onPort(80) }, 3: { ingress: onPort(81) } } },
    { ports: { 2: { egress: both(81) }, 3: { ingress: both(80) } } },
  ];
  const from = { src: pod(4, 1, 2), dst: pod(4, 1, 3) };
  const to = { src: pod(4, 1, 3), dst: pod(4, 1, 2) };
  const ask = (port: number, client = 5000) => fromPod(1, 2, udpPacket(from, { sport: client, dport: port }));
  const answer = (client: number) => fromPod(1, 3, udpPacket(to, { sport: 82, dport: client }));
  let node: TestNode;
  beforeEach(() => {
    node = nodeOf(1, states[0] ?? {}, { flowBuckets: 256 });
    node.view.setUint32(CONTROL_SEED, 0xfeed, true);
  });

  it('is never mixed: every packet meets what its epoch says of both ends', {
    timeout: 180_000,
  }, async () => {
    const clients = Array.from({ length: 60 }, (_, i) => 6000 + i);
    node.publish(tablesOf(1, states[1]));
    expect(node.egress(...clients.map((client) => ask(82, client))).verdicts).toEqual({ Forward: 60 });
    const images = (worker: number) => [
      framesOf(
        node,
        worker,
        Array.from({ length: 64 }, (_, i) => ask(80 + (i & 1), 5000 + i)),
      ),
      framesOf(
        node,
        worker,
        clients.flatMap((client) => (worker === 0 ? [ask(82, client), ask(82, client)] : [answer(client)])),
      ),
    ];
    const threads = new Threads(node, 'endless', [images(0), images(1)]);
    const words = new Int32Array(node.memory.buffer);
    const isFree = () =>
      [0, 1].every((worker) => {
        const seen = Atomics.load(words, (WORKERS + worker * WORKER_STRIDE + WORKER_EPOCH) / 4);
        return seen === 0 || seen === node.epoch;
      });
    for (let flip = 0; flip < 150; flip++) {
      await sleep(5);
      while (!isFree()) await sleep(0);
      node.publish(tablesOf(1, states[flip % 2]));
    }
    threads.stop();
    for (const byEpoch of await threads.fates()) {
      expect(byEpoch.size).toBeGreaterThan(20);
      for (const [epoch, [refused, flows]] of byEpoch) {
        expect(refused?.get(Verdict.Forward) ?? 0).toBe(0);
        const only = epoch % 2 === 0 ? Verdict.Forward : Verdict.PolicyEgress;
        expect([...(flows?.keys() ?? [])].filter((verdict) => verdict !== only)).toEqual([]);
      }
    }
  });

  it('counts each flow’s packets once', () => {
    node.publish(tablesOf(1, states[1]));
    for (let i = 0; i < 3; i++) node.egress(ask(82));
    const second = new TestNode(null, { beside: node });
    for (let i = 0; i < 2; i++) second.egress(answer(5000));
    const tags = node.view.getUint32(CONTROL_FLOWS, true) + FLOWS_HEADER_SIZE;
    const way = Array.from({ length: 2048 }, (_, i) => i).find(
      (i) => node.view.getUint32(tags + i * 4, true) !== 0,
    );
    const entry = tags + 256 * 32 + (way ?? 0) * 128;
    expect(node.view.getBigUint64(entry + FLOW_PACKETS_FORWARD, true)).toBe(3n);
    expect(node.view.getBigUint64(entry + FLOW_PACKETS_FORWARD + 8, true)).toBe(2n);
  });
});
