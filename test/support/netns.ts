import { must, run } from './run.ts';

/** A network namespace that is deleted at the end of an `await using` block; a leftover of the same name goes first. */
export interface Netns extends AsyncDisposable {
  readonly name: string;
  /** Runs a command inside that must succeed; returns its stdout. */
  readonly exec: (command: string, ...args: string[]) => Promise<string>;
}

export async function netns(name: string): Promise<Netns> {
  await remove(name);
  await must('ip', ['netns', 'add', name]);
  await must('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  return {
    name,
    exec: (command, ...args) => must(command, args, { netns: name }),
    [Symbol.asyncDispose]: () => remove(name),
  };
}

/** Deletes a namespace, if there is one, and ends what runs there: a namespace lives on in its processes. */
async function remove(name: string): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'pids', name]);
  for (const pid of stdout.split('\n').filter((line) => line !== '')) await run('kill', ['-KILL', pid]);
  await run('ip', ['netns', 'delete', name]);
}
