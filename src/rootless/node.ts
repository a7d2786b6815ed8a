/** `overweft run --rootless`: from an ordinary process to the daemon in namespaces of its own, in the same process. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter } from 'node:path';
import { env, execve } from 'node:process';
import type { Config } from '../config/schema.ts';
import { portFileIn } from '../daemon/ports/port-file.ts';
import type { Addon } from '../phy/addon.ts';
import { RootlessError } from './error.ts';
import { endKeeper, ensureKeeper } from './keeper.ts';
import { enteredEnvironment, inNamespacesOf } from './namespaces.ts';
import { BEQUEST, bequeath, openUnderlay } from './underlay.ts';

/** What is in the user's directory appears where root's daemon has it. */
const setUp = `ip link set lo up
mkdir /run/overweft
mount --bind "$1" /run/overweft`;

/** Whether this process is one that `startInside` executed. */
export const isInside = (): boolean => env[BEQUEST] !== undefined;

/**
 * Opens the underlay's sockets, enters the namespaces of this user's node and executes a command there. They outlive
 * the daemon, and with them its pods: the next one finds them again.
 * @param words the command, by its path, and its arguments
 * @throws RootlessError where the host does not allow it; otherwise it does not return
 */
export async function startInside(addon: Addon, config: Config, words: readonly string[]): Promise<void> {
  const underlay = openUnderlay(addon, config);
  const keeper = await ensureKeeper('node', setUp);
  const [command, args] = inNamespacesOf(keeper, words);
  const environment = enteredEnvironment();
  const file = pathOf(command, environment.PATH ?? '');
  environment[BEQUEST] = bequeath(addon, underlay);
  execve?.(file, [command, ...args], environment as Record<string, string>);
}

/** To be called when the daemon has ended: without pods there is nothing to keep. */
export function leave({ runDirectory }: Config): void {
  if (rememberedPorts(runDirectory) === 0) endKeeper('node');
}

function rememberedPorts(runDirectory: string): number {
  try {
    return (JSON.parse(readFileSync(portFileIn(runDirectory), 'utf8')) as unknown[]).length;
  } catch {
    return 0; // There is none, or one that the next daemon cannot read either.
  }
}

function pathOf(command: string, path: string): string {
  const files = path.split(delimiter).map((folder) => `${folder}/${command}`);
  const found = files.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new RootlessError(`${command} is not installed`);
  return found;
}

/** Pings that probe paths would have to leave by the host's own network namespace. */
export const withoutHost = (config: Config): Config => ({
  ...config,
  pathMTU: { ...config.pathMTU, enabled: false },
});
