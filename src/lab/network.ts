/** Network namespaces and the underlay that joins them. */
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { switchReceiveOffloadOn, switchTransmitOffloadsOff } from '../host/ethtool.ts';
import { ipBatch } from '../host/iproute.ts';
import { netnsFile } from '../host/netns.ts';
import { LabError } from './outcome.ts';
import {
  isLabNetns,
  type LabNode,
  type LabPlan,
  type UnderlayOffloads,
  underlayInterface,
  underlayNetns,
} from './plan.ts';

const bridge = 'underlay0';
const underlayMTU = 1500;

/**
 * Makes every namespace, the bridge, and a veth from each node to it. No link-local addresses on the underlay and no
 * duplicate address detection anywhere, so that nothing has to be waited for.
 */
export async function createNetwork(plan: LabPlan, offloads: UnderlayOffloads): Promise<void> {
  const all = [underlayNetns, ...plan.nodes.map((node) => node.netns), ...plan.pods.map((pod) => pod.netns)];
  await ipBatch([...all.map((netns) => `netns add ${netns}`)]);
  await ipBatch(
    [
      `link add ${bridge} mtu ${underlayMTU} type bridge mcast_snooping 0`,
      `link set ${bridge} addrgenmode none up`,
    ],
    { netns: netnsFile(underlayNetns) },
  );
  await joinUnderlay(plan.nodes, offloads);
}

/**
 * Connects nodes to the underlay.
 * @param nodes whose namespaces exist; each name is that of its link at the bridge
 */
export async function joinUnderlay(
  nodes: readonly Pick<LabNode, 'name' | 'netns' | 'ips'>[],
  offloads: UnderlayOffloads,
): Promise<void> {
  await ipBatch(
    nodes.map(
      ({ name, netns }) =>
        `link add ${underlayInterface} netns ${netns} mtu ${underlayMTU} type veth ` +
        `peer name ${name} netns ${underlayNetns} mtu ${underlayMTU}`,
    ),
  );
  await Promise.all([
    ipBatch(
      nodes.map(({ name }) => `link set ${name} addrgenmode none master ${bridge} up`),
      { netns: netnsFile(underlayNetns) },
    ),
    ...nodes.map(async ({ name, netns, ips }) => {
      await setOffloads(name, netns, offloads);
      await ipBatch(
        [
          'link set lo up',
          `link set ${underlayInterface} addrgenmode none up`,
          `address add ${ips[0]}/24 dev ${underlayInterface}`,
          `address add ${ips[1]}/64 dev ${underlayInterface} nodad`,
        ],
        { netns: netnsFile(netns) },
      );
    }),
  ]);
}

async function setOffloads(link: string, netns: string, offloads: UnderlayOffloads): Promise<void> {
  if (offloads === 'default') return;
  await switchTransmitOffloadsOff(netns, underlayInterface);
  if (offloads === 'none') return;
  await switchTransmitOffloadsOff(underlayNetns, link);
  await switchReceiveOffloadOn(netns, underlayInterface);
}

/** Names of the lab's namespaces that exist now. */
export function existingNetns(): string[] {
  try {
    return readdirSync('/run/netns').filter(isLabNetns);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Deletes the lab's namespaces with all that is in them, after ending every process that runs there. */
export async function deleteNetwork(): Promise<void> {
  const names = existingNetns();
  await endProcesses(() => processesInside(names));
  await ipBatch(names.map((netns) => `netns delete ${netns}`));
}

/** SIGTERM first; what is still there after two seconds gets SIGKILL. */
export async function endProcesses(find: () => number[]): Promise<void> {
  const patienceMs = 2000;
  const goneMs = 2000;
  for (const [signal, waitMs] of [
    ['SIGTERM', patienceMs],
    ['SIGKILL', goneMs],
  ] as const) {
    const deadline = performance.now() + waitMs;
    for (const pid of find()) kill(pid, signal);
    while (performance.now() < deadline) {
      if (find().length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  throw new LabError(`processes ${find().join(', ')} do not end after SIGKILL`);
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isCode(error, 'ESRCH')) throw error;
  }
}

/** Process ids whose network namespace is one of these. */
function processesInside(names: readonly string[]): number[] {
  const inodes = new Set(names.map((netns) => `net:[${statSync(netnsFile(netns)).ino}]`));
  return processes().filter((pid) => {
    try {
      return inodes.has(readlinkSync(`/proc/${pid}/ns/net`));
    } catch {
      return false; // It ended, or is a zombie without namespaces.
    }
  });
}

export const processes = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

export const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
