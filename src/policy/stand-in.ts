/**
 * A node that stands in for those of a cluster: it has the pods that are asked about, whatever their own nodes, and no
 * peers. Every policy that isolates one of them is in its tables; whether a node is a pod's own is not.
 */
import { type Config, configSchema } from '../config/schema.ts';
import type { Cluster } from '../control/cluster.ts';
import { type Desired, desiredOf } from '../control/desired.ts';
import type { Pod } from '../control/pods.ts';
import { policyBytes } from '../dataplane/policy-tables.ts';

export interface StandIn {
  /** Table sizes are what the tables need. */
  readonly config: Config;
  readonly desired: Desired;
}

/** Kubernetes allows no node this name. */
const NODE = '.';
/** Room in front of each part of the tables, for its alignment. */
const ALIGNMENT = 64;

/**
 * @param keys the pods that it has; others are not found as peers, either
 * @param room connections, and bytes beside the policies
 */
export function standIn(
  cluster: Cluster,
  keys: ReadonlySet<string>,
  { flows = 1024, extraBytes = 0 }: { readonly flows?: number; readonly extraBytes?: number },
): StandIn {
  // Nobody asks about the other pods: a few of many thousand are compiled as fast as a few.
  const pods = new Map(
    [...keys].flatMap((key): [string, Pod][] => {
      const pod = cluster.pods.get(key);
      return pod ? [[key, { ...pod, node: NODE }]] : [];
    }),
  );
  // Nodes as peers of policies, but not of tunnels.
  const nodes = cluster.nodes.map((node) => ({ ...node, addresses: [], podCIDRs: [] }));
  const desired = desiredOf({ ...cluster, nodes, pods }, settings);
  const tables = { ...settings.tables, ...needs(desired, extraBytes), flows };
  return { desired, config: { ...settings, tables } };
}

const parsed = configSchema.parse({
  node: 'node',
  store: { type: 'file', directory: '/' },
  underlay: { addresses: ['::1'] },
  tables: { tunnels: 1, routes: 16, frontends: 16, serviceBytes: 65_536 },
});

/** Without a range of its own for pods, every address that is no pod's lies outside: policies judge it as any other. */
const settings: Config = { ...parsed, node: NODE, podNetwork: { ...parsed.podNetwork, clusterCIDRs: [] } };

/** Sizes that hold the tables whatever the policies. */
function needs({ endpoints, policy }: Desired, extraBytes: number) {
  return {
    endpoints: endpoints.size,
    cidrs: policy.blocks.length,
    policyBytes: policyBytes(policy) + extraBytes + ALIGNMENT,
  };
}
