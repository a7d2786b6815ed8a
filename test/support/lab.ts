import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';
import { daemonStatus } from '../../src/daemon/client.ts';
import { daemonReady, logTail, startDaemon } from '../../src/lab/daemon.ts';
import { type LabDescription, labDaemons } from '../../src/lab/state.ts';
import { program } from './overweft-node.ts';
import { type Finished, overweft } from './run.ts';

/** A lab that is up; it is taken down at the end of an `await using` block. */
export interface Lab extends LabDescription, AsyncDisposable {}

/** `overweft lab up` with arguments, which must succeed. */
export async function labUp(...args: string[]): Promise<Lab> {
  const finished = await overweft(['lab', 'up', '--json', ...args]);
  if (finished.status !== 0) throw new Error(finished.stderr);
  const lab: LabDescription = JSON.parse(finished.stdout);
  return { ...lab, [Symbol.asyncDispose]: async () => void (await labDown()) };
}

export const labDown = (): Promise<Finished> => overweft(['lab', 'down']);

/** Kills a node's daemon and starts it anew on its own state, with another configuration. */
export async function restart(
  node: LabDescription['nodes'][0],
  changed: (config: { readonly underlay: object }) => object,
): Promise<void> {
  writeFileSync(node.config, stringify(changed(parse(readFileSync(node.config, 'utf8')))));
  process.kill((await daemonStatus(node.socket)).pid, 'SIGKILL');
  await daemonReady(startDaemon(node, program)).catch((error: Error) => {
    throw new Error(`${error.message}\n${logTail(node, 20)}`);
  });
}

/** Names of what a lab may have left: namespaces, its directory, daemons. */
export function leftovers(): string[] {
  const netns = existsSync('/run/netns')
    ? readdirSync('/run/netns').filter((name) => name.startsWith('ow-'))
    : [];
  const directory = '/run/overweft-lab';
  return [
    ...netns,
    ...(existsSync(directory) ? [directory] : []),
    ...labDaemons().map((pid) => `daemon ${pid}`),
  ];
}

/** Drops of a node under one name. */
export const dropsOf = async (node: { socket: string }, verdict: string): Promise<number> =>
  (await daemonStatus(node.socket)).counters.dropped[verdict] ?? 0;

export const labLogs = (lab: LabDescription): string => lab.nodes.map((node) => logTail(node, 20)).join('\n');
