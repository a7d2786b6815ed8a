/** What peers stand on while they are measured: a folder, and processes that end with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { inside, netnsFile } from '../host/netns.ts';

export interface Ground extends AsyncDisposable {
  /** Absolute path, for configurations, sockets and logs. */
  readonly directory: string;
  /** Starts a process inside a network namespace, its output in a log. */
  start(
    netns: string,
    command: string,
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): void;
  /** The last lines of everything that was logged. */
  logs(): string;
}

const tailLines = 10;

export function ground(): Ground {
  const directory = mkdtempSync(`${tmpdir()}/overweft-bench-`);
  const started: ChildProcess[] = [];
  return {
    directory,
    start: (netns, command, args, env = {}) => {
      const log = openSync(`${directory}/${started.length}.log`, 'a');
      const [file, argv] = inside(netnsFile(netns), command, args);
      const child = spawn(file, argv, { stdio: ['ignore', log, log], env: { ...process.env, ...env } });
      closeSync(log);
      child.on('error', () => {
        // Said by what waits for it in vain.
      });
      started.push(child);
    },
    logs: () =>
      readdirSync(directory)
        .filter((name) => name.endsWith('.log'))
        .flatMap((name) =>
          readFileSync(`${directory}/${name}`, 'utf8').trimEnd().split('\n').slice(-tailLines),
        )
        .filter((line) => line !== '')
        .join('\n'),
    [Symbol.asyncDispose]: async () => {
      for (const child of started.toReversed()) {
        if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'))
          await once(child, 'exit');
      }
      rmSync(directory, { recursive: true });
    },
  };
}
