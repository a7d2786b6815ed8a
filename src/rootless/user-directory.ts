/** Where an ordinary user's Overweft keeps what root's keeps below /run. */
import { chmodSync, lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env, geteuid } from 'node:process';
import { RootlessError } from './error.ts';

/**
 * `overweft` in XDG_RUNTIME_DIR, which is a tmpfs of the user's own where a session manager made it; without one, a
 * directory below the one for temporary files.
 * @see https://specifications.freedesktop.org/basedir/latest/
 */
export const userDirectory = (): string =>
  env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, 'overweft') : join(tmpdir(), `overweft-${geteuid?.()}`);

/**
 * Makes it where it is missing.
 * @throws RootlessError where it is somebody else's: whoever owns it could put a socket or a link of his own there
 */
export function ensureUserDirectory(): string {
  const directory = userDirectory();
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const facts = lstatSync(directory);
    if (!facts.isDirectory() || facts.uid !== geteuid?.())
      throw new RootlessError(`${directory}: must be a directory of your own`);
    chmodSync(directory, 0o700);
  } catch (error) {
    if (error instanceof RootlessError) throw error;
    throw new RootlessError(
      `${directory}: ${(error as Error).message}: set XDG_RUNTIME_DIR to a directory of your own`,
    );
  }
  return directory;
}
