/**
 * The process that keeps a user's namespaces from one command to the next, and from one daemon to the next: it sleeps,
 * and they live as long as it does. A user has one for his lab and one for his node.
 *
 *     XDG_RUNTIME_DIR/overweft/lab-keeper    its process id, and when it began in ticks since boot
 *                              node-keeper
 */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { RootlessError } from './error.ts';
import { enteredEnvironment, inNewNamespaces, requireNamespaces } from './namespaces.ts';
import { ensureUserDirectory, userDirectory } from './user-directory.ts';

export type Kept = 'lab' | 'node';

const record = (kept: Kept) => `${userDirectory()}/${kept}-keeper`;

/** Process id of the keeper; undefined where there is none. */
export function findKeeper(kept: Kept): number | undefined {
  try {
    const [pid = '', began] = readFileSync(record(kept), 'utf8').trim().split(' ');
    // Another process may have its number by now.
    return beginOf(pid) === began ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}

/** Field 22 of proc_pid_stat(5); the second one, which may hold spaces, ends with the last parenthesis. */
function beginOf(pid: number | string): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

/**
 * Process id of the keeper, which is started where there is none.
 * @param script lines of sh that set its namespaces up; their first argument is the user's directory
 * @throws RootlessError where the host does not allow it, or another command of this user starts one, too
 */
export async function ensureKeeper(kept: Kept, script = ''): Promise<number> {
  const found = findKeeper(kept);
  if (found !== undefined) return found;
  requireNamespaces();
  const directory = ensureUserDirectory();
  const [command, args] = inNewNamespaces(`${script}\nexec >&- 2>&-; exec sleep infinity`, [directory]);
  const child = spawn(command, args, {
    cwd: '/',
    env: enteredEnvironment(),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const failed = new Promise<never>((_, reject) => child.on('error', reject));
  // Its streams end when all is made, or when it cannot be.
  const [, complaint] = await Promise.race([failed, Promise.all([text(child.stdout), text(child.stderr)])]);
  if (complaint !== '') throw new RootlessError(`namespaces cannot be made: ${complaint.trim()}`);
  child.unref();
  const pid = child.pid ?? 0;
  try {
    rmSync(record(kept), { force: true });
    writeFileSync(record(kept), `${pid} ${beginOf(pid)}\n`, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    end(pid);
    throw new RootlessError(`${record(kept)}: ${(error as Error).message}`);
  }
  return pid;
}

/** Ends a keeper: its namespaces go with the last process that is in them. */
export function endKeeper(kept: Kept): void {
  const pid = findKeeper(kept);
  rmSync(record(kept), { force: true });
  if (pid !== undefined) end(pid);
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has ended already.
  }
}
