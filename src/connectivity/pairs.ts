/**
 * Who is to reach whom, as one node's daemon can find out: from the node and from its pods, to every node and every pod.
 *
 *     this node ─┐      ┌─► each other node, at its address in the pod network
 *     its pods  ─┴──────┴─► each pod of the cluster;  its pods ─► this node, too
 */
import type { Desired } from '../control/desired.ts';
import type { Address } from '../net/address.ts';

/** Something that asks or is asked. */
interface End {
  /** Name of a node, or `namespace/name` of a pod. */
  readonly name: string;
  readonly kind: 'node' | 'pod';
  /** Where it is; undefined of a pod that no node has yet. */
  readonly node: string | undefined;
  /** In the pod network. */
  readonly addresses: readonly Address[];
}

interface Source extends End {
  /** File of its network namespace; undefined of the node itself. */
  readonly netns: string | undefined;
}

export interface Pair {
  readonly from: Source;
  /** Of the target's family. */
  readonly source: Address;
  readonly to: End;
  readonly target: Address;
}

/** Names of nodes and pods; all where undefined. */
export interface Selection {
  readonly from?: readonly string[] | undefined;
  readonly to?: readonly string[] | undefined;
}

/** @param ports of this node's pods */
export function pairsOf(
  { node, peers, localPods, endpoints }: Desired,
  ports: readonly { readonly namespace: string; readonly pod: string; readonly netns: string }[],
  selection: Selection,
): Pair[] {
  const own: Source = {
    name: node.name,
    kind: 'node',
    node: node.name,
    addresses: node.podNetworkAddresses,
    netns: undefined,
  };
  const pods = ports.flatMap(({ namespace, pod: name, netns }): Source[] => {
    const pod = localPods.get(`${namespace}/${name}`);
    return pod ? [{ name: pod.key, kind: 'pod', node: node.name, addresses: pod.addresses, netns }] : [];
  });
  const nodes = peers.map(({ name, probes }): End => ({ name, kind: 'node', node: name, addresses: probes }));
  const targets = new Map<string, End>([own, ...nodes].map((end) => [end.name, end]));
  for (const endpoint of endpoints.values()) {
    if (endpoint.kind !== 'pod' && endpoint.kind !== 'remote-pod') continue;
    const { key, addresses, node: home } = endpoint.pod;
    targets.set(key, { name: key, kind: 'pod', node: home, addresses });
  }
  const isMeant = ({ name }: End, names: readonly string[] | undefined) => names?.includes(name) ?? true;
  const wanted = [...targets.values()].filter((end) => isMeant(end, selection.to));
  return [own, ...pods]
    .filter((end) => isMeant(end, selection.from))
    .flatMap((from) =>
      wanted.filter(({ name }) => name !== from.name).flatMap((to) => addressPairs(from, to)),
    );
}

/** One for each family that both have. */
const addressPairs = (from: Source, to: End): Pair[] =>
  to.addresses.flatMap((target) => {
    const source = from.addresses.find(({ family }) => family === target.family);
    return source ? [{ from, source, to, target }] : [];
  });
