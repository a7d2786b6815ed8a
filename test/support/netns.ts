import { must, run } from './run.ts';

/** A network namespace that is deleted at the end of an `await using` block; a leftover of the same name goes first. */
export interface Netns extends AsyncDisposable {
  readonly name: string;
  /** Runs a command inside that must succeed; returns its stdout. */
  readonly exec: (command: string, ...args: string[]) => Promise<string>;
}

export async function netns(name: string): Promise<Netns> {
  await run('ip', ['netns', 'delete', name]);
  await must('ip', ['netns', 'add', name]);
  await must('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  return {
    name,
    exec: (command, ...args) => must(command, args, { netns: name }),
    [Symbol.asyncDispose]: async () => void (await run('ip', ['netns', 'delete', name])),
  };
}
