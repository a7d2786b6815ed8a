/**
 * Records the fixtures anew, as root: `node --experimental-transform-types test/support/record-fixtures.ts`.
 *
 * Each is what passes the underlay of a node (or a pod's interface) while an Overweft pod and a pod behind another
 * tunnel end ping each other, send a few datagrams and make a short TCP transfer, both ways and in both families.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { kernelVxlan } from '../../src/bench/peers/kernel-vxlan.ts';
import { ping, trafficIn } from '../../src/lab/traffic.ts';
import { openVswitchEnd } from '../netns/interop/open-vswitch.ts';
import { type Family, names, twoEnds } from '../netns/interop/setup.ts';
import { far, near, podMTU, vni } from '../netns/interop/topology.ts';
import { program } from './overweft-node.ts';
import { overweft } from './run.ts';

const TCP_BYTES = 8_000;
const DATAGRAMS = [4, 17, 1382, 3000];

interface Side {
  readonly netns: string;
  readonly addresses: readonly string[];
}

/** Writes what passes an interface to a fixture while `work` runs. */
async function recorded(
  name: string,
  netns: string,
  device: string,
  work: () => Promise<void>,
): Promise<void> {
  const file = join(import.meta.dirname, '../fixtures', `${name}.pcapng`);
  const [command = '', ...args] = program;
  const options = ['capture', device, '--write', file, '--filter', 'ip or ip6 or arp'];
  const child = spawn('ip', ['netns', 'exec', netns, command, ...args, ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await begun(child);
  try {
    await work();
    await sleep(500);
  } finally {
    child.kill('SIGINT');
    await once(child, 'close');
  }
  console.log(file);
}

/** Returns when the capture says that it captures. */
async function begun(child: ChildProcess): Promise<void> {
  let text = '';
  for await (const chunk of child.stderr ?? []) {
    text += chunk;
    if (text.includes('capturing at')) return child.stderr?.resume() && undefined;
  }
  throw new Error(`overweft capture: ${text}`);
}

/** A little of everything, each way and in each family. */
async function talk(here: Side, there: Side): Promise<void> {
  await using first = trafficIn(here.netns);
  await using second = trafficIn(there.netns);
  const ways = [
    { from: here, sender: first, receiver: second, to: there },
    { from: there, sender: second, receiver: first, to: here },
  ];
  let port = 5000;
  for (const { from, sender, receiver, to } of ways) {
    for (const address of to.addresses) {
      await reached(from.netns, address);
      port++;
      await receiver.listen({ port, mode: 'sink' });
      await sender.send({ address, port, bytes: TCP_BYTES, hash: true });
      await receiver.listenUdp({ port });
      await sender.sendUdp({ address, port, sizes: DATAGRAMS, count: DATAGRAMS.length, perSecond: 1000 });
    }
  }
}

/** Neighbours and tunnels of a foreign end take their time. */
async function reached(netns: string, address: string): Promise<void> {
  for (let tries = 0; tries < 10; tries++) if ((await ping(netns, address)) !== null) return;
  throw new Error(`${netns} does not reach ${address}`);
}

const ends: readonly [Side, Side] = [
  { netns: names.pod, addresses: near.pod },
  { netns: names.far, addresses: far.pod },
];

for (const family of [4, 6] as const satisfies Family[]) {
  {
    const peer = () =>
      kernelVxlan(names.peer, names.far, far, near, { vni, port: 4789, family, mtu: podMTU[family] }).then(
        () => undefined,
      );
    await using _ = await twoEnds('vxlan', family, true, peer);
    await recorded(`kernel-vxlan-ipv${family}`, names.node, 'under0', () => talk(...ends));
  }
  for (const tunnel of ['geneve', 'vxlan'] as const) {
    await using _ = await twoEnds(tunnel, family, false, () => openVswitchEnd(tunnel, family));
    await recorded(`open-vswitch-${tunnel}-ipv${family}`, names.node, 'under0', () => talk(...ends));
  }
}

for (const [encapsulation, underlay] of [
  ['ipip', 'ipv4'],
  ['ipip', 'ipv6'],
  ['geneve', 'ipv6'],
] as const) {
  const { status, stdout, stderr } = await overweft([
    'lab',
    'up',
    '--encap',
    encapsulation,
    '--underlay',
    underlay,
    '--json',
  ]);
  if (status !== 0) throw new Error(stderr);
  try {
    const { pods } = JSON.parse(stdout) as { pods: { netns: string; ips: string[] }[] };
    const [here, there] = pods.map(({ netns, ips }): Side => ({ netns, addresses: ips }));
    if (!here || !there) throw new Error('the lab has fewer than two pods');
    await recorded(`lab-${encapsulation}-${underlay}`, 'ow-node1', 'under0', () => talk(here, there));
    if (encapsulation === 'geneve') await recorded('lab-pod', here.netns, 'eth0', () => talk(here, there));
  } finally {
    await overweft(['lab', 'down']);
  }
}
