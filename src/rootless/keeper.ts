/**
 * The process that keeps the namespaces of a user's lab from one command to the next: it sleeps, and they live as long
 * as it does.
 *
 *     XDG_RUNTIME_DIR/overweft/lab-keeper   "PID user:[INODE]": its process id and user namespace
 *     XDG_RUNTIME_DIR/overweft/lab          link to the lab's directory, which lies in the keeper's /run
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { labDirectory } from '../lab/state.ts';
import { RootlessError } from './error.ts';
import { enteredEnvironment, inNewNamespaces } from './namespaces.ts';
import { ensureUserDirectory, userDirectory } from './user-directory.ts';

const record = () => `${userDirectory()}/lab-keeper`;
const link = () => `${userDirectory()}/lab`;

/** Process id of the keeper; undefined where there is none. */
export function findKeeper(): number | undefined {
  try {
    const [pid, namespace] = readFileSync(record(), 'utf8').trim().split(' ');
    // Another process may have its number by now.
    return readlinkSync(`/proc/${pid}/ns/user`) === namespace ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}

/** @throws RootlessError where another command of this user starts one, too */
export async function startKeeper(): Promise<number> {
  ensureUserDirectory();
  const [command, args] = inNewNamespaces('exec >&- 2>&-; exec sleep infinity', []);
  const child = spawn(command, args, {
    env: enteredEnvironment(),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const failed = new Promise<never>((_, reject) => child.on('error', reject));
  // Its streams end when all is made, or when it cannot be.
  const [, complaint] = await Promise.race([failed, Promise.all([text(child.stdout), text(child.stderr)])]);
  const pid = child.pid ?? 0;
  if (complaint !== '') throw new RootlessError(`the lab's namespaces cannot be made: ${complaint.trim()}`);
  child.unref();
  forget();
  try {
    writeFileSync(record(), `${pid} ${readlinkSync(`/proc/${pid}/ns/user`)}\n`, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    endKeeper(pid);
    throw new RootlessError(`${record()}: ${(error as Error).message}`);
  }
  symlinkSync(insidePath(pid), link());
  return pid;
}

/** Ends the keeper when no lab is left in its namespaces. */
export function endIdleKeeper(pid: number): void {
  if (existsSync(insidePath(pid))) return;
  forget();
  endKeeper(pid);
}

const insidePath = (pid: number) => `/proc/${pid}/root${labDirectory}`;

function forget(): void {
  for (const file of [record(), link()]) rmSync(file, { force: true });
}

function endKeeper(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has ended already.
  }
}
