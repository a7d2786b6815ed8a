// Links, addresses, routes and rules through iproute2.
import { CommandError, run } from './command.ts';
import { inside } from './netns.ts';

/** Lines as `ip` takes them without its own name, e.g. `link set dev lo up`. */
export type IpLines = readonly string[];

export interface IpOptions {
  /** File of the network namespace; this process's own by default. */
  readonly netns?: string;
  /** For lines that name no address. */
  readonly family?: 4 | 6;
}

/**
 * Runs lines in one process, in order, up to the first that fails.
 * @throws CommandError naming that line
 */
export async function ipBatch(lines: IpLines, { netns, family }: IpOptions = {}): Promise<void> {
  if (lines.length === 0) return;
  const input = `${lines.join('\n')}\n`;
  const args = [...(family ? [`-${family}`] : []), '-batch', '-'];
  try {
    if (netns === undefined) await run('ip', args, { input });
    else await run(...inside(netns, 'ip', args), { input });
  } catch (error) {
    const { message } = error as Error;
    const [, number] = /Command failed -:(\d+)/.exec(message) ?? [];
    const line = lines[Number(number) - 1];
    throw line === undefined ? error : new CommandError(`ip ${line}: ${message.replace(/\s+/g, ' ')}`);
  }
}

/** Runs queries in one process, each on its own: one that fails answers nothing. */
export async function ipQuery(
  lines: IpLines,
  { netns, family }: IpOptions = {},
): Promise<Record<string, unknown>[]> {
  if (lines.length === 0) return [];
  const args = [...(family ? [`-${family}`] : []), '-json', '-force', '-batch', '-'];
  const input = `${lines.join('\n')}\n`;
  const asked =
    netns === undefined ? run('ip', args, { input }) : run(...inside(netns, 'ip', args), { input });
  const output = await asked.catch((error: unknown) => {
    // With -force the status says that some line failed, and the others have answered.
    if (error instanceof CommandError && error.stdout !== '') return error.stdout;
    throw error;
  });
  // One JSON array a line.
  return output
    .split('\n')
    .filter((line) => line.startsWith('['))
    .flatMap((line) => JSON.parse(line) as Record<string, unknown>[]);
}
