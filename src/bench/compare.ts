/**
 * `overweft bench`: Overweft and the kernel's VXLAN between the same two nodes, in turn.
 *
 *     ow-pod1 ──── daemon ── ow-node1 ═══ underlay ═══ ow-node2 ── daemon ──── ow-pod2
 *     ow-kernel1 ── vxlan0 ──┘                            └── vxlan0 ── ow-kernel2
 */
import { run } from '../host/command.ts';
import { ipBatch } from '../host/iproute.ts';
import { inside, netnsFile } from '../host/netns.ts';
import { takeDown } from '../lab/down.ts';
import { type LabOptions, underlayInterface } from '../lab/plan.ts';
import { ping } from '../lab/traffic.ts';
import { bringUp } from '../lab/up.ts';
import { iperfServer, smallDatagrams, tcpStream } from './iperf.ts';
import { kernelVxlan, type TunnelEnd } from './kernel-vxlan.ts';

export interface BenchOptions extends Pick<LabOptions, 'encapsulation' | 'underlay'> {
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  /** Whether the underlay's links take tunnel offloads, as a veth does, or none, as a plain network card. */
  readonly offloads: boolean;
}

/** One figure, measured on both paths once in each round. */
export interface Comparison {
  readonly name: 'tcp' | 'udp16';
  readonly unit: 'bit/s' | 'packets/s';
  readonly overweft: readonly number[];
  readonly kernel: readonly number[];
  /** Median of the rounds' quotients. */
  readonly ratio: number;
}

const figures = [
  { name: 'tcp', unit: 'bit/s', measure: tcpStream },
  { name: 'udp16', unit: 'packets/s', measure: smallDatagrams },
] as const;

/** Overweft takes 4789 where it is asked for VXLAN. */
const kernelPort = 8472;
const kernelMTU = { ipv4: 1450, ipv6: 1430 } as const;

/** @param progress called with each measurement's name and value */
export async function compare(
  options: BenchOptions,
  program: readonly string[],
  progress: (line: string) => void,
  stop: AbortSignal,
): Promise<Comparison[]> {
  const lab = await bringUp({ ...options, nodes: 2, podsPerNode: 1 }, program, progress, stop);
  try {
    if (!options.offloads) await Promise.all(lab.nodes.map(({ netns }) => switchOffloadsOff(netns)));
    await joinKernelPods(options);
    const paths = [
      { name: 'overweft', from: 'ow-pod1', to: 'ow-pod2', address: lab.pods[1]?.ips[0] ?? '' },
      { name: 'kernel', from: 'ow-kernel1', to: 'ow-kernel2', address: end(2).pod[0] },
    ] as const;
    await using _first = await iperfServer(paths[0].to);
    await using _second = await iperfServer(paths[1].to);
    const results: Comparison[] = [];
    for (const { name, unit, measure } of figures) {
      const taken = { overweft: [] as number[], kernel: [] as number[] };
      for (let round = 0; round < options.rounds; round++) {
        // In turn, and not always the same first: a machine's speed drifts.
        for (const path of round % 2 === 0 ? paths : paths.toReversed()) {
          stop.throwIfAborted();
          const value = await measure(path.from, path.address, options.seconds);
          taken[path.name].push(value);
          progress(`${name} ${path.name} ${value.toExponential(3)} ${unit}`);
        }
      }
      const quotients = taken.overweft.map((value, round) => value / (taken.kernel[round] ?? Number.NaN));
      results.push({ name, unit, ...taken, ratio: median(quotients) });
    }
    return results;
  } finally {
    await takeDown();
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}

const end = (i: 1 | 2): TunnelEnd => ({
  underlay: [`192.0.2.${i}`, `2001:db8::${i}`],
  pod: [`10.245.${i}.2`, `fd00:245:${i}::2`],
  podCIDRs: [`10.245.${i}.0/24`, `fd00:245:${i}::/64`],
  routerMAC: `02:00:00:00:0${i}:02`,
});

async function joinKernelPods({ underlay }: BenchOptions): Promise<void> {
  const vxlan = {
    vni: 1,
    port: kernelPort,
    family: underlay === 'ipv4' ? 4 : 6,
    mtu: kernelMTU[underlay],
  } as const;
  await ipBatch(['netns add ow-kernel1', 'netns add ow-kernel2']);
  await kernelVxlan('ow-node1', 'ow-kernel1', end(1), end(2), vxlan);
  await kernelVxlan('ow-node2', 'ow-kernel2', end(2), end(1), vxlan);
  await ping('ow-kernel1', end(2).pod[0]);
}

const switchOffloadsOff = (netns: string): Promise<string> =>
  run(
    ...inside(netnsFile(netns), 'ethtool', [
      ...['-K', underlayInterface, 'tx', 'off', 'tso', 'off', 'gso', 'off', 'tx-udp-segmentation', 'off'],
      ...['tx-udp_tnl-segmentation', 'off', 'tx-udp_tnl-csum-segmentation', 'off'],
    ]),
  );
