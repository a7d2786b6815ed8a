/**
 * Times bursts through the real egress path: to pods, and to Services of the same pods.
 *
 *     round  ┌ to pods, no Services:     forget connections, all packets once, all packets again in another order ┐ ratios
 *            │ to pods, 10 000 Services: the same                                                                │ within
 *            │ to 1 Service:             the same                                                                │ a round
 *            └ to 10 000 Services:       the same                                                                ┘
 */
import { Verdict } from '../../asm/verdict.ts';
import { type Burst, tapBurst } from '../burst.ts';
import { type Cost, costOf } from '../cost.ts';
import { ethernetFrame, type Flow, tapFrame, udpPacket } from '../frames.ts';
import { quantile } from '../measure.ts';
import { random, shuffle } from '../random.ts';
import type { Twin } from '../twin.ts';
import { isolation, PODS, podAddress, podMac, World } from '../world.ts';
import { clusterIP, PORT, services, TARGET } from './cluster.ts';

export interface PacketResult {
  readonly title: string;
  /** Packets that open a connection. */
  readonly first: Cost;
  /** Packets of a connection that is known. */
  readonly established: Cost;
}

const PACKETS = 32_768;
const FRAME = 64;

interface Subject {
  readonly title: string;
  readonly world: World;
  /** The same packets in two orders. */
  readonly passes: readonly [readonly Burst[], readonly Burst[]];
}

export function measurePackets(count: number, rounds: number, twin: Twin): PacketResult[] {
  const worlds = [0, 1, count].map((n) => worldOf(n, twin)) as [World, World, World];
  const subjects = [
    subjectOf('to pods, no Services', worlds[0], 0),
    subjectOf(`to pods, ${count} Services`, worlds[2], 0),
    subjectOf('to 1 Service', worlds[1], 1),
    subjectOf(`to ${count} Services`, worlds[2], count),
  ];
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
  return subjects.map(({ title }, i) => ({
    title,
    first: costOf(times[i]?.first ?? [], base.first),
    established: costOf(times[i]?.established ?? [], base.established),
  }));
}

const worldOf = (count: number, twin: Twin): World =>
  new World(
    { encapsulation: 'geneve', objects: [isolation, ...services(count)], tables: { flows: 8 * PACKETS } },
    twin,
  );

/** @param count Services to which packets go; 0: to pods */
function subjectOf(title: string, world: World, count: number): Subject {
  const next = random(0x5eed);
  const frames = Array.from({ length: PACKETS }, (_, i) => {
    const family = i % 2 === 0 ? 4 : 6;
    const pod = next(PODS);
    const target = next(count === 0 ? PODS : count);
    const flow: Flow = {
      source: podAddress(1, pod, family),
      destination: count === 0 ? podAddress(2, target, family) : clusterIP(target, family),
      sport: 20_000 + (i >> 1),
      dport: count === 0 ? TARGET : PORT,
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
  return { title, world, passes: [bursts(), bursts()] };
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
