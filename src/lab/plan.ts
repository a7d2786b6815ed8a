/**
 * What a lab consists of: names and addresses, derived from its size alone.
 *
 *      ow-pod1   ow-pod3          ow-pod2   ow-pod4        eth0  10.244.I.(k+1)  fd00:244:I::(k+1)
 *          └──┬──────┘                └──┬──────┘
 *         ow-node1                   ow-node2               one daemon in each
 *             │ under0                   │ under0           192.0.2.I  2001:db8::I
 *          ┌──┴──────────────────────────┴──┐
 *          │ bridge in ow-underlay          │               MTU 1500
 *          └────────────────────────────────┘
 *
 * Pod k lives on node ((k−1) mod N)+1. Numbers are written in the same decimal digits in both families.
 */

export const encapsulations = ['geneve', 'vxlan', 'ipip'] as const;
export const underlays = ['ipv4', 'ipv6'] as const;
export const underlayOffloads = ['default', 'nic', 'none'] as const;
export type UnderlayOffloads = (typeof underlayOffloads)[number];

export interface LabOptions {
  readonly encapsulation: (typeof encapsulations)[number];
  readonly underlay: (typeof underlays)[number];
  readonly nodes: number;
  readonly podsPerNode: number;
  /**
   * What the nodes' links to the underlay do: `default` as a veth has it, which hands superframes through; `none`
   * neither splits nor joins; `nic` joins what arrives, as a plain network card's driver does.
   */
  readonly underlayOffloads: UnderlayOffloads;
}

export interface LabNode {
  readonly name: string;
  readonly netns: string;
  /** Underlay addresses, IPv4 first. */
  readonly ips: readonly [string, string];
  readonly podCIDRs: readonly [string, string];
  /** Everything that the node's daemon reads and writes lies below. */
  readonly directory: string;
  readonly config: string;
  readonly socket: string;
  readonly log: string;
}

export interface LabPod {
  readonly name: string;
  readonly namespace: string;
  readonly netns: string;
  /** Name of its node. */
  readonly node: string;
  /** IPv4 first. */
  readonly ips: readonly [string, string];
}

export interface LabPlan {
  /** Directory of manifests that every daemon watches. */
  readonly manifests: string;
  readonly nodes: readonly LabNode[];
  readonly pods: readonly LabPod[];
}

/** The pod network, where Services are as kubeadm and kind have it, and the link-layer names that the lab makes. */
export const clusterCIDRs = ['10.244.0.0/16', 'fd00:244::/32'] as const;
export const serviceCIDRs = ['10.96.0.0/12', 'fd00:10:96::/112'] as const;
export const underlayNetns = 'ow-underlay';
export const underlayInterface = 'under0';
export const podNamespace = 'default';

/** Network namespaces that belong to a lab, whatever its size. */
export const isLabNetns = (name: string): boolean =>
  /^ow-(?:underlay|(?:node|pod)\d+|bench-[a-z0-9-]+)$/.test(name);

/** Host numbers from .2 to .254 serve pods, so 253 of them fit a /24. */
export const mostPods = 253;

/** @param directory absolute path of the lab's state */
export function planLab(options: Pick<LabOptions, 'nodes' | 'podsPerNode'>, directory: string): LabPlan {
  const nodes = upTo(options.nodes).map((i) => planNode(i, `${directory}/node-${i}`));
  const pods = upTo(options.nodes * options.podsPerNode).map((k) => planPod(k, options.nodes));
  return { manifests: `${directory}/manifests`, nodes, pods };
}

function planNode(i: number, directory: string): LabNode {
  return {
    name: `node-${i}`,
    netns: `ow-node${i}`,
    ips: [`192.0.2.${i}`, `2001:db8::${i}`],
    podCIDRs: [`10.244.${i}.0/24`, `fd00:244:${i}::/64`],
    directory,
    config: `${directory}/config.yaml`,
    socket: `${directory}/run/overweft.sock`,
    log: `${directory}/daemon.log`,
  };
}

function planPod(k: number, nodes: number): LabPod {
  const i = ((k - 1) % nodes) + 1;
  return {
    name: `pod-${k}`,
    namespace: podNamespace,
    netns: `ow-pod${k}`,
    node: `node-${i}`,
    ips: [`10.244.${i}.${k + 1}`, `fd00:244:${i}::${k + 1}`],
  };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
