/** `overweft enter`: into the namespaces of what runs without root. */
import { env } from 'node:process';
import { Command } from 'commander';
import { enterLab } from '../rootless/lab.ts';

export function enterCommand(): Command {
  return new Command('enter')
    .description("run a command, or a shell, in the namespaces of an ordinary user's lab")
    .argument('[command...]', "as it would be typed (default: the user's shell)")
    .passThroughOptions()
    .action(async (words: string[]) => {
      process.exitCode = await enterLab(words.length > 0 ? words : [env.SHELL ?? 'sh']);
    });
}
