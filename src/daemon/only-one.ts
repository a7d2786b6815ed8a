/** One daemon a node: two would share its TAPs, each handling some of the packets by tables of its own. */
import { createServer } from 'node:net';

/** An abstract Unix socket (unix(7)): its name belongs to the network namespace, and goes with the process. */
const NAME = '\0overweft-node';

/**
 * Holds the network namespace of this process until it ends.
 * @throws Error where another daemon has it
 */
export function claimNamespace(): Promise<void> {
  const server = createServer((connection) => connection.destroy());
  return new Promise((resolve, reject) => {
    server.on('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE';
      reject(isTaken ? new Error('another daemon runs in this network namespace: a node has one') : error);
    });
    server.listen(NAME, () => resolve());
    server.unref();
  });
}
