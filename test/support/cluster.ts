// Clusters for tests, through the same doors as real ones: manifests and configuration as text.

import { type Cluster, clusterOf } from '../../src/control/cluster.ts';
import { type Desired, desiredOf } from '../../src/control/desired.ts';
import { readManifests } from '../../src/control/manifests.ts';
import type { Objects } from '../../src/control/objects.ts';
import { faultText } from '../../src/store/store.ts';
import { loadConfigText } from './configuration.ts';

/** Manifest objects that must be good. */
export function objectsFrom(objects: readonly object[]): Objects {
  const text = JSON.stringify({ kind: 'List', apiVersion: 'v1', items: objects });
  const reading = readManifests([{ file: 'test.json', text }]);
  if (reading.faults.length > 0) throw new Error(reading.faults.map(faultText).join('\n'));
  return reading.objects;
}

export const clusterFrom = (objects: readonly object[]): Cluster => clusterOf(objectsFrom(objects));

export const desiredFrom = (objects: readonly object[], node = 'node-1', more: object = {}): Desired =>
  desiredOf(clusterFrom(objects), loadConfigText(node, more));

/** Node I of a small cluster, as the lab numbers them. */
export const node = (i: number, labels: Readonly<Record<string, string>> = {}) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: `node-${i}`, labels },
  spec: { podCIDRs: [`10.244.${i}.0/24`, `fd00:244:${i}::/64`] },
  status: {
    addresses: [
      { type: 'InternalIP', address: `192.0.2.${i}` },
      { type: 'InternalIP', address: `2001:db8::${i}` },
      { type: 'Hostname', address: `node-${i}` },
    ],
  },
});

export interface PodFields {
  readonly name: string;
  readonly namespace?: string;
  readonly node?: string;
  readonly ips: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly ports?: readonly { name: string; containerPort: number; protocol?: string }[];
  readonly spec?: object;
  readonly status?: object;
  readonly created?: string;
}

export const pod = ({
  name,
  namespace = 'default',
  node = 'node-1',
  ips,
  labels = {},
  ports = [],
  spec,
  status,
  created,
}: PodFields) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels, ...(created && { creationTimestamp: created }) },
  spec: { nodeName: node, containers: [{ name: 'main', ports }], ...spec },
  status: { podIPs: ips.map((ip) => ({ ip })), ...status },
});

export const namespace = (name: string, labels: Readonly<Record<string, string>> = {}) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
});

export const policy = (name: string, spec: object, namespace = 'default') => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name, namespace },
  spec,
});

export const clusterPolicy = (name: string, spec: object) => ({
  apiVersion: 'policy.networking.k8s.io/v1alpha2',
  kind: 'ClusterNetworkPolicy',
  metadata: { name },
  spec,
});
