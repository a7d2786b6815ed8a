/**
 * From objects to what matters of them: live pods with their addresses and labels, nodes, policies.
 *
 *     object changes ─► ClusterState ─┬─► Cluster   what is
 *                                     └─► ClusterChanges   what is no longer as it was
 *
 * Kubernetes writes objects all the time of which nothing that matters has changed: they change nothing here, either.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Address, parseAddress } from '../net/address.ts';
import type { Prefix } from '../net/prefix.ts';
import { changesBetween, namespacedKey, type ObjectChanges } from './changes.ts';
import { closedRules } from './cluster-network-policy.ts';
import { compare } from './compare.ts';
import type { ClusterNetworkPolicyObject, NetworkPolicyObject, NodeObject, Objects } from './objects.ts';
import { type Attached, LivePods, type Pod } from './pods.ts';
import { type Registration, registrationOf } from './registration.ts';
import type { Labels } from './selectors.ts';

export interface ClusterNode {
  readonly name: string;
  readonly labels: Labels;
  /** Those of type InternalIP: where its tunnels end, unless its daemon says otherwise. */
  readonly addresses: readonly Address[];
  /** All of status.addresses that are IP addresses: what `nodes` peers of policies stand for. */
  readonly statusAddresses: readonly Address[];
  readonly podCIDRs: readonly Prefix[];
  /** What its daemon says of it. */
  readonly registration: Registration;
}

/** The maps are live: they change with the state that they belong to. All but pods and namespaces are in order. */
export interface Cluster {
  readonly nodes: readonly ClusterNode[];
  /** Live pods by key. */
  readonly pods: ReadonlyMap<string, Pod>;
  /** Live pods of a namespace. */
  readonly podsIn: (namespace: string) => Iterable<Pod>;
  /** Key of the live pod whose address it is, by the address's text. */
  readonly ownerOf: (address: string) => string | undefined;
  /** Labels of each namespace, `kubernetes.io/metadata.name` always among them. */
  readonly namespaces: ReadonlyMap<string, Labels>;
  /** NetworkPolicies of each namespace, by name. */
  readonly policies: ReadonlyMap<string, readonly NetworkPolicyObject[]>;
  /** Of each tier in the order in which they apply: by priority, and by name where it is the same. */
  readonly clusterPolicies: readonly ClusterNetworkPolicyObject[];
  /** Cluster IPs of the Service that the nodes' resolvers stand for. */
  readonly resolverIPs: readonly Address[];
  /** Contradictions between objects, and how they were resolved. */
  readonly warnings: readonly string[];
}

export interface ClusterChanges {
  /** As they were, by key; undefined: there was none. */
  readonly pods: ReadonlyMap<string, Pod | undefined>;
  /** Names of those with other labels than before. */
  readonly namespaces: ReadonlySet<string>;
  /** Names of those in which a NetworkPolicy has changed. */
  readonly policies: ReadonlySet<string>;
  readonly clusterPolicies: boolean;
  readonly nodes: boolean;
}

export const isEmpty = ({ pods, namespaces, policies, clusterPolicies, nodes }: ClusterChanges): boolean =>
  pods.size === 0 && namespaces.size === 0 && policies.size === 0 && !clusterPolicies && !nodes;

/** Everything, as a change from nothing. */
export const allOf = ({ pods, namespaces, policies }: Cluster): ClusterChanges => ({
  pods: new Map([...pods.keys()].map((key) => [key, undefined])),
  namespaces: new Set(namespaces.keys()),
  policies: new Set(policies.keys()),
  clusterPolicies: true,
  nodes: true,
});

/**
 * @param attached undefined: nothing is
 * @param resolver as ClusterState has it
 */
export function clusterOf(objects: Objects, attached?: Attached, resolver?: string): Cluster {
  const state = new ClusterState(resolver);
  state.apply(changesBetween(undefined, objects), attached);
  return state.cluster;
}

export class ClusterState {
  readonly #nodes = new Map<string, ClusterNode>();
  readonly #pods = new LivePods();
  readonly #namespaces = new Map<string, Labels>();
  readonly #policies = new Map<string, NetworkPolicyObject[]>();
  readonly #clusterPolicies = new Map<string, ClusterNetworkPolicyObject>();
  #cluster: Cluster = {
    nodes: [],
    pods: this.#pods.pods,
    podsIn: (namespace) => this.#pods.inNamespace(namespace),
    ownerOf: (address) => this.#pods.ownerOf(address),
    namespaces: this.#namespaces,
    policies: this.#policies,
    clusterPolicies: [],
    resolverIPs: [],
    warnings: [],
  };
  readonly #resolver: string | undefined;

  /** @param resolver key of the Service that the nodes' resolvers stand for; undefined: there is none */
  constructor(resolver?: string) {
    this.#resolver = resolver;
  }

  get cluster(): Cluster {
    return this.#cluster;
  }

  /** @param attached undefined: nothing is */
  apply(changes: ObjectChanges, attached?: Attached): ClusterChanges {
    const resolverIPs = this.#resolverIPs(changes);
    const own = resolverIPs !== this.#cluster.resolverIPs;
    const nodes = applyTo(this.#nodes, changes.nodes, nodeOf) || own;
    const clusterPolicies = applyTo(this.#clusterPolicies, changes.clusterPolicies, (policy) => policy);
    const policies = this.#applyPolicies(changes.policies);
    const pods = this.#pods.apply(changes.pods, attached);
    const namespaces = this.#applyNamespaces(changes, pods);
    const ordered = clusterPolicies ? inOrder(this.#clusterPolicies.values()) : this.#cluster.clusterPolicies;
    this.#cluster = {
      ...this.#cluster,
      ...(nodes && { nodes: [...this.#nodes.values()].sort((a, b) => compare(a.name, b.name)) }),
      clusterPolicies: ordered,
      resolverIPs,
      warnings: [...this.#pods.warnings(), ...ordered.flatMap(closedLines)],
    };
    return { pods, namespaces, policies, clusterPolicies, nodes };
  }

  /** The same list while it is the same. */
  #resolverIPs({ services }: ObjectChanges): readonly Address[] {
    const before = this.#cluster.resolverIPs;
    if (this.#resolver === undefined || !services.has(this.#resolver)) return before;
    const { clusterIPs, clusterIP } = services.get(this.#resolver)?.spec ?? {};
    const ips = clusterIPs?.length ? clusterIPs : [clusterIP ?? ''];
    const after = ips.filter((ip): ip is Address => typeof ip !== 'string');
    return isDeepStrictEqual(before, after) ? before : after;
  }

  #applyPolicies(changes: ObjectChanges['policies']): Set<string> {
    const touched = new Map<string, NetworkPolicyObject[]>();
    for (const [key, policy] of changes) {
      const namespace = key.slice(0, key.indexOf('/'));
      const list = touched.get(namespace) ?? [...(this.#policies.get(namespace) ?? [])];
      touched.set(namespace, list);
      const at = list.findIndex((one) => policyKey(one) === key);
      if (at >= 0 && policy && isDeepStrictEqual(list[at]?.spec, policy.spec)) continue;
      list.splice(at < 0 ? list.length : at, at < 0 ? 0 : 1, ...(policy ? [policy] : []));
    }
    const changed = new Set<string>();
    for (const [namespace, list] of touched) {
      const before = this.#policies.get(namespace) ?? [];
      if (list.length === before.length && list.every((policy, i) => policy === before[i])) continue;
      changed.add(namespace);
      list.sort((a, b) => compare(a.metadata.name, b.metadata.name));
      if (list.length > 0) this.#policies.set(namespace, list);
      else this.#policies.delete(namespace);
    }
    return changed;
  }

  /** A namespace that has no object has a name, which selectors can ask for. */
  #applyNamespaces(
    { namespaces, policies }: ObjectChanges,
    pods: ReadonlyMap<string, Pod | undefined>,
  ): Set<string> {
    const changed = new Set<string>();
    const set = (name: string, labels: Labels) => {
      const all = { ...labels, 'kubernetes.io/metadata.name': name };
      if (isDeepStrictEqual(this.#namespaces.get(name), all)) return;
      this.#namespaces.set(name, all);
      changed.add(name);
    };
    for (const [name, object] of namespaces) set(name, object?.metadata.labels ?? {});
    for (const key of [...pods.keys(), ...policies.keys()]) {
      const name = key.slice(0, key.indexOf('/'));
      if (!this.#namespaces.has(name)) set(name, {});
    }
    return changed;
  }
}

/** @returns whether anything is not as it was */
function applyTo<From, To>(
  map: Map<string, To>,
  changes: ReadonlyMap<string, From | undefined>,
  convert: (object: From) => To,
): boolean {
  let changed = false;
  for (const [key, object] of changes) {
    const is = object === undefined ? undefined : convert(object);
    if (isDeepStrictEqual(map.get(key), is)) continue;
    changed = true;
    if (is === undefined) map.delete(key);
    else map.set(key, is);
  }
  return changed;
}

export const policyKey = (policy: NetworkPolicyObject): string => namespacedKey(policy);

const inOrder = (policies: Iterable<ClusterNetworkPolicyObject>): ClusterNetworkPolicyObject[] =>
  [...policies].sort(
    (a, b) => a.spec.priority - b.spec.priority || compare(a.metadata.name, b.metadata.name),
  );

const closedLines = ({ metadata, spec }: ClusterNetworkPolicyObject): string[] =>
  closedRules(spec).map((line) => `ClusterNetworkPolicy ${metadata.name}: ${line}`);

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
    registration: registrationOf(metadata.annotations),
  };
}
