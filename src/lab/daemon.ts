/** Real daemons, one in each node's network namespace. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { callDaemon } from '../daemon/client.ts';
import { inside, netnsFile } from '../host/netns.ts';
import { LabError } from './outcome.ts';

/** What a daemon is started with. */
export interface DaemonPlace {
  readonly name: string;
  readonly netns: string;
  readonly config: string;
  readonly socket: string;
  readonly log: string;
}

/** A daemon of one's own making: its process outlives this one. */
export interface Daemon extends DaemonPlace {
  readonly pid: number;
  /** Exit status or signal of a daemon that has ended. */
  readonly ended: () => string | null;
}

/**
 * Starts `overweft run` inside a network namespace, detached, its output in a log file.
 * @param program argument array that runs the command line
 */
export function startDaemon(place: DaemonPlace, program: readonly string[]): Daemon {
  const [command = '', ...head] = program;
  const [file, args] = inside(netnsFile(place.netns), command, [...head, 'run', '--config', place.config]);
  const log = openSync(place.log, 'a', 0o600);
  const child = spawn(file, args, { detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  let ended: string | null = null;
  child.on('error', (error) => {
    ended = error.message;
  });
  child.on('exit', (status, signal) => {
    ended = signal ?? `exit status ${status}`;
  });
  child.unref();
  return { ...place, pid: child.pid ?? 0, ended: () => ended };
}

export const writeConfig = (place: DaemonPlace, config: object): void =>
  writeFileSync(place.config, stringify(config), { mode: 0o600 });

/** One that ends is noticed at once; what takes long is a machine with much else to do. */
const startPatienceMs = 60_000;

/** Returns when the daemon's first tables are live. */
export async function daemonReady(
  daemon: Pick<Daemon, 'name' | 'socket' | 'ended'>,
  patienceMs = startPatienceMs,
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  let missing = 'its socket does not answer';
  for (;;) {
    const ended = daemon.ended();
    if (ended) throw new LabError(`the daemon of ${daemon.name} ended: ${ended}`);
    try {
      const { status, body } = await callDaemon(daemon.socket, 'GET', '/readyz');
      if (status === 200) return;
      missing = body.trim();
    } catch {
      // The socket is not there yet.
    }
    if (performance.now() > deadline) {
      throw new LabError(
        `the daemon of ${daemon.name} is not ready after ${patienceMs / 1000} s: ${missing}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Gives a pod its interface; returns when the pod's tables are live. */
export async function attachPod(
  daemon: Pick<DaemonPlace, 'name' | 'socket'>,
  pod: { namespace: string; name: string; netns: string },
): Promise<void> {
  const path = `/v1/ports/${pod.namespace}/${pod.name}`;
  const { status, body } = await callDaemon(daemon.socket, 'PUT', path, {
    netns: netnsFile(pod.netns),
    interface: 'eth0',
  });
  if (status >= 300) throw new LabError(`${daemon.name} cannot attach ${pod.namespace}/${pod.name}: ${body}`);
}

/** The last lines that a daemon wrote, headed by its name. */
export function logTail(daemon: Pick<DaemonPlace, 'name' | 'log'>, lines = 8): string {
  try {
    const tail = readFileSync(daemon.log, 'utf8').trimEnd().split('\n').slice(-lines);
    return [`--- ${daemon.name}, last lines of its log ---`, ...tail].join('\n');
  } catch {
    return `--- ${daemon.name} has written no log ---`;
  }
}
