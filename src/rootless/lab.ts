/** The lab of an ordinary user: its commands run in namespaces that outlive them. */
import { existsSync, rmSync, symlinkSync } from 'node:fs';
import { labDirectory } from '../lab/state.ts';
import { endKeeper, ensureKeeper } from './keeper.ts';
import { enter } from './namespaces.ts';
import { userDirectory } from './user-directory.ts';

/**
 * Runs a command where this user's lab is, or is to be. While a lab is there, `lab` in the user's directory leads to
 * the lab's own.
 * @param words the command and its arguments
 * @returns its exit status
 */
export async function runInLab(words: readonly string[]): Promise<number> {
  const keeper = await ensureKeeper('lab');
  const link = `${userDirectory()}/lab`;
  const directory = `/proc/${keeper}/root${labDirectory}`;
  try {
    return await enter(keeper, words);
  } finally {
    rmSync(link, { force: true });
    if (existsSync(directory)) symlinkSync(directory, link);
    else endKeeper('lab');
  }
}
