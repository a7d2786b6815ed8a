/**
 * Two nodes of a contestant, on the lab's underlay beside Overweft's own:
 *
 *     ow-bench-NAME-pod1 ── ow-bench-NAME-node1 ═══ underlay ═══ ow-bench-NAME-node2 ── ow-bench-NAME-pod2
 *
 * A pod hangs on its node by a veth with its default offloads, which the node routes.
 */

import { run } from '../host/command.ts';
import { ipBatch } from '../host/iproute.ts';
import { inside, netnsFile } from '../host/netns.ts';
import { joinUnderlay } from '../lab/network.ts';
import type { UnderlayOffloads } from '../lab/plan.ts';

export interface BenchNode {
  /** Network namespaces, by name. */
  readonly netns: string;
  readonly podNetns: string;
  /** Underlay addresses, IPv4 first. */
  readonly underlay: readonly [string, string];
  readonly pod: readonly [string, string];
  readonly podCIDRs: readonly [string, string];
}

export type BenchNodes = readonly [BenchNode, BenchNode];

/** @param place one of its own for each contestant, from 1 to 9 */
export async function benchNodes(
  name: string,
  place: number,
  offloads: UnderlayOffloads,
): Promise<BenchNodes> {
  const node = (i: 1 | 2): BenchNode => ({
    netns: `ow-bench-${name}-node${i}`,
    podNetns: `ow-bench-${name}-pod${i}`,
    underlay: [`192.0.2.${100 + 10 * place + i}`, `2001:db8::${100 + 10 * place + i}`],
    pod: [`10.${245 + place}.${i}.2`, `fd00:${245 + place}:${i}::2`],
    podCIDRs: [`10.${245 + place}.${i}.0/24`, `fd00:${245 + place}:${i}::/64`],
  });
  const nodes = [node(1), node(2)] as const;
  await ipBatch(nodes.flatMap(({ netns, podNetns }) => [`netns add ${netns}`, `netns add ${podNetns}`]));
  await joinUnderlay(
    nodes.map(({ netns, underlay }, index) => ({ name: `${name}${index + 1}`, netns, ips: underlay })),
    offloads,
  );
  return nodes;
}

/** Routes a pod by its node, for contestants that carry IPv4 between nodes. */
export async function routedPod({ netns, podNetns, pod }: BenchNode, mtu: number): Promise<void> {
  await ipBatch([`link add pod0 netns ${netns} type veth peer name eth0 netns ${podNetns}`]);
  await ipBatch(
    [
      'link set pod0 addrgenmode none up',
      'address add 169.254.1.1/32 dev pod0',
      `route add ${pod[0]}/32 dev pod0`,
    ],
    { netns: netnsFile(netns) },
  );
  await run(...inside(netnsFile(netns), 'sysctl', ['-qw', 'net.ipv4.ip_forward=1']));
  await ipBatch(
    [
      `link set eth0 mtu ${mtu} addrgenmode none up`,
      `address add ${pod[0]}/32 dev eth0`,
      'route add 169.254.1.1/32 dev eth0',
      'route add default via 169.254.1.1 dev eth0',
    ],
    { netns: netnsFile(podNetns) },
  );
}
