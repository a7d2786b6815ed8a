// `overweft replay`: capture files through the data path.
import { stderr } from 'node:process';
import { Command } from 'commander';
import { readDecoded } from '../replay/decoded.ts';
import { Inspector } from '../replay/inspector.ts';
import { Lines } from '../replay/lines.ts';
import { replay } from '../replay/replay.ts';
import { Tally } from '../replay/tally.ts';
import { decodedText } from '../replay/text.ts';
import { type PortFlags, tunnelPorts, withTunnelPorts } from './tunnel-ports.ts';

interface Flags extends PortFlags {
  readonly json?: true;
}

export function replayCommand(): Command {
  const command = new Command('replay')
    .description('run captures through the data path: what each packet is, what becomes of it, and why')
    .argument('<file...>', 'pcap or pcapng, compressed with gzip or not')
    .option('--json', 'one JSON object a packet');
  return withTunnelPorts(command).action(async (files: string[], flags: Flags) => {
    if (!(await run(files, flags))) process.exitCode = 1;
  });
}

/** @returns false when a file could not be read to its end */
async function run(files: readonly string[], flags: Flags): Promise<boolean> {
  const inspector = new Inspector(tunnelPorts(flags));
  const lines = new Lines();
  const tally = new Tally();
  let isWhole = true;
  for (const item of replay(files, (packet) => readDecoded(inspector.inspect(packet)))) {
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
