/** One daemon a node: two would share its TAPs, each handling some of the packets by tables of its own. */
import { createServer } from 'node:net';
import { geteuid } from 'node:process';
import type { Logger } from 'pino';
import type { Addon } from '../phy/addon.ts';

/** An abstract Unix socket (unix(7)): its name belongs to the network namespace, and goes with the process. */
const NAME = 'overweft-node';

/**
 * Holds the network namespace of this process until it ends.
 *
 * Anybody in the namespace may take the name. Only this user's word counts: a stranger could otherwise keep the node
 * without a network.
 * @throws Error where another daemon has it
 */
export async function claimNamespace(addon: Pick<Addon, 'listenerUser'>, log: Logger): Promise<void> {
  if (await listens()) return;
  const user = holder(addon);
  if (user === geteuid?.()) throw new Error('another daemon runs in this network namespace: a node has one');
  log.warn(
    { user },
    `somebody else has the Unix socket @${NAME}: whether another daemon runs here cannot be told`,
  );
}

/** @returns false: the name is taken */
function listens(): Promise<boolean> {
  const server = createServer((connection) => connection.destroy());
  return new Promise((resolve, reject) => {
    server.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    server.listen(`\0${NAME}`, () => resolve(true));
    server.unref();
  });
}

/** User id of who has the name; undefined: he does not listen, as a daemon would. */
function holder(addon: Pick<Addon, 'listenerUser'>): number | undefined {
  try {
    return addon.listenerUser(`@${NAME}`);
  } catch {
    return undefined;
  }
}
