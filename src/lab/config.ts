/** The configuration of one node's daemon. */
import { dirname } from 'node:path';
import {
  clusterCIDRs,
  type LabNode,
  type LabOptions,
  type LabPlan,
  serviceCIDRs,
  underlayInterface,
} from './plan.ts';

export const labConfig = (
  options: Pick<LabOptions, 'encapsulation' | 'underlay'>,
  plan: LabPlan,
  node: LabNode,
): object => ({
  node: node.name,
  runDirectory: dirname(node.socket),
  store: { type: 'file', directory: plan.manifests },
  encapsulation: options.encapsulation,
  underlay: { addresses: node.ips, family: options.underlay, interface: underlayInterface },
  podNetwork: { clusterCIDRs, serviceCIDRs },
  dns: {},
  // Whoever adds a pod by hand writes no manifest first.
  cni: { unknownPods: 'admit' },
});
