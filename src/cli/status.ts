// `overweft status`: what the running daemon has.
import { request } from 'node:http';
import { Command } from 'commander';
import type { Status } from '../daemon/status.ts';
import { statusText } from './status-text.ts';

const DEFAULT_SOCKET = '/run/overweft/overweft.sock';

export function statusCommand(): Command {
  return new Command('status')
    .description('what the running daemon has: peers, ports, tables, counters')
    .option('--socket <path>', "the daemon's API socket", DEFAULT_SOCKET)
    .option('--json', 'the whole status as one JSON object')
    .action(async ({ socket, json }: { socket: string; json?: true }) => {
      const text = await get(socket, '/v1/status');
      process.stdout.write(json ? text : statusText(JSON.parse(text) as Status));
    });
}

function get(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const refused = (error: NodeJS.ErrnoException) => {
      const reason =
        error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? 'no daemon listens there' : error.message;
      reject(new Error(`${socketPath}: ${reason}: name the socket of a running daemon with --socket`));
    };
    const sent = request({ socketPath, path }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', refused);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${socketPath}: the daemon answers ${response.statusCode}: ${text.trim()}`));
      });
    });
    sent.on('error', refused);
    sent.end();
  });
}
