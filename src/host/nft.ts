// nftables through nft(8): in JSON as libnftables-json(5) has it, or as a script where JSON cannot say it.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { CommandError, run } from './command.ts';
import { inside } from './netns.ts';

/** One command of a transaction, e.g. `{ add: { table: { family: 'inet', name: 'overweft' } } }`. */
export type NftCommand = Readonly<Partial<Record<'add' | 'delete' | 'flush', object>>>;

export interface NftOptions {
  /** File of the network namespace; this process's own by default. */
  readonly netns?: string;
}

/**
 * Runs commands as one transaction: all of them take effect at once, or none.
 * @throws CommandError with what nft says of the one that it refuses
 */
export const nft = (commands: readonly NftCommand[], options?: NftOptions): Promise<void> =>
  feed(['-j'], JSON.stringify({ nftables: commands }), options);

/**
 * Runs a script as one transaction. Sets of typeof, and those to which packets add, have no JSON before nftables 1.1.
 * @throws CommandError with what nft says of the line that it refuses
 */
export const nftScript = (script: string, options?: NftOptions): Promise<void> => feed([], script, options);

async function feed(flags: readonly string[], input: string, { netns }: NftOptions = {}): Promise<void> {
  // nft opens /dev/stdin by its name, which a socket, Node.js' kind of pipe, does not bear.
  const directory = await mkdtemp(`${tmpdir()}/overweft-nft-`);
  try {
    const file = `${directory}/input`;
    await writeFile(file, input);
    const args = [...flags, '-f', file];
    if (netns === undefined) await run('nft', args);
    else await run(...inside(netns, 'nft', args));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Commands that take a table away, whether it is there or not. */
export const withoutTable = (family: string, name: string): readonly NftCommand[] => [
  { add: { table: { family, name } } },
  { delete: { table: { family, name } } },
];

/** Whether a table is there. */
export async function hasTable(family: string, name: string): Promise<boolean> {
  const { nftables } = JSON.parse(await run('nft', ['-j', 'list', 'tables'])) as {
    nftables: { table?: { family: string; name: string } }[];
  };
  return nftables.some(({ table }) => table?.family === family && table.name === name);
}

/** Whether a set has all of these elements, as nft writes them. */
export async function hasElements(table: string, set: string, elements: readonly string[]): Promise<boolean> {
  try {
    await run('nft', ['get', 'element', ...table.split(' '), set, `{ ${elements.join(', ')} }`]);
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}
