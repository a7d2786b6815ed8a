// `overweft replay`: capture files through the data path.
import { stderr } from 'node:process';
import { Command, InvalidArgumentError } from 'commander';
import { readDecoded } from '../replay/decoded.ts';
import { Inspector, wellKnownPorts } from '../replay/inspector.ts';
import { Lines } from '../replay/lines.ts';
import { replay } from '../replay/replay.ts';
import { Tally } from '../replay/tally.ts';
import { decodedText } from '../replay/text.ts';

interface Flags {
  readonly json?: true;
  readonly vxlanPort: readonly number[];
  readonly genevePort: readonly number[];
}

export function replayCommand(): Command {
  return new Command('replay')
    .description('run captures through the data path: what each packet is, what becomes of it, and why')
    .argument('<file...>', 'pcap or pcapng, compressed with gzip or not')
    .option('--json', 'one JSON object a packet')
    .option(
      '--vxlan-port <port>',
      'one more UDP port of VXLAN beside 4789 and 8472; can be repeated',
      port,
      [],
    )
    .option('--geneve-port <port>', 'one more UDP port of GENEVE beside 6081; can be repeated', port, [])
    .action(async (files: string[], flags: Flags) => {
      if (!(await run(files, flags))) process.exitCode = 1;
    });
}

function port(text: string, before: readonly number[]): readonly number[] {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= 65535) return [...before, number];
  throw new InvalidArgumentError('a port is a number from 1 to 65535.');
}

/** @returns false when a file could not be read to its end */
async function run(files: readonly string[], { json, vxlanPort, genevePort }: Flags): Promise<boolean> {
  const inspector = new Inspector({
    vxlan: [...wellKnownPorts.vxlan, ...vxlanPort],
    geneve: [...wellKnownPorts.geneve, ...genevePort],
  });
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
    const line = json
      ? JSON.stringify(item)
      : `${files.length > 1 ? `${item.file} ` : ''}${item.n} ${decodedText(item)}`;
    if (lines.add(line)) await lines.flush();
    if (lines.isClosed) return isWhole;
  }
  if (!json) lines.add(tally.toString().trimEnd());
  await lines.flush();
  return isWhole;
}
