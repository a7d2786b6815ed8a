// From objects to what matters of them: live pods with their addresses and labels, nodes, policies. Pure.

import type { Encapsulation } from '../config/schema.ts';
import type { Address } from '../net/address.ts';
import { parseAddress } from '../net/address.ts';
import type { Mac } from '../net/mac.ts';
import type { Prefix } from '../net/prefix.ts';
import { closedRules } from './cluster-network-policy.ts';
import {
  type ClusterNetworkPolicyObject,
  encapsulationOf,
  type NetworkPolicyObject,
  type NodeObject,
  type Objects,
  type PodObject,
  type Protocol,
  routerMacOf,
} from './objects.ts';
import type { Labels } from './selectors.ts';

/** A container port that has a name. */
interface NamedPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly number: number;
}

/** A pod that may send and receive: neither finished nor on the host network. */
export interface Pod {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly node: string | undefined;
  readonly labels: Labels;
  readonly addresses: readonly Address[];
  readonly namedPorts: readonly NamedPort[];
}

/** A pod that a container runtime has attached on this node. */
export interface AttachedPod {
  readonly namespace: string;
  readonly name: string;
  /** Of the Pod object that the runtime meant, where it said so. */
  readonly uid: string | undefined;
  readonly node: string;
  /** What the pod has, whatever its object says yet. */
  readonly addresses: readonly Address[];
}

/** What this node knows of its pods beside the store. */
export interface Attached {
  /** Of several for one pod the last counts: the others are being taken away. */
  readonly pods: readonly AttachedPod[];
  /** A pod without an object is one without labels; otherwise it is none until its object comes. */
  readonly admitUnknown: boolean;
}

interface ClusterNode {
  readonly name: string;
  readonly labels: Labels;
  /** Where its underlay ends: those of type InternalIP. */
  readonly addresses: readonly Address[];
  /** All of status.addresses that are IP addresses: what `nodes` peers of policies stand for. */
  readonly statusAddresses: readonly Address[];
  readonly podCIDRs: readonly Prefix[];
  readonly routerMac: Mac | undefined;
  readonly encapsulation: Encapsulation | undefined;
}

export interface Cluster {
  readonly nodes: readonly ClusterNode[];
  readonly pods: readonly Pod[];
  /** Labels of each namespace, `kubernetes.io/metadata.name` always among them. */
  readonly namespaces: ReadonlyMap<string, Labels>;
  readonly policies: readonly NetworkPolicyObject[];
  /** Of each tier in the order in which they apply: by priority, and by name where it is the same. */
  readonly clusterPolicies: readonly ClusterNetworkPolicyObject[];
  /** Contradictions between objects, and how they were resolved. */
  readonly warnings: readonly string[];
}

export function clusterOf(
  objects: Objects,
  { pods: attached, admitUnknown }: Attached = { pods: [], admitUnknown: false },
): Cluster {
  const warnings: string[] = [];
  const attachments = new Map(attached.map((one) => [`${one.namespace}/${one.name}`, one]));
  const known = new Set(objects.pods.map(keyOf));
  const unknown = admitUnknown ? [...attachments].filter(([key]) => !known.has(key)) : [];
  return {
    nodes: objects.nodes.map(nodeOf),
    pods: [
      ...livePods(objects.pods, attachments, warnings),
      ...unknown.map(([key, pod]): Pod => ({ ...pod, key, labels: {}, namedPorts: [] })),
    ].sort((a, b) => compare(a.key, b.key)),
    namespaces: namespacesOf(
      objects,
      unknown.map(([, { namespace }]) => namespace),
    ),
    policies: [...objects.policies].sort((a, b) => compare(policyKey(a), policyKey(b))),
    clusterPolicies: clusterPoliciesOf(objects, warnings),
    warnings,
  };
}

export const policyKey = ({ metadata }: NetworkPolicyObject) => `${metadata.namespace}/${metadata.name}`;

function clusterPoliciesOf(
  { clusterPolicies }: Objects,
  warnings: string[],
): readonly ClusterNetworkPolicyObject[] {
  const sorted = [...clusterPolicies].sort(
    (a, b) => a.spec.priority - b.spec.priority || compare(a.metadata.name, b.metadata.name),
  );
  for (const { metadata, spec } of sorted) {
    for (const line of closedRules(spec)) warnings.push(`ClusterNetworkPolicy ${metadata.name}: ${line}`);
  }
  return sorted;
}

function nodeOf(object: NodeObject): ClusterNode {
  const { spec, status, metadata } = object;
  const listed = (status?.addresses ?? []).flatMap(({ type, address }) => {
    const parsed = parseAddress(address);
    return parsed ? [{ type, parsed }] : [];
  });
  return {
    name: metadata.name,
    labels: metadata.labels,
    addresses: listed.filter(({ type }) => type === 'InternalIP').map(({ parsed }) => parsed),
    statusAddresses: listed.map(({ parsed }) => parsed),
    podCIDRs: spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : []),
    routerMac: routerMacOf(object),
    encapsulation: encapsulationOf(object),
  };
}

function livePods(
  objects: readonly PodObject[],
  attachments: ReadonlyMap<string, AttachedPod>,
  warnings: string[],
): Pod[] {
  // What is attached here has its addresses for certain; objects may be late.
  const owners = new Map(
    [...attachments].flatMap(([key, { addresses }]) => addresses.map(({ text }) => [text, key])),
  );
  // A younger pod owns an address that an older one still names: addresses are reused.
  const youngestFirst = objects
    .filter(isLive)
    .sort((a, b) => compare(created(b), created(a)) || compare(keyOf(a), keyOf(b)));
  const pods = youngestFirst.map((object): Pod => {
    const key = keyOf(object);
    const attached = attachments.get(key);
    const isAttached = attached !== undefined && isObjectOf(attached, object);
    const addresses = (isAttached ? attached.addresses : addressesOf(object)).filter(({ text }) => {
      const owner = owners.get(text) ?? key;
      if (owner !== key) warnings.push(`Pod ${key}: address ${text} is taken by pod ${owner}`);
      owners.set(text, owner);
      return owner === key;
    });
    return {
      key,
      namespace: object.metadata.namespace,
      name: object.metadata.name,
      node: isAttached ? attached.node : (object.spec?.nodeName ?? undefined),
      labels: object.metadata.labels,
      addresses,
      namedPorts: namedPortsOf(object),
    };
  });
  return pods;
}

/** What the API server calls a static pod's mirror; kubelet gives runtimes the annotation as the pod's UID. */
const MIRROR = 'kubernetes.io/config.mirror';

/** Not an earlier or later pod of the same name, nor one that lives elsewhere. */
function isObjectOf({ uid, node }: Omit<AttachedPod, 'addresses'>, { metadata, spec }: PodObject): boolean {
  const isSame = (one: string | undefined, other: string | null | undefined) =>
    !one || !other || one === other;
  return isSame(uid, metadata.annotations?.[MIRROR] ?? metadata.uid) && isSame(node, spec?.nodeName);
}

/** The live Pod object that a runtime means. */
export const objectOf = ({ pods }: Objects, pod: Omit<AttachedPod, 'addresses'>): PodObject | undefined =>
  pods.find(
    (object) => keyOf(object) === `${pod.namespace}/${pod.name}` && isLive(object) && isObjectOf(pod, object),
  );

function isLive({ spec, status }: PodObject): boolean {
  return !spec?.hostNetwork && status?.phase !== 'Succeeded' && status?.phase !== 'Failed';
}

export function addressesOf({ status }: PodObject): Address[] {
  const all = status?.podIPs?.map(({ ip }) => ip) ?? (status?.podIP ? [status.podIP] : []);
  return [...new Map(all.map((address) => [address.text, address])).values()];
}

function namedPortsOf({ spec }: PodObject): NamedPort[] {
  // An init container that is restarted always is a sidecar, and serves as long as the pod lives.
  const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...(spec?.containers ?? []), ...sidecars].flatMap(({ ports }) =>
    (ports ?? []).flatMap(({ name, protocol, containerPort }) =>
      name ? [{ name, protocol, number: containerPort }] : [],
    ),
  );
}

function namespacesOf(
  { namespaces, pods, policies }: Objects,
  others: readonly string[],
): Map<string, Labels> {
  const named = (name: string, labels: Labels): [string, Labels] => [
    name,
    { ...labels, 'kubernetes.io/metadata.name': name },
  ];
  return new Map([
    ...[...[...pods, ...policies].map(({ metadata }) => metadata.namespace), ...others].map((name) =>
      named(name, {}),
    ),
    ...namespaces.map(({ metadata }) => named(metadata.name, metadata.labels)),
  ]);
}

const keyOf = ({ metadata }: PodObject) => `${metadata.namespace}/${metadata.name}`;
const created = ({ metadata }: PodObject) => metadata.creationTimestamp ?? '';

/** Order of code units, the same on every node whatever its locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
