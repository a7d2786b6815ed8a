/** Commands of the host, from argument arrays; a failure says which command and what it printed. */
import { spawn } from 'node:child_process';

/** An error whose message is meant for the user: what was wrong, where, and what would be right. */
export class LabError extends Error {
  override readonly name = 'LabError';
}

export interface Finished {
  /** Exit status; null after a signal. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Written to stdin, which is empty otherwise. */
  readonly input?: string;
}

/** Runs a command to its end; a failing one is a status. */
export function run(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on('error', () => {
      // The command may end without reading its input.
    });
    child.stdin.end(options.input ?? '');
    child.on('error', (error) => {
      const missing = 'code' in error && error.code === 'ENOENT';
      reject(
        missing
          ? new LabError(`${command} is not installed: npm run setup installs what the lab needs`)
          : error,
      );
    });
    child.on('close', (status) =>
      resolve({ status, stdout: `${Buffer.concat(stdout)}`, stderr: `${Buffer.concat(stderr)}` }),
    );
  });
}

/** Runs a command that must succeed, and returns its stdout. */
export async function must(
  command: string,
  args: readonly string[],
  options?: CommandOptions,
): Promise<string> {
  const { status, stdout, stderr } = await run(command, args, options);
  if (status === 0) return stdout;
  throw new LabError(`${command} ${args.join(' ')}: exit status ${status}\n${stderr.trim()}`);
}

/** Runs lines of `ip` in one process; the first that fails ends it. */
export async function ipBatch(args: readonly string[], lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await must('ip', [...args, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

export const netnsFile = (netns: string): string => `/run/netns/${netns}`;

/** Argument array that runs a command inside a network namespace, in the same process id. */
export const inside = (netns: string, command: string, args: readonly string[]): [string, string[]] => [
  'nsenter',
  [`--net=${netnsFile(netns)}`, command, ...args],
];

/** What `work` comes to, or an error as soon as the user wants to stop; then nobody looks at `work` any more. */
export function orStopped<T>(work: Promise<T>, stop: AbortSignal): Promise<T> {
  const stopped = new Promise<never>((_, reject) => {
    const end = () => reject(new LabError('interrupted: the lab is down again'));
    if (stop.aborted) end();
    else stop.addEventListener('abort', end, { once: true });
  });
  return Promise.race([work, stopped]);
}
