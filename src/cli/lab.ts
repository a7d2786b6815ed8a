/** `overweft lab`: a complete cluster in network namespaces on this machine. */
import { env, stderr, stdout } from 'node:process';
import { Command } from 'commander';
import { demonstrate } from '../lab/demo.ts';
import { takeDown } from '../lab/down.ts';
import { LabError } from '../lab/outcome.ts';
import { type LabOptions, mostPods } from '../lab/plan.ts';
import type { LabDescription } from '../lab/state.ts';
import { bringUp } from '../lab/up.ts';
import { ENTERED } from '../rootless/namespaces.ts';
import { asRoot } from './as-root.ts';
import { interruptible } from './interruptible.ts';
import { program, type TunnelFlags, upTo, withTunnel } from './lab-options.ts';

interface Flags extends TunnelFlags {
  readonly nodes: number;
  readonly podsPerNode: number;
}

export function labCommand(): Command {
  const lab = new Command('lab').description('a complete cluster in network namespaces on this machine');
  withTunnel(lab.command('up'))
    .description('make nodes and pods, and return when every pod reaches every pod')
    .option('--nodes <n>', 'nodes, each with a daemon of its own', upTo(mostPods), 2)
    .option('--pods-per-node <n>', 'pods on each', upTo(mostPods), 1)
    .option('--json', 'describe the lab on stdout, as one object')
    .action(
      asRoot(async (flags: Flags & { json?: true }) => {
        const options = labOptions(flags);
        const tell = (step: string) => void stderr.write(`${step}\n`);
        const description = await interruptible((stop) => bringUp(options, program, tell, stop));
        stdout.write(flags.json ? `${JSON.stringify(description)}\n` : summary(description));
      }),
    );
  lab
    .command('down')
    .description('take the lab down, also after a crash')
    .action(
      asRoot(async () => {
        stderr.write((await takeDown()) ? 'the lab is down\n' : 'there was no lab\n');
      }),
    );
  withTunnel(lab.command('demo'))
    .description('two nodes that talk, with a policy between them; under a minute, nothing left behind')
    .action(
      asRoot(async (flags: TunnelFlags) => {
        const options = labOptions({ ...flags, nodes: 2, podsPerNode: 1 });
        const print = (line: string) => void stdout.write(`${line}\n`);
        await interruptible((stop) => demonstrate(options, program, print, stop));
      }),
    );
  return lab;
}

function labOptions({ encap, underlay, underlayOffloads, nodes, podsPerNode }: Flags): LabOptions {
  if (nodes * podsPerNode > mostPods) {
    throw new LabError(
      `--nodes ${nodes} with --pods-per-node ${podsPerNode} are ${nodes * podsPerNode} pods: at most ${mostPods} have addresses`,
    );
  }
  return { encapsulation: encap, underlay, underlayOffloads, nodes, podsPerNode };
}

function summary({ manifests, nodes, pods }: LabDescription): string {
  const [first, second] = pods;
  const enter = env[ENTERED] ? 'overweft enter ' : '';
  return [
    ...nodes.map(({ name, netns, ips }) => `${name}  ${netns.padEnd(10)} ${ips.join('  ')}`),
    ...pods.map(
      ({ name, netns, node, ips }) => `${name.padEnd(6)}  ${netns.padEnd(10)} on ${node}  ${ips.join('  ')}`,
    ),
    `manifests  ${manifests}  (edits there take effect)`,
    ...(first && second ? [`try        ${enter}ip netns exec ${first.netns} ping ${second.ips[0]}`] : []),
    'end with   overweft lab down',
    '',
  ].join('\n');
}
