/** The lab of an ordinary user: its commands run in namespaces that outlive them. */
import { foreground } from '../setup/foreground.mjs';
import { RootlessError } from './error.ts';
import { endIdleKeeper, findKeeper, startKeeper } from './keeper.ts';
import { enteredEnvironment, inNamespacesOf, requireNamespaces } from './namespaces.ts';

/**
 * Runs a command where this user's lab is, or is to be.
 * @param words the command and its arguments
 * @returns its exit status
 */
export async function runInLab(words: readonly string[]): Promise<number> {
  let keeper = findKeeper();
  if (keeper === undefined) {
    requireNamespaces();
    keeper = await startKeeper();
  }
  try {
    return await foreground(...inNamespacesOf(keeper, words), enteredEnvironment());
  } finally {
    endIdleKeeper(keeper);
  }
}

/**
 * Runs a command in the namespaces of this user's lab.
 * @returns its exit status
 * @throws RootlessError where there is no lab
 */
export async function enterLab(words: readonly string[]): Promise<number> {
  const keeper = findKeeper();
  if (keeper === undefined) throw new RootlessError('you have no lab: overweft lab up makes one');
  return foreground(...inNamespacesOf(keeper, words), enteredEnvironment());
}
