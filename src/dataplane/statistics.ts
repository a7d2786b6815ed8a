// The data path's verdicts and statistics, by name.
import * as tables from '../../asm/layout/tables.ts';
import { Verdict } from '../../asm/verdict.ts';
import type { WorkerCounters } from './messages.ts';

/** Printed name of each verdict, by its number: `VxlanWrongVni` is `vxlan-wrong-vni`. */
export const verdictNames: readonly string[] = Object.keys(Verdict)
  .filter((key) => Number.isNaN(Number(key)))
  .map((member) => member.replace(/(?<!^)([A-Z])/g, '-$1').toLowerCase());

/** `STAT_FLOW_HITS` is printed `flow-hits`. */
const statNames: readonly (readonly [string, number])[] = Object.entries(tables)
  .filter(([name]) => name.startsWith('STAT_') && name !== 'STAT_COUNT' && name !== 'STAT_RECEIVED')
  .map(([name, number]) => [name.slice('STAT_'.length).toLowerCase().replaceAll('_', '-'), Number(number)]);

/** received = forwarded + consumed + the sum of dropped. */
export interface Statistics {
  readonly received: number;
  readonly forwarded: number;
  readonly consumed: number;
  /** By name of the verdict; those that never occurred are left out. */
  readonly dropped: Readonly<Record<string, number>>;
  /** What is no fate of a received frame. */
  readonly events: Readonly<Record<string, number>>;
}

export function statisticsOf(workers: readonly WorkerCounters[]): Statistics {
  const verdict = (number: number) => sum(workers.map(({ verdicts }) => verdicts[number]));
  const stat = (number: number) => sum(workers.map(({ stats }) => stats[number]));
  const outcomes: readonly number[] = [Verdict.InProgress, Verdict.Forward, Verdict.Consumed];
  const dropped = verdictNames.flatMap((name, number) => {
    const count = outcomes.includes(number) ? 0 : verdict(number);
    return count === 0 ? [] : [[name, count]];
  });
  return {
    received: stat(tables.STAT_RECEIVED),
    forwarded: verdict(Verdict.Forward),
    consumed: verdict(Verdict.Consumed),
    dropped: Object.fromEntries(dropped),
    events: Object.fromEntries(statNames.map(([name, number]) => [name, stat(number)])),
  };
}

/** Exact up to 2⁵³: at ten million packets a second, for 28 years. */
const sum = (counts: readonly (bigint | undefined)[]) =>
  Number(counts.reduce<bigint>((a, b) => a + (b ?? 0n), 0n));
