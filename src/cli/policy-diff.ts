// `overweft policy diff`: a change of policy, tried on recorded traffic.
import { stderr } from 'node:process';
import { Command } from 'commander';
import { PolicyDiff } from '../policy/diff/diff.ts';
import { type RecordedPacket, Recorder } from '../policy/diff/recorded.ts';
import { flowJson, flowLines, summaryText } from '../policy/diff/text.ts';
import { World } from '../policy/diff/world.ts';
import { Lines } from '../replay/lines.ts';
import { type Place, replay } from '../replay/replay.ts';
import { readObjects } from '../store/file-store.ts';
import { type PortFlags, tunnelPorts, withTunnelPorts } from './tunnel-ports.ts';

interface Flags extends PortFlags {
  readonly old: string;
  readonly new: string;
  readonly otherRules?: true;
  readonly json?: true;
  readonly exitCode?: true;
}

/** Exit status of --exit-code where packets change their fate; 1 is for errors. */
const CHANGED = 2;
/** Packets that are judged in a row. */
const BURST = 4096;

export function policyDiffCommand(): Command {
  const command = new Command('diff')
    .description('which recorded packets a change of policy would deny or allow')
    .argument(
      '<file...>',
      'captures: pcap or pcapng, of pods, of nodes or of the underlay; - is the standard input',
    )
    .requiredOption('--old <dir>', 'Node, Namespace, Pod and policy objects as they are')
    .requiredOption('--new <dir>', 'the same as they would be')
    .option('--other-rules', 'list what keeps its fate under another rule, too')
    .option('--json', 'one JSON object a flow, and one with the sums')
    .option('--exit-code', `exit with ${CHANGED} where a packet would change its fate`);
  return withTunnelPorts(command).action(diff);
}

async function diff(files: string[], flags: Flags): Promise<void> {
  const [before, after] = await worlds(flags);
  const comparison = new PolicyDiff(before, after);
  const recorder = new Recorder(tunnelPorts(flags), (address) => comparison.isPod(address));
  let isWhole = true;
  let burst: (RecordedPacket & Place)[] = [];
  for (const item of replay(files, (packet) => recorder.read(packet))) {
    if ('fault' in item) {
      isWhole = false;
      stderr.write(`overweft: ${item.fault}\n`);
    } else if ('unreadable' in item) {
      comparison.skip(item.unreadable);
    } else {
      burst.push(item);
      if (burst.length < BURST) continue;
      await comparison.take(burst);
      burst = [];
    }
  }
  await comparison.take(burst);
  await print(comparison, flags);
  const { changed } = comparison.summary;
  if (!isWhole) process.exitCode = 1;
  else if (flags.exitCode && changed['now-denied'] + changed['now-allowed'] > 0) process.exitCode = CHANGED;
}

async function print(comparison: PolicyDiff, flags: Flags): Promise<void> {
  const { flows, summary } = comparison;
  const lines = new Lines();
  const texts = flags.json
    ? flows.map((flow) => JSON.stringify(flowJson(flow)))
    : flowLines(flows.filter(({ change }) => flags.otherRules || change !== 'other-rule'));
  for (const text of texts) {
    if (lines.add(text)) await lines.flush();
    if (lines.isClosed) return;
  }
  lines.add(flags.json ? JSON.stringify({ summary }) : summaryText(summary));
  await lines.flush();
}

/** @throws Error with a line for each fault in either directory, beginning with its option */
async function worlds(flags: Flags): Promise<[World, World]> {
  const [before, after] = await Promise.allSettled([worldOf('old', flags.old), worldOf('new', flags.new)]);
  if (before.status === 'fulfilled' && after.status === 'fulfilled') return [before.value, after.value];
  const faults = [before, after].flatMap((one) => (one.status === 'rejected' ? [messageOf(one.reason)] : []));
  throw new Error(faults.join('\n'));
}

async function worldOf(option: 'old' | 'new', directory: string): Promise<World> {
  try {
    const world = new World(await readObjects(directory));
    // Forgotten pods would look as if every policy had gone.
    if (!world.hasPods)
      throw new Error(`${directory}: holds no Pod with an address, so that nothing can be judged`);
    return world;
  } catch (error) {
    throw new Error(messageOf(error).replace(/^/gm, `--${option}: `));
  }
}

const messageOf = (error: unknown): string => (error as Error).message;
