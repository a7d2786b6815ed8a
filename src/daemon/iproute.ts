// Links, addresses, routes and rules through iproute2.
import { CommandError, run } from './command.ts';

/** Lines as `ip` takes them without its own name, e.g. `link set dev lo up`. */
export type IpLines = readonly string[];

/**
 * Runs lines in one process, in order, in this network namespace or in another.
 * @param netns file of the namespace
 * @throws CommandError naming the line that failed
 */
export async function ipBatch(lines: IpLines, netns?: string): Promise<void> {
  if (lines.length === 0) return;
  const input = `${lines.join('\n')}\n`;
  try {
    if (netns === undefined) await run('ip', ['-batch', '-'], input);
    else await run('nsenter', [`--net=${netns}`, 'ip', '-batch', '-'], input);
  } catch (error) {
    const { message } = error as Error;
    const [, number] = /Command failed -:(\d+)/.exec(message) ?? [];
    const line = lines[Number(number) - 1];
    throw line === undefined ? error : new CommandError(`ip ${line}: ${message.replace(/\s+/g, ' ')}`);
  }
}

/** Runs queries in one process, each on its own: one that fails answers nothing. */
export async function ipQuery(lines: IpLines): Promise<Record<string, unknown>[]> {
  if (lines.length === 0) return [];
  const output = await run('ip', ['-json', '-force', '-batch', '-'], `${lines.join('\n')}\n`).catch(
    (error: unknown) => {
      // With -force the status says that some line failed, and the others have answered.
      if (error instanceof CommandError && error.stdout !== '') return error.stdout;
      throw error;
    },
  );
  // One JSON array a line.
  return output
    .split('\n')
    .filter((line) => line.startsWith('['))
    .flatMap((line) => JSON.parse(line) as Record<string, unknown>[]);
}
