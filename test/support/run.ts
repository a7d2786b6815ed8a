import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** How a finished command ended. */
export interface Finished {
  /** Exit status, null after a signal. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Written to stdin, which is empty otherwise. */
  readonly input?: string;
  /** After this the command is killed; 60 s unless given. */
  readonly timeoutMs?: number;
  /** Network namespace by the name that `ip netns` knows. */
  readonly netns?: string;
}

const launcher = fileURLToPath(new URL('../../src/bin/overweft.mjs', import.meta.url));

/** Runs `overweft` as a user would; a failure is a status, never an exception. */
export const overweft = (args: readonly string[], options: RunOptions = {}): Promise<Finished> =>
  run(process.execPath, [launcher, ...args], options);

/** Runs a command to its end and collects what it printed. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const [file, argv] = options.netns
    ? ['ip', ['netns', 'exec', options.netns, command, ...args]]
    : [command, [...args]];
  return new Promise((resolve, reject) => {
    const child = spawn(file, argv, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 60_000,
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on('error', () => {
      // The command may end without reading its input.
    });
    child.stdin.end(options.input ?? '');
    child.on('error', reject);
    child.on('close', (status, signal) =>
      resolve({ status, signal, stdout: `${Buffer.concat(stdout)}`, stderr: `${Buffer.concat(stderr)}` }),
    );
  });
}

/** Runs a command that must succeed, and returns its stdout. */
export async function must(command: string, args: readonly string[], options?: RunOptions): Promise<string> {
  const { status, signal, stdout, stderr } = await run(command, args, options);
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(' ')}: ${signal ?? `exit status ${status}`}\n${stderr}${stdout}`);
}

/** Whether a process has not ended; one that nobody has waited for has. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
