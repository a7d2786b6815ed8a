/** `overweft bench`: throughput beside the kernel's own VXLAN, in one run. */
import { stderr, stdout } from 'node:process';
import { Command, Option } from 'commander';
import { type Comparison, compare, median } from '../bench/compare.ts';
import { interruptible } from './interruptible.ts';
import { program, type TunnelFlags, upTo, withTunnel } from './lab-options.ts';

interface Flags extends TunnelFlags {
  readonly rounds: number;
  readonly seconds: number;
  readonly underlayOffloads: 'on' | 'off';
  readonly json?: true;
}

export function benchCommand(): Command {
  return withTunnel(new Command('bench'))
    .description("throughput beside the kernel's own VXLAN between the same two nodes of a lab")
    .option('--rounds <n>', 'measurements of each kind on each path, in turn', upTo(100), 5)
    .option('--seconds <n>', 'of each measurement', upTo(600), 2)
    .addOption(
      new Option('--underlay-offloads <state>', 'of the links: on as a veth has them, off as a plain card')
        .choices(['on', 'off'])
        .default('on'),
    )
    .option('--json', 'one object a figure on stdout')
    .action(async (flags: Flags) => {
      const { encap: encapsulation, underlay, rounds, seconds } = flags;
      const options = { encapsulation, underlay, rounds, seconds, offloads: flags.underlayOffloads === 'on' };
      const progress = (line: string) => stderr.write(`${line}\n`);
      const figures = await interruptible((stop) => compare(options, program, progress, stop));
      for (const figure of figures) {
        stdout.write(flags.json ? `${JSON.stringify({ ...options, ...figure })}\n` : `${line(figure)}\n`);
      }
    });
}

const titles = {
  tcp: { title: 'TCP, one stream', scale: 1e9, unit: 'Gbit/s' },
  udp16: { title: 'UDP, 16 bytes, what arrives', scale: 1e3, unit: 'kpackets/s' },
} as const;

function line({ name, overweft, kernel, ratio }: Comparison): string {
  const { title, scale, unit } = titles[name];
  const figure = (values: readonly number[]) => (median(values) / scale).toFixed(2).padStart(8);
  return `${title.padEnd(28)} Overweft ${figure(overweft)}   kernel VXLAN ${figure(kernel)} ${unit.padEnd(10)}   ratio ${ratio.toFixed(2)}`;
}
