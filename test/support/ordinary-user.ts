import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Finished, must, type RunOptions, run } from './run.ts';

const checkout = fileURLToPath(new URL('../../', import.meta.url));

/**
 * A machine for ordinary users: mounts, processes, network and /run of its own, and a /dev/net/tun that everybody may
 * open. At the end of an `await using` block all that runs on it is killed.
 */
export interface Machine extends AsyncDisposable {
  /** Runs a command as root that must succeed; returns its stdout. */
  readonly asRoot: (command: string, ...args: string[]) => Promise<string>;
  /** The machine's file of that absolute path, for root outside. */
  readonly file: (path: string) => string;
  /** A user with neither group nor capability, who finds himself in the network namespace of that name. */
  readonly user: (uid: number, netns?: string) => Promise<User>;
}

export interface User {
  readonly uid: number;
  /** Directory of his own. */
  readonly home: string;
  /** The checkout and its Node, as he finds them. */
  readonly checkout: string;
  readonly node: string;
  /** XDG_RUNTIME_DIR. */
  readonly runtime: string;
  readonly overweft: (args: readonly string[], options?: RunOptions) => Promise<Finished>;
  /** Starts `overweft` and leaves it running. */
  readonly start: (args: readonly string[]) => ChildProcess;
  /** Every process of his, one a line; empty when there is none. */
  readonly processes: () => Promise<string>;
}

/**
 * The checkout appears at another place, since its own may be closed to others. The shell waits for orphans, as init
 * does.
 */
const setUp = `set -e
mount -t tmpfs -o mode=0755 none "$1"
mkdir "$1/checkout"
mount --bind "$2" "$1/checkout"
cp --archive /dev/net/tun "$1/tun"
chmod 0666 "$1/tun"
mount --bind "$1/tun" /dev/net/tun
mount -t tmpfs -o mode=0755 none /run
mkdir /run/user /run/netns
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
      ...['sh', '-c', setUp, 'sh', directory, checkout],
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
  const asRoot = (command: string, ...args: string[]) => must('nsenter', [...inside, command, ...args]);
  return {
    asRoot,
    file: (path) => `/proc/${pid}/root${path}`,
    user: async (uid, netns) => {
      const home = `${directory}/home-${uid}`;
      const runtime = `/run/user/${uid}`;
      await asRoot('mkdir', home, runtime);
      await asRoot('chown', `${uid}`, home, runtime);
      const node = process.execPath.replace(checkout, `${directory}/checkout/`);
      const words = (args: readonly string[]) => [
        ...inside,
        ...(netns === undefined ? [] : ['ip', 'netns', 'exec', netns]),
        ...['setpriv', '--reuid', `${uid}`, '--regid', `${uid}`, '--clear-groups', '--inh-caps=-all'],
        ...['env', `--chdir=${home}`, `HOME=${home}`, `XDG_RUNTIME_DIR=${runtime}`],
        ...[node, `${directory}/checkout/src/bin/overweft.mjs`, ...args],
      ];
      return {
        uid,
        home,
        checkout: `${directory}/checkout`,
        node,
        runtime,
        overweft: (args, options) => run('nsenter', words(args), options),
        start: (args) => spawn('nsenter', words(args), { stdio: 'ignore' }),
        // Its status says whether it has found any.
        processes: () => asRoot('ps', '-o', 'pid=,args=', '--user', `${uid}`).catch(() => ''),
      };
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
      rmdirSync(directory);
    },
  };
}
