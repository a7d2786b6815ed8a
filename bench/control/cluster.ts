/**
 * A cluster as real ones are: Deployments, Jobs and StatefulSets in namespaces of teams, with the labels that Kubernetes
 * itself gives to their pods, which are other ones for every Job and every StatefulSet pod.
 */
import type {
  NamespaceObject,
  NetworkPolicyObject,
  NodeObject,
  Objects,
  PodObject,
} from '../../src/control/objects.ts';
import type { LabelSelector } from '../../src/control/selectors.ts';
import { address } from '../../src/net/address.ts';
import { prefix } from '../../src/net/prefix.ts';

export interface ClusterSize {
  readonly nodes: number;
  readonly pods: number;
  readonly namespaces: number;
  readonly policies: number;
  /** Pods of the first node, which is the one that is compiled for. */
  readonly localPods: number;
}

const TEAMS = 25;
/** Workloads of a namespace. */
export const APPS = 20;
/** Pods that follow each other and are of one workload. */
export const PODS_OF_APP = 7;

/** Workload of a pod. */
export const appOf = (number: number): number => Math.floor(number / PODS_OF_APP) % APPS;

export function clusterObjects({ nodes, pods, namespaces, policies, localPods }: ClusterSize): Objects {
  const others = nodes - 1;
  const place = (i: number) =>
    i < localPods ? { node: 0, host: 2 + i } : { node: 1 + (i % others), host: 2 + Math.floor(i / others) };
  return {
    nodes: Array.from({ length: nodes }, (_, i) => nodeObject(i)),
    namespaces: Array.from({ length: namespaces }, (_, i) => namespaceObject(i)),
    pods: Array.from({ length: pods }, (_, i) =>
      podObject({ number: i, namespace: i % namespaces, ...place(i) }),
    ),
    policies: Array.from({ length: policies }, (_, i) =>
      policyObject(i % namespaces, Math.floor(i / namespaces)),
    ),
    clusterPolicies: [],
    services: [],
    slices: [],
  };
}

export const nodeName = (i: number): string => `node-${i}`;
const spaceName = (i: number): string => `space-${i}`;
const bytes = (i: number): string => `${i >> 8}.${i & 255}`;

export function nodeObject(i: number): NodeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: nodeName(i), namespace: 'default', labels: { 'kubernetes.io/hostname': nodeName(i) } },
    spec: { podCIDRs: [prefix(`10.${bytes(i)}.0/24`), prefix(`fd00:0:0:${i.toString(16)}::/64`)] },
    status: { addresses: [{ type: 'InternalIP', address: `172.16.${bytes(i)}` }] },
  };
}

export function namespaceObject(i: number, labels: Readonly<Record<string, string>> = {}): NamespaceObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: spaceName(i),
      namespace: 'default',
      labels: { team: `team-${i % TEAMS}`, env: i % 3 === 0 ? 'production' : 'staging', ...labels },
    },
  };
}

export interface PodPlace {
  readonly number: number;
  readonly namespace: number;
  readonly node: number;
  /** Last part of its addresses, which are of the node's ranges. */
  readonly host: number;
  /** In place of those that its workload gives it. */
  readonly labels?: Readonly<Record<string, string>>;
}

export function podObject({ number, namespace, node, host, labels }: PodPlace): PodObject {
  const app = appOf(number);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `app-${app}-${number}`,
      namespace: spaceName(namespace),
      labels: labels ?? labelsOf(app, number),
    },
    spec: {
      nodeName: nodeName(node),
      containers: [{ ports: [{ name: 'http', containerPort: 8080 + (app % 3), protocol: 'TCP' }] }],
    },
    status: {
      podIPs: [
        { ip: address(`10.${bytes(node)}.${host}`) },
        { ip: address(`fd00:0:0:${node.toString(16)}::${host.toString(16)}`) },
      ],
    },
  };
}

function labelsOf(app: number, number: number): Record<string, string> {
  const name = { app: `app-${app}`, 'app.kubernetes.io/part-of': `part-${app % 5}` };
  const hash = (number * 2_654_435_761) % 2 ** 32;
  if (app % 5 === 3) {
    const job = `app-${app}-${hash.toString(36)}`;
    return {
      ...name,
      'batch.kubernetes.io/job-name': job,
      'batch.kubernetes.io/controller-uid': `${hash}-${number}`,
    };
  }
  if (app % 5 === 4) {
    const pod = `app-${app}-${number}`;
    return {
      ...name,
      'statefulset.kubernetes.io/pod-name': pod,
      'apps.kubernetes.io/pod-index': `${number % 50}`,
    };
  }
  return { ...name, 'pod-template-hash': (number % 3000).toString(36) };
}

const app = (i: number): LabelSelector => ({ matchLabels: { app: `app-${i % APPS}` } });
const outside = (i: number) => ({
  ipBlock: { cidr: prefix(`192.${i % 200}.0.0/16`), except: [prefix(`192.${i % 200}.${i % 256}.0/24`)] },
});

/**
 * The first of a namespace denies by default; others let one workload talk with its neighbours.
 * @param isEdited with another port
 */
export function policyObject(namespace: number, i: number, isEdited = false): NetworkPolicyObject {
  const team = { matchLabels: { team: `team-${(namespace + i) % TEAMS}` } };
  const spec: NetworkPolicyObject['spec'] =
    i === 0
      ? { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }
      : {
          podSelector: app(i),
          policyTypes: ['Ingress', 'Egress'],
          ingress: [
            { from: [{ podSelector: app(i + 1) }, { podSelector: app(i + 2) }], ports: [tcp('http')] },
            {
              from: [{ namespaceSelector: team, podSelector: app(i + 3) }],
              ports: [tcp((isEdited ? 9500 : 9000) + i)],
            },
          ],
          egress: [
            { to: [{ podSelector: app(i + 4) }], ports: [tcp('http')] },
            { to: [outside(namespace + i)], ports: [tcp(443)] },
            { ports: [{ protocol: 'UDP', port: 53 }, tcp(53)] },
          ],
        };
  return {
    kind: 'NetworkPolicy',
    apiVersion: 'networking.k8s.io/v1',
    metadata: { name: `policy-${i}`, namespace: spaceName(namespace), labels: {} },
    spec,
  };
}

const tcp = (port: number | string) => ({ protocol: 'TCP', port }) as const;
