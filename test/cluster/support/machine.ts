// Machines of a cluster: namespaces on this one, joined by an underlay. machine.sh has what is inside.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createNetwork, deleteNetwork } from '../../../src/lab/network.ts';
import { planLab } from '../../../src/lab/plan.ts';
import { type Finished, must, type RunOptions, run } from '../../support/run.ts';
import { until } from './until.ts';

const script = fileURLToPath(new URL('machine.sh', import.meta.url));

export interface Machine {
  readonly name: string;
  /** Underlay addresses, IPv4 first. */
  readonly ips: readonly [string, string];
  readonly podCIDRs: readonly [string, string];
  /** For what its programs read and write; goes with the machine. */
  readonly folder: string;
  /** Runs a command in it to its end. */
  readonly run: (command: readonly string[], options?: RunOptions) => Promise<Finished>;
  /** The same, where it must succeed; returns its stdout. */
  readonly must: (command: readonly string[], options?: RunOptions) => Promise<string>;
  /** Starts a program that runs until the machine ends, its output in `NAME.log`. */
  readonly start: (name: string, command: readonly string[], environment?: object) => ChildProcess;
}

/** Some machines on one underlay, all gone at the end of an `await using` block. */
export interface Machines extends AsyncDisposable {
  readonly machines: readonly Machine[];
  /** The ends of all programs' logs, for a failure's message. */
  readonly logs: (lines?: number) => string;
}

export async function bootMachines(count: number): Promise<Machines> {
  const folder = mkdtempSync(`${tmpdir()}/overweft-cluster-`);
  const plan = planLab({ nodes: count, podsPerNode: 0 }, folder);
  await deleteNetwork();
  await createNetwork(plan, 'default');
  const booted = await Promise.all(plan.nodes.map(boot));
  return {
    machines: booted.map(({ machine }) => machine),
    logs: (lines = 15) =>
      globSync(`${folder}/*/*.log`)
        .map((file) =>
          [`--- ${file}`, ...readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines)].join('\n'),
        )
        .join('\n'),
    [Symbol.asyncDispose]: async () => {
      for (const { end } of booted) await end();
      await deleteNetwork();
      rmSync(folder, { recursive: true });
    },
  };
}

async function boot(node: {
  name: string;
  netns: string;
  ips: readonly [string, string];
  podCIDRs: readonly [string, string];
  directory: string;
}): Promise<{ machine: Machine; end: () => Promise<void> }> {
  const { name, ips, podCIDRs, directory: folder } = node;
  mkdirSync(folder);
  const logTo = (file: string) => openSync(`${folder}/${file}.log`, 'a');
  const begin = (file: string, command: readonly string[], environment: object = {}): ChildProcess => {
    const log = logTo(file);
    const child = spawn(script, command, {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...environment },
    });
    closeSync(log);
    return child;
  };
  // The folder's name is nobody else's: clusters of one machine may run side by side.
  const group = `${basename(dirname(folder))}-${name}`;
  const all = begin('machine', ['start', node.netns, folder, group]);
  await until(`${name} boots`, () => existsSync(`${folder}/booted`));
  const [first = ''] = readFileSync(`/proc/${all.pid}/task/${all.pid}/children`, 'utf8').split(' ');
  const inside = (command: readonly string[]) => ['run', first, ...command];
  return {
    machine: {
      name,
      ips,
      podCIDRs,
      folder,
      run: (command, options) => run(script, inside(command), options),
      must: (command, options) => must(script, inside(command), options),
      start: (program, command, environment) => begin(program, inside(command), environment),
    },
    end: async () => {
      all.kill('SIGKILL');
      await until(`${name} ends`, () => removeGroups(group).length === 0);
    },
  };
}

/** @returns control groups of that name that are still there */
function removeGroups(name: string): string[] {
  const find = () => globSync(`/sys/fs/cgroup/**/${name}/**/`).sort((a, b) => b.length - a.length);
  for (const group of find()) {
    try {
      rmdirSync(group);
    } catch {
      // Its last processes are ending.
    }
  }
  return find();
}
