/** `overweft lab`: a complete cluster in network namespaces on this machine. */
import { stderr, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { LabError } from '../lab/command.ts';
import { demonstrate } from '../lab/demo.ts';
import { takeDown } from '../lab/down.ts';
import { encapsulations, type LabOptions, mostPods, underlays } from '../lab/plan.ts';
import type { LabDescription } from '../lab/state.ts';
import { bringUp } from '../lab/up.ts';

/** This command line once more, for the daemons. */
const program = [process.execPath, fileURLToPath(new URL('../main.js', import.meta.url))];

interface Flags {
  readonly encap: LabOptions['encapsulation'];
  readonly underlay: LabOptions['underlay'];
  readonly nodes: number;
  readonly podsPerNode: number;
}

export function labCommand(): Command {
  const lab = new Command('lab').description('a complete cluster in network namespaces on this machine');
  withTunnel(lab.command('up'))
    .description('make nodes and pods, and return when every pod reaches every pod')
    .option('--nodes <n>', 'nodes, each with a daemon of its own', count, 2)
    .option('--pods-per-node <n>', 'pods on each', count, 1)
    .option('--json', 'describe the lab on stdout, as one object')
    .action(async (flags: Flags & { json?: true }) => {
      const description = await interruptible((stop) =>
        bringUp(labOptions(flags), program, (step) => stderr.write(`${step}\n`), stop),
      );
      stdout.write(flags.json ? `${JSON.stringify(description)}\n` : summary(description));
    });
  lab
    .command('down')
    .description('take the lab down, also after a crash')
    .action(async () => {
      stderr.write((await takeDown()) ? 'the lab is down\n' : 'there was no lab\n');
    });
  withTunnel(lab.command('demo'))
    .description('two nodes that talk, with a policy between them; under a minute, nothing left behind')
    .action(async (flags: Pick<Flags, 'encap' | 'underlay'>) => {
      const options = labOptions({ ...flags, nodes: 2, podsPerNode: 1 });
      await interruptible((stop) => demonstrate(options, program, (line) => stdout.write(`${line}\n`), stop));
    });
  return lab;
}

const withTunnel = (command: Command): Command =>
  command
    .addOption(new Option('--encap <name>', 'encapsulation').choices(encapsulations).default('geneve'))
    .addOption(new Option('--underlay <family>', 'outer IP family').choices(underlays).default('ipv4'));

function count(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new InvalidArgumentError(`must be a number from 1 to ${mostPods}.`);
}

function labOptions({ encap, underlay, nodes, podsPerNode }: Flags): LabOptions {
  if (nodes * podsPerNode > mostPods) {
    throw new LabError(
      `--nodes ${nodes} with --pods-per-node ${podsPerNode} are ${nodes * podsPerNode} pods: at most ${mostPods} have addresses`,
    );
  }
  return { encapsulation: encap, underlay, nodes, podsPerNode };
}

/** Ctrl-C and its kin ask the work to stop and clean up; it says so by an error of its own. */
async function interruptible<T>(work: (stop: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, abort);
  try {
    return await work(controller.signal);
  } finally {
    for (const signal of signals) process.off(signal, abort);
  }
}

function summary({ manifests, nodes, pods }: LabDescription): string {
  const [first, second] = pods;
  return [
    ...nodes.map(({ name, netns, ips }) => `${name}  ${netns.padEnd(10)} ${ips.join('  ')}`),
    ...pods.map(
      ({ name, netns, node, ips }) => `${name.padEnd(6)}  ${netns.padEnd(10)} on ${node}  ${ips.join('  ')}`,
    ),
    `manifests  ${manifests}  (edits there take effect)`,
    ...(first && second ? [`try        ip netns exec ${first.netns} ping ${second.ips[0]}`] : []),
    'end with   overweft lab down',
    '',
  ].join('\n');
}
