/**
 * Namespaces that an ordinary user may make, and the way into them.
 *
 *     user     the user is root there, and of what belongs to it: nothing else
 *     network  only `lo`, until somebody adds to it
 *     mount    as the host's, but for a /run that can be written to, as `ip netns` and the lab do
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { cwd, env, geteuid } from 'node:process';
import { foreground } from '../setup/foreground.mjs';
import { RootlessError } from './error.ts';

/** Set for whatever runs in namespaces of ours. */
export const ENTERED = 'OVERWEFT_ENTERED';

/** Debian gives ordinary users no path to what only an administrator runs. */
const path = `${env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;

/** Of a process that enters, or makes, namespaces of ours. */
export const enteredEnvironment = (): NodeJS.ProcessEnv => ({ ...env, PATH: path, [ENTERED]: '1' });

/**
 * A /run to write to, with all that is in the host's but for what Overweft and `ip netns` make there themselves. The
 * mount covers the old one, which is opened first and reached by its descriptor.
 */
const privateRun = `set -e
exec 9</run
mount -t tmpfs -o mode=0755 overweft /run
for there in /proc/self/fd/9/*; do
  here="/run/\${there##*/}"
  [ -e "$there" ] || [ -L "$there" ] || continue
  case "$here" in /run/netns | /run/overweft | /run/overweft-lab) continue ;; esac
  if [ -L "$there" ]; then cp --no-dereference "$there" "$here"; continue; fi
  if [ -d "$there" ]; then mkdir -p "$here"; else : >"$here"; fi
  mount --no-canonicalize --rbind "$there" "$here"
done
exec 9<&-
`;

/**
 * Command and arguments that make the namespaces and run some lines of shell there, all in one process. Root of a user
 * namespace keeps that one.
 * @param script lines of sh
 * @param args what they know as $1, $2, …
 */
export const inNewNamespaces = (script: string, args: readonly string[]): [string, string[]] => [
  'unshare',
  [
    ...(geteuid?.() === 0 ? [] : ['--user', '--map-root-user']),
    ...['--net', '--mount', 'sh', '-c', `${privateRun}${script}`, 'sh', ...args],
  ],
];

/**
 * Command and arguments that run a command in the namespaces of a process, in the directory where this one is.
 * @param pid of a process whose namespaces this user made
 */
export const inNamespacesOf = (pid: number, words: readonly string[]): [string, string[]] => [
  'nsenter',
  [
    ...['--target', `${pid}`, '--net', '--mount'],
    ...(geteuid?.() === 0 ? [] : ['--user', '--preserve-credentials']),
    ...['env', `--chdir=${cwd()}`, ...words],
  ],
];

/**
 * Runs a command in the namespaces of a process.
 * @returns its exit status
 */
export const enter = (pid: number, words: readonly string[]): Promise<number> =>
  foreground(...inNamespacesOf(pid, words), enteredEnvironment());

/** @throws RootlessError where the host does not let this user do what Overweft needs */
export function requireNamespaces(): void {
  const [command, args] = inNewNamespaces('exec true', []);
  const { error, status, stderr } = spawnSync(command, args, { env: enteredEnvironment(), encoding: 'utf8' });
  if (error || status !== 0) {
    throw new RootlessError(
      `no namespaces can be made here: ${error?.message ?? stderr.trim()}\n` +
        'docs/rootless.md says what the host must allow',
    );
  }
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'is missing' : 'may not be opened';
    throw new RootlessError(
      `/dev/net/tun ${why}: let root load the module tun (modprobe tun), and let you use it (chmod 0666 /dev/net/tun)`,
    );
  }
}
