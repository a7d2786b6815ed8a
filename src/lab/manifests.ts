/** The cluster as Kubernetes manifests: one file an object, so that an edit or a removal concerns one. */
import { type LabNode, type LabPlan, type LabPod, podNamespace } from './plan.ts';

/** File name to Kubernetes object. */
export function labManifests(plan: LabPlan): Map<string, object> {
  return new Map([
    [`namespace-${podNamespace}.yaml`, namespaceManifest(podNamespace)],
    ...plan.nodes.map((node): [string, object] => [`${node.name}.yaml`, nodeManifest(node)]),
    ...plan.pods.map((pod): [string, object] => [`${pod.name}.yaml`, podManifest(pod)]),
  ]);
}

const namespaceManifest = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
});

const nodeManifest = (node: LabNode): object => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: node.name, labels: { 'kubernetes.io/hostname': node.name } },
  spec: { podCIDR: node.podCIDRs[0], podCIDRs: node.podCIDRs },
  status: { addresses: node.ips.map((address) => ({ type: 'InternalIP', address })) },
});

const podManifest = (pod: LabPod): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: pod.name, namespace: pod.namespace, labels: { app: pod.name } },
  spec: { nodeName: pod.node },
  status: { phase: 'Running', podIP: pod.ips[0], podIPs: pod.ips.map((ip) => ({ ip })) },
});
