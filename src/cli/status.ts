// `overweft status`: what the running daemon has.
import { Command } from 'commander';
import { daemonStatus } from '../daemon/client.ts';
import { statusText } from './status-text.ts';

export const DEFAULT_SOCKET = '/run/overweft/overweft.sock';

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
