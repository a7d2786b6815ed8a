// `overweft replay`: capture files through the data path.
import { stderr } from 'node:process';
import { Command } from 'commander';
import type { CapturedPacket } from '../capture-file/packet.ts';
import { type Decoded, readDecoded } from '../replay/decoded.ts';
import { Inspector, type TunnelPorts } from '../replay/inspector.ts';
import { Lines } from '../replay/lines.ts';
import { loadNode } from '../replay/node.ts';
import { replay } from '../replay/replay.ts';
import { SentFile } from '../replay/sent-file.ts';
import { Tally } from '../replay/tally.ts';
import { decodedText } from '../replay/text.ts';
import { NodeWay } from '../replay/through-node.ts';
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
    .argument('<file...>', 'pcap or pcapng, compressed with gzip or not')
    .option('--json', 'one JSON object a packet')
    .option('--config <file>', "a daemon's configuration: verdicts are those of its node, with its tables")
    .option('--manifests <dir>', "manifests for those tables, instead of the configuration's own store")
    .option('--out <file>', 'write what the node would have sent, as pcapng');
  return withTunnelPorts(command).action(async (files: string[], flags: Flags) => {
    if (!flags.config && (flags.manifests || flags.out))
      throw new Error(`--${flags.manifests ? 'manifests' : 'out'} needs --config: whose node is it?`);
    if (!(await run(files, flags))) process.exitCode = 1;
  });
}

/** @returns false when a file could not be read to its end */
async function run(files: readonly string[], flags: Flags): Promise<boolean> {
  using decoder = flags.config ? await atNode(flags.config, flags) : tableless(tunnelPorts(flags));
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

interface Decoder extends Disposable {
  readonly decode: (packet: CapturedPacket) => Decoded;
}

/** Verdicts say whether packets are well formed. */
function tableless(ports: TunnelPorts): Decoder {
  const inspector = new Inspector(ports);
  return { decode: (packet) => readDecoded(inspector.inspect(packet)), [Symbol.dispose]: () => {} };
}

/** Verdicts are those of a node for what concerns it. */
async function atNode(config: string, flags: Flags): Promise<Decoder> {
  const node = await loadNode(config, flags.manifests);
  const way = new NodeWay(node);
  const { vxlan, geneve } = tunnelPorts(flags);
  const { ports } = node.config;
  const inspector = new Inspector({ vxlan: [...vxlan, ports.vxlan], geneve: [...geneve, ports.geneve] });
  const file = flags.out === undefined ? undefined : new SentFile(flags.out, node.ports);
  return {
    decode: (packet) => {
      const record = inspector.inspect(packet);
      const decoded = readDecoded(record);
      const outcome = way.take(packet, record, decoded);
      if (!outcome) return decoded;
      for (const sent of outcome.sent) file?.write(sent, packet.time);
      return { ...decoded, verdict: outcome.verdict, reason: outcome.reason };
    },
    [Symbol.dispose]: () => file?.[Symbol.dispose](),
  };
}
