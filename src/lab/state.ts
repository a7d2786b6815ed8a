/** The lab's directory: what exists while a lab is up, and all that is left after a crash. */
import { mkdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { stringify } from 'yaml';
import { run } from '../host/command.ts';
import { labManifests } from './manifests.ts';
import { existingNetns, isCode, processes } from './network.ts';
import { LabError } from './outcome.ts';
import type { LabPlan } from './plan.ts';

export const labDirectory = '/run/overweft-lab';
const descriptionFile = `${labDirectory}/lab.json`;

/** What `lab up --json` prints. */
export interface LabDescription {
  readonly manifests: string;
  readonly nodes: readonly {
    readonly name: string;
    readonly netns: string;
    readonly ips: readonly string[];
    readonly config: string;
    readonly socket: string;
    readonly log: string;
    readonly pid: number;
  }[];
  readonly pods: readonly {
    readonly name: string;
    readonly namespace: string;
    readonly netns: string;
    readonly node: string;
    readonly ips: readonly string[];
  }[];
}

/**
 * Takes the place of the one lab that a machine can have.
 * @throws LabError where one is up, or was left behind
 */
export async function createState(plan: LabPlan): Promise<void> {
  const found = existingNetns();
  if (found.length > 0) throw occupied(`network namespaces ${found.join(', ')} exist`);
  try {
    mkdirSync(labDirectory, { mode: 0o700 });
  } catch (error) {
    if (isCode(error, 'EEXIST')) throw occupied(`${labDirectory} exists`);
    throw error;
  }
  const tmpfs = 0x01021994; // TMPFS_MAGIC, linux/magic.h
  if (statfsSync(labDirectory).type !== tmpfs) {
    // Flow tables are mapped files: on a disk they would be written back all the time.
    await run('mount', ['-t', 'tmpfs', '-o', 'mode=0700', 'overweft-lab', labDirectory]);
  }
  for (const directory of [plan.manifests, ...plan.nodes.map((node) => node.directory)]) mkdirSync(directory);
  for (const [name, manifest] of labManifests(plan)) {
    writeFileSync(`${plan.manifests}/${name}`, stringify(manifest));
  }
}

const occupied = (what: string): LabError =>
  new LabError(`a lab is up, or was left behind (${what}): take it down first with\n  overweft lab down`);

/** @param pids process id of each node's daemon, in the order of the plan */
export function describeLab(plan: LabPlan, pids: readonly number[]): LabDescription {
  const description: LabDescription = {
    manifests: plan.manifests,
    nodes: plan.nodes.map(({ name, netns, ips, config, socket, log }, index) => ({
      name,
      netns,
      ips,
      config,
      socket,
      log,
      pid: pids[index] ?? 0,
    })),
    pods: plan.pods.map(({ name, namespace, netns, node, ips }) => ({ name, namespace, netns, node, ips })),
  };
  writeFileSync(descriptionFile, `${JSON.stringify(description, null, 2)}\n`);
  return description;
}

/**
 * Processes that were started with a file of the lab's directory among their arguments: its daemons. A daemon that sees
 * another /run belongs to the lab of another mount namespace.
 */
export const labDaemons = (): number[] => {
  const own = statSync('/run');
  return processes().filter((pid) => {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (!args.includes('run') || !args.some((arg) => arg.startsWith(`${labDirectory}/node-`))) return false;
      const { dev, ino } = statSync(`/proc/${pid}/root/run`);
      return dev === own.dev && ino === own.ino;
    } catch {
      return false; // It has ended.
    }
  });
};

/** @returns whether there was anything */
export async function removeState(): Promise<boolean> {
  const own = statSync(labDirectory, { throwIfNoEntry: false });
  if (!own) return false;
  if (own.dev !== statSync(dirname(labDirectory)).dev) await run('umount', ['--lazy', labDirectory]);
  rmSync(labDirectory, { recursive: true, force: true });
  return true;
}
