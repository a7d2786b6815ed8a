/** Where a daemon's API listens. */
import { join } from 'node:path';
import type { Config } from './schema.ts';

/** Bytes of `sun_path` but for its end (unix(7)). */
const LONGEST = 107;

/** A path of its own where the configuration names none. */
export const apiSocket = ({ api, runDirectory }: Pick<Config, 'api' | 'runDirectory'>): string =>
  api.socket ?? join(runDirectory, 'overweft.sock');

/** Why no Unix socket can have this path; undefined: one can. */
export function socketPathFault(path: string): string | undefined {
  const bytes = Buffer.byteLength(path);
  if (bytes <= LONGEST) return undefined;
  return `its path has ${bytes} bytes, and that of a Unix socket at most ${LONGEST}`;
}
