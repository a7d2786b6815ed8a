/** What a run says: each figure beside each peer, as ratios round by round. */
import { cpus, release, totalmem } from 'node:os';
import type { Figure } from './cases.ts';
import type { ContestantName, PeerName } from './contestant.ts';
import { peers } from './peers/all.ts';
import type { RunResult, Taken } from './session.ts';
import { type Interval, median, medianInterval, meets } from './statistics.ts';

export interface Comparison {
  readonly peer: PeerName;
  /** Median of the peer's values, in the figure's unit. */
  readonly value: number;
  /** Overweft's value divided by the peer's, of each round. */
  readonly ratio: Interval;
  readonly target: number | null;
  /** Null without a target, or with too few rounds to tell. */
  readonly met: boolean | null;
}

export interface FigureResult {
  readonly name: string;
  readonly title: string;
  readonly unit: Figure['unit'];
  readonly better: Figure['better'];
  /** Median of Overweft's values. */
  readonly overweft: number;
  readonly comparisons: readonly Comparison[];
  /** All values, in the order in which they were taken. */
  readonly values: Readonly<Partial<Record<ContestantName, readonly number[]>>>;
}

/** A limit on a value of Overweft's own. */
export interface IdleResult {
  readonly name: string;
  readonly title: string;
  readonly unit: 'share of a core' | 'bytes';
  readonly value: Interval;
  readonly limit: number;
  readonly met: boolean | null;
}

export interface BenchResult {
  readonly machine: Machine;
  readonly pairs: number;
  readonly contestants: readonly { name: PeerName; title: string; version: string; encrypts: boolean }[];
  readonly missing: readonly { title: string; reason: string }[];
  readonly figures: readonly FigureResult[];
  readonly idle: readonly IdleResult[];
}

interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGB: number;
  readonly kernel: string;
  readonly node: string;
}

const idleLimits = { cpu: 0.005, resident: 150e6 } as const;

export function resultOf({ taken, idle, versions, missing }: RunResult, pairs: number): BenchResult {
  return {
    machine: {
      processor: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      memoryGB: Math.round(totalmem() / 2 ** 30),
      kernel: release(),
      node: process.version,
    },
    pairs,
    contestants: [...versions].map(([name, version]) => ({
      name,
      title: peers[name].title,
      version,
      encrypts: peers[name].encrypts,
    })),
    missing: [...missing].map(([name, reason]) => ({ title: peers[name].title, reason })),
    figures: taken.flatMap(figuresOf),
    idle: idle ? [idleCpu(idle.cpu), resident(idle)] : [],
  };
}

/** A case without its name's end where it has one figure only. */
export function figuresOf({ case: one, values }: Taken): FigureResult[] {
  return one.figures.map((figure, index) => {
    const of = (name: ContestantName) =>
      (values.get(name) ?? []).map((value) => value[figure.key] ?? Number.NaN);
    const own = of('overweft');
    const present = one.peers.filter((name) => values.has(name));
    return {
      name: index === 0 ? one.name : `${one.name}/${figure.key}`,
      title: figure.title,
      unit: figure.unit,
      better: figure.better,
      overweft: median(own),
      comparisons: present.map((peer) => compare(figure, peer, own, of(peer))),
      values: Object.fromEntries((['overweft', ...present] as const).map((name) => [name, of(name)])),
    };
  });
}

function compare(
  { target, better }: Figure,
  peer: PeerName,
  own: readonly number[],
  theirs: readonly number[],
): Comparison {
  const ratio = medianInterval(own.map((value, round) => value / (theirs[round] ?? Number.NaN)));
  const asked = target?.(peer) ?? null;
  return {
    peer,
    value: median(theirs),
    ratio,
    target: asked,
    met: asked === null ? null : meets(ratio, asked, better),
  };
}

function idleCpu(shares: readonly number[]): IdleResult {
  const value = medianInterval(shares);
  return {
    name: 'idle/cpu',
    title: 'idle daemon, CPU',
    unit: 'share of a core',
    value,
    limit: idleLimits.cpu,
    met: meets(value, idleLimits.cpu, 'less'),
  };
}

/** A size does not scatter: the largest of the daemons' stands for all. */
function resident(idle: { resident: readonly number[]; shared: readonly number[] }): IdleResult {
  const own = Math.max(...idle.resident.map((bytes, index) => bytes - (idle.shared[index] ?? 0)));
  return {
    name: 'idle/resident',
    title: 'idle daemon, resident, tables aside',
    unit: 'bytes',
    value: { median: own, low: own, high: own },
    limit: idleLimits.resident,
    met: own <= idleLimits.resident,
  };
}
