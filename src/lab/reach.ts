/** Whether everybody reaches everybody whom they must reach. */
import type { LabPlan } from './plan.ts';
import { ping } from './traffic.ts';

interface Pair {
  readonly netns: string;
  /** For the reader: who pings whom, at which address. */
  readonly name: string;
  readonly address: string;
}

/** As many echo requests at a time as keep two cores busy. */
const atOnce = 16;
const patienceMs = 8000;

/**
 * Every pod must reach every other pod, every node its own pods, in both families.
 * @returns the pairs that could not, after several attempts over some seconds; empty when all could
 */
export async function unreachablePairs(plan: LabPlan, stop: AbortSignal): Promise<string[]> {
  const deadline = performance.now() + patienceMs;
  let pairs = pairsOf(plan);
  do {
    pairs = await failing(pairs);
  } while (pairs.length > 0 && performance.now() < deadline && !stop.aborted);
  return pairs.map(({ name }) => name);
}

function pairsOf({ nodes, pods }: LabPlan): Pair[] {
  const sources = [
    ...pods.map((pod) => ({ ...pod, targets: pods.filter((other) => other !== pod) })),
    ...nodes.map((node) => ({ ...node, targets: pods.filter((pod) => pod.node === node.name) })),
  ];
  return sources.flatMap(({ name, netns, targets }) =>
    targets.flatMap((target) =>
      target.ips.map((address) => ({ netns, address, name: `${name} → ${target.name} (${address})` })),
    ),
  );
}

async function failing(pairs: readonly Pair[]): Promise<Pair[]> {
  const failed: Pair[] = [];
  const queue = pairs.values();
  const worker = async () => {
    for (const pair of queue) if ((await ping(pair.netns, pair.address)) === null) failed.push(pair);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return pairs.filter((pair) => failed.includes(pair));
}
