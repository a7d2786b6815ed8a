/** Commands that make a lab. */
import { argv, geteuid } from 'node:process';
import { runInLab } from '../rootless/lab.ts';
import { program } from './lab-options.ts';

/** An ordinary user is root in namespaces of his own, where the same command then runs. */
export const asRoot =
  <Given>(action: (flags: Given) => Promise<void>) =>
  async (flags: Given): Promise<void> => {
    if (geteuid?.() === 0) await action(flags);
    else process.exitCode = await runInLab([...program, ...argv.slice(2)]);
  };
