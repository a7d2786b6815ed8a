/**
 * Times bursts through the real paths over real tables, one world for each size.
 *
 *     round  ┌ smallest: forget connections, open each once, answer them, all packets again in another order ┐ ratios
 *            └ …         the same                                                                            ┘ within
 *
 * Packets come in random order: their endpoints, connections and tunnels are in no cache that is small.
 */
import { MAX_RX_DATAGRAMS } from '../../asm/layout/memory.ts';
import { Verdict } from '../../asm/verdict.ts';
import { type Burst, socketBurst, type TapFrame, tapBurst } from '../burst.ts';
import { type Cost, costOf } from '../cost.ts';
import { encapsulated } from '../encapsulated.ts';
import { ethernetFrame, type Flow, reversed, tapFrame, udpPacket } from '../frames.ts';
import { quantile } from '../measure.ts';
import { random, shuffle } from '../random.ts';
import type { Twin } from '../twin.ts';
import { PODS, podMac, type World } from '../world.ts';
import { type Curve, PACKETS, type Subject } from './subjects.ts';

export interface Point {
  readonly size: number;
  /** Packets that open a connection; not where connections are what grows. */
  readonly first: Cost | undefined;
  /** Packets of known connections, out of a pod and into it. */
  readonly egress: Cost;
  readonly ingress: Cost;
}

export interface CurveResult {
  readonly name: Curve['name'];
  readonly title: string;
  readonly points: readonly Point[];
}

type Way = 'first' | 'egress' | 'ingress';

/** Bursts of a pass, in turn. */
interface Passes {
  readonly world: World;
  readonly first: readonly Burst[];
  readonly egress: readonly Burst[];
  readonly ingress: readonly Burst[];
}

/** IP packet in a frame of 64 bytes. */
export const PACKET = 50;

export function measure(curve: Curve, rounds: number, twin: Twin): CurveResult {
  const subjects = curve.sizes.map((size) => passesOf(curve.subject(size, twin), curve.merged));
  const times = subjects.map(() => ({
    first: [] as number[],
    egress: [] as number[],
    ingress: [] as number[],
  }));
  // The first rounds are for the optimising compiler.
  for (let round = -2; round < rounds; round++) {
    for (const i of round % 2 === 0 ? subjects.keys() : [...subjects.keys()].reverse()) {
      const passes = subjects[i] as Passes;
      passes.world.forgetFlows();
      for (const way of ['first', 'ingress', 'egress'] as const) {
        const ns = run(passes, way);
        if (round >= 0) times[i]?.[way].push(ns);
      }
    }
  }
  const cost = (i: number, way: Way) => costOf(times[i]?.[way] ?? [], times[0]?.[way] ?? []);
  return {
    name: curve.name,
    title: curve.title,
    points: curve.sizes.map((size, i) => ({
      size,
      first: curve.name === 'flows' ? undefined : cost(i, 'first'),
      egress: cost(i, 'egress'),
      ingress: cost(i, 'ingress'),
    })),
  };
}

function passesOf({ world, flows, tunnelTo }: Subject, merged: number): Passes {
  const next = random(0x5eed);
  const frames = flows.map((flow, i) => podFrame(world, flow, i % PODS));
  const datagrams = flows.map((flow) => {
    const tunnel = tunnelTo(flow.destination);
    return {
      source: tunnel.remote,
      bytes: encapsulated(world, tunnel, udpPacket(reversed(flow), PACKET)),
    };
  });
  const repeats = Math.ceil(PACKETS / flows.length);
  const again = <T>(of: readonly T[]): T[] => shuffle(Array.from({ length: repeats }, () => of).flat(), next);
  return {
    world,
    first: chunks(shuffle([...frames], next), PODS).map((some) => tapBurst(world, some)),
    egress: chunks(again(frames), PODS).map((some) => tapBurst(world, some)),
    ingress: chunks(chunks(again(datagrams), merged), MAX_RX_DATAGRAMS).map((messages) =>
      socketBurst(
        world,
        messages.map((message) => message.map(({ bytes }) => bytes)),
        messages.flatMap(([one]) => (one ? [one.source] : [])),
      ),
    ),
  };
}

/** A small frame of a flow, as the TAP of this pod gives it. */
export function podFrame(world: World, flow: Flow, pod: number): TapFrame {
  const frame = ethernetFrame(world.desired.node.routerMac, podMac(pod), udpPacket(flow, PACKET));
  return { port: world.port(pod), bytes: tapFrame(frame) };
}

/** @returns nanoseconds a packet in the median burst, which others that want the processor do not touch */
function run(passes: Passes, way: Way): number {
  const { world } = passes;
  const path = way === 'ingress' ? 'ingress' : 'egress';
  const before = world.counted(Verdict.Forward);
  const packets = passes[way].reduce((sum, burst) => sum + burst.packets, 0);
  const times = passes[way].map((burst) => {
    burst.restore();
    const begin = performance.now();
    world.dataPath[path](burst.count);
    return (performance.now() - begin) / burst.packets;
  });
  const forwarded = world.counted(Verdict.Forward) - before;
  if (forwarded !== packets) throw new Error(`of ${packets} packets ${forwarded} were forwarded`);
  return quantile(times, 0.5) * 1e6;
}

function chunks<T>(list: readonly T[], length: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / length) }, (_, i) =>
    list.slice(i * length, (i + 1) * length),
  );
}
