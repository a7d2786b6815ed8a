/** Options that the commands with a lab share. */
import { fileURLToPath } from 'node:url';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { encapsulations, type LabOptions, underlayOffloads, underlays } from '../lab/plan.ts';

/** This command line once more, for the daemons. */
export const program = [process.execPath, fileURLToPath(new URL('../main.js', import.meta.url))];

export interface TunnelFlags {
  readonly encap: LabOptions['encapsulation'];
  readonly underlay: LabOptions['underlay'];
  readonly underlayOffloads: LabOptions['underlayOffloads'];
}

export const withTunnel = (command: Command): Command =>
  command
    .addOption(new Option('--encap <name>', 'encapsulation').choices(encapsulations).default('geneve'))
    .addOption(new Option('--underlay <family>', 'outer IP family').choices(underlays).default('ipv4'))
    .addOption(
      new Option('--underlay-offloads <state>', 'of its links: as a veth has them, as a plain card, or none')
        .choices(underlayOffloads)
        .default('default'),
    );

/** Reads a whole number from 1 to `most`. */
export const upTo =
  (most: number) =>
  (text: string): number => {
    if (/^[1-9]\d{0,8}$/.test(text) && Number(text) <= most) return Number(text);
    throw new InvalidArgumentError(`must be a number from 1 to ${most}.`);
  };
