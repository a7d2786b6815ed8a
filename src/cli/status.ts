// `overweft status`: what the running daemon has.
import { geteuid } from 'node:process';
import { Command } from 'commander';
import { daemonStatus } from '../daemon/client.ts';
import { userDirectory } from '../rootless/user-directory.ts';
import { statusText } from './status-text.ts';

/** Root's daemon, or the user's own. */
export const DEFAULT_SOCKET = `${geteuid?.() === 0 ? '/run/overweft' : userDirectory()}/overweft.sock`;

export function statusCommand(): Command {
  return new Command('status')
    .description('what the running daemon has: peers, ports, tables, counters')
    .option('--socket <path>', "the daemon's API socket", DEFAULT_SOCKET)
    .option('--json', 'the whole status as one JSON object')
    .action(async ({ socket, json }: { socket: string; json?: true }) => {
      const status = await daemonStatus(socket);
      process.stdout.write(json ? `${JSON.stringify(status)}\n` : statusText(status));
    });
}
