/**
 * Namespaces that an ordinary user may make, and the way into them.
 *
 *     user     the user is root there, and of what belongs to it: nothing else
 *     network  only `lo`, until somebody adds to it
 *     mount    as the host's, but for a /run of its own, which `ip netns` and the lab write to
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { cwd, env, geteuid } from 'node:process';
import { RootlessError } from './error.ts';

/** Set for whatever runs in namespaces of ours. */
export const ENTERED = 'OVERWEFT_ENTERED';

/** Debian gives ordinary users no path to what only an administrator runs. */
const path = `${env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;

/** Of a process that enters, or makes, namespaces of ours. */
export const enteredEnvironment = (): NodeJS.ProcessEnv => ({ ...env, PATH: path, [ENTERED]: '1' });

/**
 * The user's own runtime directory stays in sight: what lies there is named to processes inside. A mount covers its
 * own path, so the directory is opened first and mounted again by its descriptor.
 */
const privateRun = `set -e
if [ -n "$XDG_RUNTIME_DIR" ]; then exec 9<"$XDG_RUNTIME_DIR"; fi
mount -t tmpfs -o mode=0755 overweft /run
if [ -n "$XDG_RUNTIME_DIR" ] && ! [ "$XDG_RUNTIME_DIR" -ef /proc/self/fd/9 ]; then
  mkdir -p "$XDG_RUNTIME_DIR"
  mount --no-canonicalize --rbind /proc/self/fd/9 "$XDG_RUNTIME_DIR"
fi
exec 9<&-
`;

/**
 * Command and arguments that make the namespaces, run some lines of shell there and then execute a command, all in one
 * process. Root of a user namespace keeps that one.
 * @param script lines of sh that end with `exec`; the command's words are its arguments
 */
export const inNewNamespaces = (script: string, words: readonly string[]): [string, string[]] => [
  'unshare',
  [
    ...(geteuid?.() === 0 ? [] : ['--user', '--map-root-user']),
    ...['--net', '--mount', 'sh', '-c', `${privateRun}${script}`, 'sh', ...words],
  ],
];

/**
 * Command and arguments that run a command in the namespaces of a process, in the directory where this one is.
 * @param pid of a process whose namespaces this user made
 */
export const inNamespacesOf = (pid: number, words: readonly string[]): [string, string[]] => [
  'nsenter',
  [
    ...['--target', `${pid}`, '--user', '--preserve-credentials', '--net', '--mount'],
    ...['env', `--chdir=${cwd()}`, ...words],
  ],
];

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
