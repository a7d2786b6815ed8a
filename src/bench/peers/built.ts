/** Programs that bench/peers/build has built. */
import { readFileSync } from 'node:fs';
import { cacheFolder } from '../cache.ts';

export const builtProgram = (peer: string, program: string): string =>
  `${cacheFolder}/peers/${peer}/${program}`;

/** @returns null where it is not built */
export async function builtVersion(peer: string): Promise<string | null> {
  try {
    return readFileSync(builtProgram(peer, 'version'), 'utf8').trim();
  } catch {
    return null;
  }
}

export const buildThem = 'bench/peers/build';
