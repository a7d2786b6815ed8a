/**
 * Times bursts of packets of many flows through the real egress path: each opens its connection in the first pass, and finds
 * it in the second.
 *
 *     round  ┌ subject 0: forget connections, all packets once, all packets again in another order ┐ ratios
 *            └ subject 1: the same …                                                               ┘ within a round
 */
import { Verdict } from '../asm/verdict.ts';
import { type Burst, tapBurst } from './burst.ts';
import { type Cost, costOf } from './cost.ts';
import { ethernetFrame, type Flow, tapFrame, udpPacket } from './frames.ts';
import { quantile } from './measure.ts';
import { type Random, random, shuffle } from './random.ts';
import { PODS, podAddress, podMac, type World } from './world.ts';

/** Flows of a pass, a packet each. */
export const PACKETS = 32_768;
const FRAME = 64;

export interface PassCosts {
  /** Packets that open a connection. */
  readonly first: Cost;
  /** Packets of a connection that is known. */
  readonly established: Cost;
}

export interface Subject {
  readonly world: World;
  /** The same packets in two orders. */
  readonly passes: readonly [readonly Burst[], readonly Burst[]];
}

/** Packets of random pods in random order. @param target where each goes */
export function subjectOf(
  world: World,
  target: (next: Random, family: 4 | 6) => Readonly<{ address: Flow['destination']; port: number }>,
): Subject {
  const next = random(0x5eed);
  const frames = Array.from({ length: PACKETS }, (_, i) => {
    const family = i % 2 === 0 ? 4 : 6;
    const pod = next(PODS);
    const { address, port } = target(next, family);
    const flow: Flow = {
      source: podAddress(1, pod, family),
      destination: address,
      sport: 20_000 + (i >> 1),
      dport: port,
    };
    const bytes = tapFrame(
      ethernetFrame(
        world.desired.node.routerMac,
        podMac(pod),
        udpPacket(flow, family === 4 ? FRAME - 14 : FRAME + 6),
      ),
    );
    return { port: world.port(pod), bytes };
  });
  const bursts = () => {
    shuffle(frames, next);
    return Array.from({ length: PACKETS / PODS }, (_, i) =>
      tapBurst(world, frames.slice(i * PODS, (i + 1) * PODS)),
    );
  };
  return { world, passes: [bursts(), bursts()] };
}

/** @returns what each subject costs beside the first one, in their order */
export function costsOf(subjects: readonly Subject[], rounds: number): PassCosts[] {
  const times = subjects.map(() => ({ first: [] as number[], established: [] as number[] }));
  // The first rounds are for the optimising compiler.
  for (let round = -2; round < rounds; round++) {
    for (const i of round % 2 === 0 ? subjects.keys() : [...subjects.keys()].reverse()) {
      const { world, passes } = subjects[i] as Subject;
      world.forgetFlows();
      const first = run(world, passes[0]);
      const established = run(world, passes[1]);
      if (round < 0) continue;
      times[i]?.first.push(first);
      times[i]?.established.push(established);
    }
  }
  const base = times[0] ?? { first: [], established: [] };
  return times.map((own) => ({
    first: costOf(own.first, base.first),
    established: costOf(own.established, base.established),
  }));
}

/** @returns nanoseconds a packet in the median burst, which others that want the processor do not touch */
function run(world: World, bursts: readonly Burst[]): number {
  const before = world.counted(Verdict.Forward);
  const times = bursts.map((burst) => {
    burst.restore();
    const begin = performance.now();
    world.dataPath.egress(burst.count);
    return performance.now() - begin;
  });
  const forwarded = world.counted(Verdict.Forward) - before;
  if (forwarded !== PACKETS) throw new Error(`of ${PACKETS} packets ${forwarded} were forwarded`);
  return (quantile(times, 0.5) * 1e6) / PODS;
}
