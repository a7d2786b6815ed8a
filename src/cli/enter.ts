/** `overweft enter`: into the namespaces of what runs without root. */
import { env } from 'node:process';
import { Command } from 'commander';
import { RootlessError } from '../rootless/error.ts';
import { findKeeper } from '../rootless/keeper.ts';
import { enter } from '../rootless/namespaces.ts';

export function enterCommand(): Command {
  return new Command('enter')
    .description("run a command, or a shell, in the namespaces of an ordinary user's lab or daemon")
    .argument('[command...]', "as it would be typed (default: the user's shell)")
    .option('--node', "into the daemon's namespaces, not the lab's")
    .passThroughOptions()
    .action(async (words: string[], { node }: { node?: true }) => {
      const keeper = findKeeper(node ? 'node' : 'lab');
      if (keeper === undefined) throw new RootlessError(missing[node ? 'node' : 'lab']);
      process.exitCode = await enter(keeper, words.length > 0 ? words : [env.SHELL ?? 'sh']);
    });
}

const missing = {
  lab: 'you have no lab without root: overweft lab up makes one (enter --node is for a daemon)',
  node: 'you have no daemon without root: overweft run --rootless starts one',
};
