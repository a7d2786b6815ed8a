// The other end of api.ts.
import { request } from 'node:http';
import { socketPathFault } from '../config/api-socket.ts';
import type { Status } from './status.ts';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** One request over a daemon's Unix socket. */
export function callDaemon(socketPath: string, method: string, path: string, body?: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = body ? { 'content-type': 'application/json' } : {};
    const sent = request({ socketPath, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') });
      });
    });
    sent.on('error', reject);
    sent.end(body && JSON.stringify(body));
  });
}

/**
 * What a daemon says of itself.
 * @throws Error for the user, where none answers
 */
export async function daemonStatus(socketPath: string): Promise<Status> {
  const { status, body } = await callDaemon(socketPath, 'GET', '/v1/status').catch((error) => {
    throw unreachable(socketPath, error);
  });
  if (status === 200) return JSON.parse(body) as Status;
  throw new Error(`${socketPath}: the daemon answers ${status}: ${body.trim()}`);
}

/** For the user: why a call did not reach a daemon. */
export function unreachable(socketPath: string, { code, message }: NodeJS.ErrnoException): Error {
  const isDeserted = code === 'ENOENT' || code === 'ECONNREFUSED';
  const reason = socketPathFault(socketPath) ?? (isDeserted ? 'no daemon listens there' : message);
  return new Error(`${socketPath}: ${reason}: name the socket of a running daemon with --socket`);
}
