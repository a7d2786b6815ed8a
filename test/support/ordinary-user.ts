import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Finished, must, type RunOptions, run } from './run.ts';

/** The user `nobody`, who has neither a group nor a capability. */
const user = 65_534;

const checkout = fileURLToPath(new URL('../../', import.meta.url));

/**
 * A machine for an ordinary user: mounts, processes and /run of its own, and a /dev/net/tun that everybody may open.
 * At the end of an `await using` block all that runs on it is killed.
 */
export interface Machine extends AsyncDisposable {
  /** Runs `overweft` as the ordinary user, in the network namespace of that name or in the machine's own. */
  readonly overweft: (args: readonly string[], options?: RunOptions) => Promise<Finished>;
  /** The same as words, to be started by somebody else. */
  readonly asUser: (args: readonly string[], netns?: string) => readonly [string, ...string[]];
  /** Runs a command as root that must succeed; returns its stdout. */
  readonly asRoot: (command: string, ...args: string[]) => Promise<string>;
  /** Directory that belongs to the user. */
  readonly home: string;
}

/** The checkout appears at another place, since its own may be closed to others. The shell waits for orphans, as init does. */
const setUp = `set -e
mount -t tmpfs -o mode=0755 none "$1"
mkdir "$1/checkout" "$1/home"
mount --bind "$2" "$1/checkout"
cp --archive /dev/net/tun "$1/tun"
chmod 0666 "$1/tun"
mount --bind "$1/tun" /dev/net/tun
mount -t tmpfs -o mode=0755 none /run
mkdir -p /run/user/$3 /run/netns
chown $3 "$1/home" /run/user/$3
ip link set lo up
echo ready
sleep infinity & wait`;

export async function machine(): Promise<Machine> {
  const directory = mkdtempSync(`${tmpdir()}/overweft-machine-`);
  await must('chmod', ['0755', directory]);
  const child = spawn(
    'unshare',
    [
      ...['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'],
      ...['sh', '-c', setUp, 'sh', directory, checkout, `${user}`],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.on('error', reject);
    child.on('close', () => reject(new Error('the machine cannot be set up')));
  });
  // Of the two processes the one that runs inside.
  const pid = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim();
  const inside = ['--target', pid, '--mount', '--net', '--pid'];
  const home = `${directory}/home`;
  const launch = process.execPath.replace(checkout, `${directory}/checkout/`);
  const asUser = (args: readonly string[], netns?: string) =>
    [
      'nsenter',
      ...inside,
      ...(netns === undefined ? [] : ['ip', 'netns', 'exec', netns]),
      ...['setpriv', '--reuid', `${user}`, '--regid', `${user}`, '--clear-groups', '--inh-caps=-all'],
      ...['env', `--chdir=${home}`, `HOME=${home}`, `XDG_RUNTIME_DIR=/run/user/${user}`],
      ...[launch, `${directory}/checkout/src/bin/overweft.mjs`, ...args],
    ] as const;
  return {
    home,
    asUser,
    overweft: (args, { netns, ...options } = {}) => {
      const [command, ...words] = asUser(args, netns);
      return run(command, words, options);
    },
    asRoot: (command, ...args) => must('nsenter', [...inside, command, ...args]),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
      rmdirSync(directory);
    },
  };
}
