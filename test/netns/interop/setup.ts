import { netns } from '../../support/netns.ts';
import { type OverweftNode, overweftNode } from '../../support/overweft-node.ts';
import { must } from '../../support/run.ts';
import { far, joinUnderlay, near, vni } from './topology.ts';

export type Family = 4 | 6;

/** Namespaces of topology.ts. */
export const names = { node: 'owi-node', pod: 'owi-pod', peer: 'owi-peer', far: 'owi-far' } as const;

/** What the Overweft node is told about itself and its one peer. */
const nodeConfig = (encapsulation: 'vxlan' | 'geneve' | 'ipip', family: Family): object => ({
  encapsulation,
  vni,
  underlay: { addresses: near.underlay, family: family === 4 ? 'ipv4' : 'ipv6', interface: 'under0' },
  podNetwork: { clusterCIDRs: ['10.244.0.0/16', 'fd00:244::/32'], routerMAC: near.routerMAC },
  peers: [
    {
      name: 'foreign',
      addresses: [far.underlay[family === 4 ? 0 : 1]],
      podCIDRs: far.podCIDRs,
      routerMAC: far.routerMAC,
    },
  ],
});

/** The four namespaces, the underlay, and the foreign end by `makePeer`; then the Overweft node with its pod. */
export async function twoEnds(
  encapsulation: 'vxlan' | 'geneve' | 'ipip',
  family: Family,
  peerHasUnderlay: boolean,
  makePeer: () => Promise<AsyncDisposable | undefined>,
): Promise<AsyncDisposable & { node: OverweftNode }> {
  await using stack = new AsyncDisposableStack();
  for (const name of Object.values(names)) stack.use(await netns(name));
  await joinUnderlay(names.node, names.peer, peerHasUnderlay);
  if (!peerHasUnderlay) {
    // A veth hands outer checksums on unfinished, which no wire would do, and a packet socket sees them so.
    await must('ethtool', ['-K', 'under0', 'tx', 'off'], { netns: names.node });
  }
  stack.use((await makePeer()) ?? null);
  const pods = [{ name: 'pod-1', netns: names.pod, ips: near.pod }];
  const node = stack.use(
    await overweftNode(names.node, nodeConfig(encapsulation, family), near.podCIDRs, pods),
  );
  const all = stack.move();
  return { node, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
