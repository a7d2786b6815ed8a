/**
 * Times bursts through the real egress path over real tables, one world for each number of rules.
 *
 *     round  ┌ 10 rules:  forget connections, all packets once, all packets again in another order ┐
 *            │ 1 000:     the same                                                                 │ ratios within a round
 *            └ 100 000:   the same                                                                 ┘
 *
 * The first pass opens a connection with every packet, the second finds every connection. Packets go to random peers and
 * come in random order: their endpoints, connections and cells are in no cache that is small.
 */
import { Verdict } from '../../asm/verdict.ts';
import { type Burst, tapBurst } from '../burst.ts';
import { type Cost, costOf } from '../cost.ts';
import { ethernetFrame, type Flow, tapFrame, udpPacket } from '../frames.ts';
import { quantile } from '../measure.ts';
import { random, shuffle } from '../random.ts';
import type { Twin } from '../twin.ts';
import { PODS, podAddress, podMac, World } from '../world.ts';
import { peers, policiesOf, type RuleSet } from './rules.ts';

export interface Result {
  readonly set: string;
  readonly rules: number;
  /** Packets that open a connection. */
  readonly first: Cost;
  /** Packets of a connection that is known. */
  readonly established: Cost;
  /** From objects to live tables. */
  readonly compileMs: number;
  readonly classes: number;
  readonly cidrs: number;
  readonly policyBytes: number;
}

export interface MeasureOptions {
  readonly rounds: number;
  /** Ascending. */
  readonly rules: readonly number[];
}

const PACKETS = 32_768;
const FRAME = 64;
const BURSTS = PACKETS / PODS;

interface Subject {
  readonly world: World;
  /** The same packets in two orders. */
  readonly passes: readonly [readonly Burst[], readonly Burst[]];
}

export function measure(set: RuleSet, { rounds, rules }: MeasureOptions, twin: Twin): Result[] {
  const pods = set.title === 'CIDR blocks' ? [] : peers(rules);
  const subjects = rules.map((count) => subjectOf(set, count, pods, twin));
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
  return subjects.map(({ world }, i): Result => {
    const own = times[i] ?? base;
    const { policyBytes, cidrs } = world.use;
    return {
      set: set.title,
      rules: rules[i] ?? 0,
      first: costOf(own.first, base.first),
      established: costOf(own.established, base.established),
      compileMs: world.compileMs,
      classes: world.desired.policy.classes,
      cidrs,
      policyBytes,
    };
  });
}

function subjectOf(set: RuleSet, count: number, pods: readonly object[], twin: Twin): Subject {
  const world = new World(
    {
      encapsulation: 'geneve',
      objects: [...pods, ...policiesOf(set, count)],
      tables: { endpoints: 32_768, cidrs: 1 << 18, policyBytes: 1 << 28, flows: 4 * PACKETS },
    },
    twin,
  );
  const next = random(0x5eed);
  const frames = Array.from({ length: PACKETS }, (_, i) => {
    const family = i % 2 === 0 ? 4 : 6;
    const pod = next(PODS);
    const { address, port } = set.target(count, next, family);
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
    return Array.from({ length: BURSTS }, (_, i) => tapBurst(world, frames.slice(i * PODS, (i + 1) * PODS)));
  };
  return { world, passes: [bursts(), bursts()] };
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
