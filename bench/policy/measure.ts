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
import { costsOf, PACKETS, type PassCosts, type Subject, subjectOf } from '../passes.ts';
import type { Twin } from '../twin.ts';
import { World } from '../world.ts';
import { peers, policiesOf, type RuleSet } from './rules.ts';

export interface Result extends PassCosts {
  readonly set: string;
  readonly rules: number;
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

export function measure(set: RuleSet, { rounds, rules }: MeasureOptions, twin: Twin): Result[] {
  const pods = set.title === 'CIDR blocks' ? [] : peers(rules);
  const worlds = rules.map((count) => worldOf(set, count, pods, twin));
  const subjects = worlds.map(
    (world, i): Subject => subjectOf(world, (next, family) => set.target(rules[i] ?? 0, next, family)),
  );
  return costsOf(subjects, rounds).map((cost, i): Result => {
    const { use, compileMs, desired } = worlds[i] as World;
    const { policyBytes, cidrs } = use;
    return {
      set: set.title,
      rules: rules[i] ?? 0,
      ...cost,
      compileMs,
      classes: desired.policy.classes,
      cidrs,
      policyBytes,
    };
  });
}

const worldOf = (set: RuleSet, count: number, pods: readonly object[], twin: Twin): World =>
  new World(
    {
      encapsulation: 'geneve',
      objects: [...pods, ...policiesOf(set, count)],
      tables: { endpoints: 32_768, cidrs: 1 << 18, policyBytes: 1 << 28, flows: 4 * PACKETS },
    },
    twin,
  );
