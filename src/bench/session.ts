/**
 * One run of the bench: a lab for each setting, everybody in it at once, and each case measured in rounds, everybody in turn.
 */
import { logTail } from '../lab/daemon.ts';
import { takeDown } from '../lab/down.ts';
import { LabError } from '../lab/outcome.ts';
import type { LabDescription } from '../lab/state.ts';
import { bringUp } from '../lab/up.ts';
import { type Case, plainSetting, type Setting } from './cases.ts';
import { type ContestantName, type PeerName, untilReachable } from './contestant.ts';
import { type Ground, ground } from './ground.ts';
import { type Idle, watchIdle } from './idle.ts';
import { benchNodes } from './nodes.ts';
import { peers } from './peers/all.ts';
import type { Path } from './traffic.ts';

export interface RunOptions {
  readonly cases: readonly Case[];
  /** Measurements of each, in turn. */
  readonly pairs: number;
  /** Whether the idle daemon is watched too. */
  readonly idle: boolean;
}

/** What one case gave: a value a round by figure, for each of those who took part. */
export interface Taken {
  readonly case: Case;
  readonly values: ReadonlyMap<ContestantName, readonly Readonly<Record<string, number>>[]>;
}

export interface RunResult {
  readonly taken: readonly Taken[];
  readonly idle: Idle | null;
  /** What exactly each peer was, by name. */
  readonly versions: ReadonlyMap<PeerName, string>;
  /** Peers without figures, and why. */
  readonly missing: ReadonlyMap<PeerName, string>;
}

/** Told of all that happens. */
export interface Watcher {
  step(text: string): void;
  /** A case is through, or one more round of it. */
  round(done: Taken, round: number): void;
}

/**
 * @param program argument array that runs the command line, for the daemons
 * @throws LabError where Overweft itself cannot be measured; a peer that cannot is named in the result
 */
export async function runBench(
  options: RunOptions,
  program: readonly string[],
  watcher: Watcher,
  stop: AbortSignal,
): Promise<RunResult> {
  const versions = new Map<PeerName, string>();
  const missing = new Map<PeerName, string>();
  for (const name of new Set(options.cases.flatMap((one) => one.peers))) {
    const version = await peers[name].version();
    if (version === null) missing.set(name, `not installed: ${peers[name].obtain}`);
    else versions.set(name, version);
  }
  const taken: Taken[] = [];
  let idle: Idle | null = null;
  for (const group of bySetting(options)) {
    stop.throwIfAborted();
    const { setting } = group;
    watcher.step(`lab: ${describe(setting)}`);
    const lab = await bringUp({ ...setting, nodes: 2, podsPerNode: 2 }, program, () => {}, stop);
    await using stack = new AsyncDisposableStack();
    stack.defer(async () => void (await takeDown()));
    if (options.idle && idle === null) {
      watcher.step('idle daemons');
      idle = await watchIdle(lab.nodes.map(({ pid }) => pid));
    }
    const wanted = new Set(group.cases.flatMap((one) => one.peers).filter((name) => !missing.has(name)));
    const paths = await connect([...wanted], setting, stack.use(ground()), missing);
    for (const one of group.cases) {
      const rounds = { lab, pairs: options.pairs, watcher, stop, missing };
      taken.push(await measure(one, { ...overweft(lab, one.way), ...paths }, rounds));
    }
  }
  return { taken, idle, versions, missing };
}

function bySetting({ cases }: RunOptions): { setting: Setting; cases: Case[] }[] {
  const groups = new Map<string, { setting: Setting; cases: Case[] }>();
  for (const one of cases) {
    const key = describe(one.setting);
    const group = groups.get(key) ?? { setting: one.setting, cases: [] };
    group.cases.push(one);
    groups.set(key, group);
  }
  // A lab for the idle daemons alone, where nothing else is wanted.
  return groups.size > 0 ? [...groups.values()] : [{ setting: plainSetting, cases: [] }];
}

const describe = ({ encapsulation, underlay, underlayOffloads }: Setting): string =>
  `${encapsulation} over ${underlay}, underlay offloads: ${underlayOffloads}`;

type Paths = Partial<Record<ContestantName, Path>>;

/** Pod 1 and 3 live on node 1, pod 2 and 4 on node 2. */
function overweft({ pods }: LabDescription, way: Case['way']): Paths {
  const receiver = pods[way === 'across' ? 1 : 2];
  return { overweft: { from: 'ow-pod1', to: receiver?.netns ?? '', address: receiver?.ips[0] ?? '' } };
}

async function connect(
  names: readonly PeerName[],
  setting: Setting,
  ground: Ground,
  missing: Map<PeerName, string>,
): Promise<Paths> {
  const paths: Paths = {};
  for (const [index, name] of names.entries()) {
    try {
      const nodes = await benchNodes(name, index + 1, setting.underlayOffloads);
      await peers[name].connect(nodes, setting, ground);
      const path = { from: nodes[0].podNetns, to: nodes[1].podNetns, address: nodes[1].pod[0] };
      await untilReachable(path);
      paths[name] = path;
    } catch (error) {
      missing.set(name, [(error as Error).message, ground.logs()].join('\n').trim());
    }
  }
  return paths;
}

interface Rounds {
  readonly lab: LabDescription;
  readonly pairs: number;
  readonly watcher: Watcher;
  readonly stop: AbortSignal;
  readonly missing: Map<PeerName, string>;
}

async function measure(
  one: Case,
  paths: Paths,
  { lab, pairs, watcher, stop, missing }: Rounds,
): Promise<Taken> {
  const names: ContestantName[] = [
    'overweft',
    ...one.peers.filter((name) => paths[name] && !missing.has(name)),
  ];
  const values = new Map(names.map((name) => [name, [] as Record<string, number>[]]));
  const done: Taken = { case: one, values };
  for (let round = 0; round < pairs; round++) {
    // Not always the same first: a machine's speed drifts.
    for (const name of rotated([...values.keys()], round)) {
      stop.throwIfAborted();
      try {
        values.get(name)?.push(await one.measure(paths[name] as Path, one.window));
      } catch (error) {
        const reason = `${one.name}: ${(error as Error).message}`;
        if (name === 'overweft')
          throw new LabError([reason, ...lab.nodes.map((node) => logTail(node))].join('\n'));
        missing.set(name, reason);
        values.delete(name);
      }
    }
    watcher.round(done, round + 1);
  }
  return done;
}

const rotated = <T>(list: readonly T[], by: number): T[] => {
  const turned = list.slice(by % list.length).concat(list.slice(0, by % list.length));
  return Math.floor(by / list.length) % 2 === 0 ? turned : turned.reverse();
};
