// Commands of the host, from argument arrays only.
import { execFile } from 'node:child_process';

/** A command that failed; the message holds what it printed. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  /** What it had answered before. */
  readonly stdout: string;

  constructor(message: string, stdout = '') {
    super(message);
    this.stdout = stdout;
  }
}

const PATIENCE_MS = 20_000;
const LARGEST_OUTPUT = 64 << 20;

export interface RunOptions {
  /** Written to stdin, which is empty otherwise. */
  readonly input?: string;
  /** After this the command is killed; 20 s unless given. */
  readonly patienceMs?: number;
}

/**
 * Runs a command to its end and returns its stdout.
 * @throws CommandError
 */
export function run(
  command: string,
  args: readonly string[],
  { input = '', patienceMs = PATIENCE_MS }: RunOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: patienceMs, maxBuffer: LARGEST_OUTPUT, encoding: 'utf8' as const };
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      const reason = missing ? `is not installed` : stderr.trim() || error.message;
      reject(new CommandError(`${command} ${args.join(' ')}: ${reason}`, stdout));
    });
    child.stdin?.on('error', () => {
      // The command may end before it has read its input; its status says why.
    });
    child.stdin?.end(input);
  });
}
