/**
 * API servers in a process of their own, inside the underlay: one for each side, so that a change meets one side alone.
 *
 *     node serve.ts FILE PORT…      FILE: what is served, by path, as JSON
 */
import { readFileSync } from 'node:fs';
import { argv } from 'node:process';
import { type ApiObject, serveObjects } from '../api-server.ts';

/** Asked over the process' own channel; the answer is when it was told (CLOCK_MONOTONIC, nanoseconds, as text). */
export interface Change {
  /** Of the server. */
  readonly port: number;
  readonly path: string;
  readonly object: ApiObject;
}

const [, , file = '', ...ports] = argv;
const paths = JSON.parse(readFileSync(file, 'utf8'));
const servers = await Promise.all(ports.map((port) => serveObjects(paths, '0.0.0.0', Number(port))));
process.on('message', ({ port, path, object }: Change) => {
  const told = process.hrtime.bigint();
  servers.find((one) => one.port === port)?.change(path, object);
  process.send?.(`${told}`);
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
