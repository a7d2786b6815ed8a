// `overweft replay`: capture files through the data path.
import { statSync } from 'node:fs';
import { stderr } from 'node:process';
import { Command } from 'commander';
import { nodeDecoder, plainDecoder } from '../replay/decoder.ts';
import { Lines } from '../replay/lines.ts';
import { replay } from '../replay/replay.ts';
import { Tally } from '../replay/tally.ts';
import { decodedText } from '../replay/text.ts';
import { type PortFlags, tunnelPorts, withTunnelPorts } from './tunnel-ports.ts';

interface Flags extends PortFlags {
  readonly json?: true;
  readonly config?: string;
  readonly manifests?: string;
  readonly out?: string;
}

export function replayCommand(): Command {
  const command = new Command('replay')
    .description('run captures through the data path: what each packet is, what becomes of it, and why')
    .argument('<file...>', 'pcap or pcapng, compressed with gzip or not; - is the standard input')
    .option('--json', 'one JSON object a packet')
    .option('--config <file>', "a daemon's configuration: verdicts are those of its node, with its tables")
    .option('--manifests <dir>', "manifests for those tables, instead of the configuration's own store")
    .option('--out <file>', 'write what the node would have sent, as pcapng');
  return withTunnelPorts(command).action(async (files: string[], flags: Flags) => {
    if (!flags.config && (flags.manifests || flags.out))
      throw new Error(`--${flags.manifests ? 'manifests' : 'out'} needs --config: whose node is it?`);
    const { out } = flags;
    if (out !== undefined && files.some((file) => isSameFile(file, out)))
      throw new Error(`--out ${out}: is one of the captures: must be another file`);
    if (!(await run(files, flags))) process.exitCode = 1;
  });
}

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((file) => statSync(file, { throwIfNoEntry: false }));
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

/** @returns false when a file could not be read to its end */
async function run(files: readonly string[], flags: Flags): Promise<boolean> {
  const ports = tunnelPorts(flags);
  using decoder = flags.config
    ? await nodeDecoder(flags.config, flags.manifests, ports, flags.out)
    : plainDecoder(ports);
  const lines = new Lines();
  const tally = new Tally();
  let isWhole = true;
  for (const item of replay(files, decoder.decode)) {
    if ('fault' in item) {
      isWhole = false;
      await lines.flush();
      stderr.write(`overweft: ${item.fault}\n`);
      continue;
    }
    tally.count(item);
    const line = flags.json
      ? JSON.stringify(item)
      : `${files.length > 1 ? `${item.file} ` : ''}${item.n} ${decodedText(item)}`;
    if (lines.add(line)) await lines.flush();
    if (lines.isClosed) return isWhole;
  }
  if (!flags.json) lines.add(tally.toString().trimEnd());
  await lines.flush();
  return isWhole;
}
