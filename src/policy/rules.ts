/**
 * Policies of every kind as one ordered list of rules for a pod and a direction; the first that matches decides.
 *
 *     Admin tier ──────► NetworkPolicies ─────────► Baseline tier ─────► allowed
 *     by priority        rules of all, then         by priority
 *                        "deny", if any isolates
 *
 * A Pass rule skips what is left of its tier.
 * https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
 * https://github.com/kubernetes-sigs/network-policy-api/blob/main/apis/v1alpha2/clusternetworkpolicy_types.go
 */
import { type Cluster, policyKey } from '../control/cluster.ts';
import {
  type ClusterPeer,
  type ClusterProtocol,
  type ClusterRule,
  peersOf,
  shutPeers,
} from '../control/cluster-network-policy.ts';
import type { Protocol } from '../control/object-fields.ts';
import type {
  ClusterNetworkPolicyObject,
  NetworkPolicyObject,
  PolicyPeer,
  PolicyPort,
} from '../control/objects.ts';
import { type LabelSelector, type Labels, selectorText, selects } from '../control/selectors.ts';
import type { Address } from '../net/address.ts';
import type { Prefix } from '../net/prefix.ts';
import type { Direction, Tier } from './compiled.ts';

/** Live pods by selectors. */
export interface PodSelection {
  /** Namespaces by selector, or the one by name. */
  readonly namespaces: LabelSelector | string;
  readonly pods: LabelSelector;
}

/** One entry of `from` or `to`. Canonical: equal terms of one cluster have equal texts. */
export type PeerTerm =
  | ({ readonly kind: 'pods'; readonly text: string } & PodSelection)
  | {
      readonly kind: 'block';
      readonly text: string;
      readonly cidr: Prefix;
      readonly except: readonly Prefix[];
    }
  | {
      readonly kind: 'nodes';
      readonly text: string;
      /** By text. */
      readonly addresses: ReadonlyMap<string, Address>;
    };

/** One entry of `ports` or `protocols`: a range, or a name that each destination pod resolves for itself. */
export type PortTerm =
  | { readonly kind: 'range'; readonly protocol: Protocol; readonly from: number; readonly to: number }
  | { readonly kind: 'name'; readonly protocol: Protocol; readonly name: string };

/** One step of the order. Undefined lists match everything. */
export interface Rule {
  readonly tier: Tier;
  readonly action: 'accept' | 'deny' | 'pass';
  /** Whose rule it is, `Kind:name`; for default deny every policy that isolates. */
  readonly policies: readonly string[];
  /** Position in the policy's list of that direction; null: default deny. */
  readonly index: number | null;
  /** As its author calls it. */
  readonly name: string | null;
  readonly peers: readonly PeerTerm[] | undefined;
  readonly ports: readonly PortTerm[] | undefined;
}

/** A policy as far as it concerns one direction. */
export interface DirectedPolicy {
  readonly tier: Tier;
  /** `NetworkPolicy:namespace/name` or `ClusterNetworkPolicy:name`. */
  readonly key: string;
  readonly subject: PodSelection;
  /** May be empty: a NetworkPolicy then isolates and allows nothing. */
  readonly rules: readonly Rule[];
}

/** Policies in the form that rules are made of, each converted once. */
export class PolicyBook {
  readonly #namespaced = new WeakMap<NetworkPolicyObject, Map<Direction, DirectedPolicy | undefined>>();
  #cluster = new Map<Direction, readonly DirectedPolicy[]>();
  #source: readonly unknown[] = [];
  readonly #versions = new WeakMap<DirectedPolicy, number>();
  #lastVersion = 0;

  /** Number of a policy as it stands: an edited one has another. */
  versionOf(policy: DirectedPolicy): number {
    const version = this.#versions.get(policy) ?? ++this.#lastVersion;
    this.#versions.set(policy, version);
    return version;
  }

  /**
   * The policies that have a say about a pod, in the order in which they apply. NetworkPolicies are in order of their
   * keys, which decides nothing but which of several rules that allow is named.
   */
  applying(
    pod: { readonly namespace: string; readonly labels: Labels },
    direction: Direction,
    cluster: Cluster,
  ): DirectedPolicy[] {
    const namespaceLabels = cluster.namespaces.get(pod.namespace) ?? {};
    const namespaced = (cluster.policies.get(pod.namespace) ?? []).flatMap(
      (policy) => this.#ofNamespace(policy, direction) ?? [],
    );
    return [...this.#ofCluster(direction, cluster), ...namespaced].filter(
      ({ subject }) => insideOf(subject, pod.namespace, namespaceLabels) && selects(subject.pods, pod.labels),
    );
  }

  #ofNamespace(policy: NetworkPolicyObject, direction: Direction): DirectedPolicy | undefined {
    const known = this.#namespaced.get(policy) ?? new Map<Direction, DirectedPolicy | undefined>();
    this.#namespaced.set(policy, known);
    if (!known.has(direction))
      known.set(direction, isolates(policy, direction) ? ofNamespace(policy, direction) : undefined);
    return known.get(direction);
  }

  #ofCluster(direction: Direction, cluster: Cluster): readonly DirectedPolicy[] {
    const source = [cluster.clusterPolicies, asksNodes(cluster) ? cluster.nodes : undefined];
    if (source.some((one, i) => one !== this.#source[i])) this.#cluster = new Map();
    this.#source = source;
    let policies = this.#cluster.get(direction);
    if (!policies) {
      policies = cluster.clusterPolicies
        .filter(({ spec }) => (spec[direction] ?? []).length > 0)
        .map((policy) => ofCluster(policy, direction, cluster));
      this.#cluster.set(direction, policies);
    }
    return policies;
  }
}

/** Whether a selection looks into a namespace at all. */
function insideOf({ namespaces }: PodSelection, namespace: string, labels: Labels): boolean {
  return typeof namespaces === 'string' ? namespaces === namespace : selects(namespaces, labels);
}

/** Every rule that applies to one pod, in order, default deny among them. */
export function orderOf(policies: readonly DirectedPolicy[]): Rule[] {
  const of = (tier: Tier) => policies.filter((policy) => policy.tier === tier);
  const rules = (tier: Tier) => of(tier).flatMap((policy) => policy.rules);
  const isolating = of('NetworkPolicy').map(({ key }) => key);
  return [...rules('Admin'), ...rules('NetworkPolicy'), ...defaultDeny(isolating), ...rules('Baseline')];
}

/** The same for what the pod sends to its own node, which every NetworkPolicy admits. */
export function orderToNode(policies: readonly DirectedPolicy[]): Rule[] {
  const isIsolated = policies.some(({ tier }) => tier === 'NetworkPolicy');
  return policies
    .filter(({ tier }) => tier === 'Admin' || (tier === 'Baseline' && !isIsolated))
    .flatMap(({ rules }) => rules);
}

function defaultDeny(policies: readonly string[]): Rule[] {
  if (policies.length === 0) return [];
  const any = { peers: undefined, ports: undefined };
  return [{ tier: 'NetworkPolicy', action: 'deny', policies, index: null, name: null, ...any }];
}

const asksNodes = ({ clusterPolicies }: Cluster): boolean =>
  clusterPolicies.some(({ spec }) => spec.egress?.some(({ to }) => to.some(({ nodes }) => nodes)));

/** Without policyTypes a NetworkPolicy isolates for ingress, and for egress when it has egress rules. */
function isolates({ spec }: NetworkPolicyObject, direction: Direction): boolean {
  const types = spec.policyTypes;
  if (types && types.length > 0) return types.includes(direction === 'ingress' ? 'Ingress' : 'Egress');
  return direction === 'ingress' || (spec.egress ?? []).length > 0;
}

function ofNamespace(policy: NetworkPolicyObject, direction: Direction): DirectedPolicy {
  const key = `NetworkPolicy:${policyKey(policy)}`;
  const { namespace } = policy.metadata;
  const { spec } = policy;
  const listed =
    direction === 'ingress'
      ? (spec.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports }))
      : (spec.egress ?? []).map(({ to, ports }) => ({ peers: to, ports }));
  const rules = listed.map(
    ({ peers, ports }, index): Rule => ({
      tier: 'NetworkPolicy',
      action: 'accept',
      policies: [key],
      index,
      name: null,
      peers: peers && peers.length > 0 ? peers.map((peer) => peerTerm(peer, namespace)) : undefined,
      ports: ports && ports.length > 0 ? ports.map(portTerm) : undefined,
    }),
  );
  return { tier: 'NetworkPolicy', key, subject: { namespaces: namespace, pods: spec.podSelector }, rules };
}

function peerTerm({ podSelector, namespaceSelector, ipBlock }: PolicyPeer, namespace: string): PeerTerm {
  if (ipBlock) return blockTerm(ipBlock.cidr, ipBlock.except ?? []);
  return podsTerm({ namespaces: namespaceSelector ?? namespace, pods: podSelector ?? {} });
}

function podsTerm(selection: PodSelection): PeerTerm {
  const { namespaces, pods } = selection;
  const where = typeof namespaces === 'string' ? namespaces : `{${selectorText(namespaces)}}`;
  return { kind: 'pods', text: `${where} ${selectorText(pods)}`, ...selection };
}

function blockTerm(cidr: Prefix, except: readonly Prefix[]): PeerTerm {
  const text = `${cidr.text} except ${except
    .map((one) => one.text)
    .sort()
    .join(',')}`;
  return { kind: 'block', text, cidr, except };
}

function portTerm({ protocol, port, endPort }: PolicyPort): PortTerm {
  if (typeof port === 'string') return { kind: 'name', protocol, name: port };
  if (typeof port !== 'number') return { kind: 'range', protocol, from: 0, to: 65535 };
  return { kind: 'range', protocol, from: port, to: endPort ?? port };
}

function ofCluster(
  { metadata, spec }: ClusterNetworkPolicyObject,
  direction: Direction,
  cluster: Cluster,
): DirectedPolicy {
  const key = `ClusterNetworkPolicy:${metadata.name}`;
  const listed: readonly ClusterRule[] = spec[direction] ?? [];
  const rules = listed.map((rule, index): Rule => {
    const { name = null } = rule;
    const step = { tier: spec.tier, policies: [key], index, name } as const;
    // A rule that cannot be understood fails closed: it accepts nothing, or else it denies everything.
    if (shutPeers(rule).length > 0) {
      const action = rule.action === 'Accept' ? 'accept' : 'deny';
      const peers = rule.action === 'Accept' ? [] : undefined;
      return { ...step, action, peers, ports: undefined };
    }
    return {
      ...step,
      action: actions[rule.action],
      peers: peersOf(rule).flatMap((peer) => clusterPeerTerms(peer, cluster)),
      ports: rule.protocols?.flatMap(protocolTerms),
    };
  });
  const { namespaces, pods } = spec.subject;
  const subject = pods
    ? { namespaces: pods.namespaceSelector, pods: pods.podSelector }
    : { namespaces: namespaces ?? {}, pods: {} };
  return { tier: spec.tier, key, subject, rules };
}

const actions = { Accept: 'accept', Deny: 'deny', Pass: 'pass' } as const;

function clusterPeerTerms({ namespaces, pods, nodes, networks }: ClusterPeer, cluster: Cluster): PeerTerm[] {
  if (namespaces) return [podsTerm({ namespaces, pods: {} })];
  if (pods) return [podsTerm({ namespaces: pods.namespaceSelector, pods: pods.podSelector })];
  if (nodes) return [nodesTerm(nodes, cluster)];
  return (networks ?? []).map((cidr) => blockTerm(cidr, []));
}

function nodesTerm(selector: LabelSelector, { nodes }: Cluster): PeerTerm {
  const addresses = nodes
    .filter(({ labels }) => selects(selector, labels))
    .flatMap(({ statusAddresses }) => statusAddresses);
  const text = `nodes {${selectorText(selector)}}`;
  return { kind: 'nodes', text, addresses: new Map(addresses.map((one) => [one.text, one])) };
}

/** A port name stands for what the destination pod calls so, whatever its protocol. */
function protocolTerms({ tcp, udp, sctp, destinationNamedPort }: ClusterProtocol): PortTerm[] {
  if (typeof destinationNamedPort === 'string') {
    const name = destinationNamedPort;
    return (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => ({ kind: 'name', protocol, name }));
  }
  const [protocol, match] = tcp
    ? (['TCP', tcp] as const)
    : udp
      ? (['UDP', udp] as const)
      : (['SCTP', sctp] as const);
  const { number, range } = match?.destinationPort ?? {};
  if (range) return [{ kind: 'range', protocol, from: range.start, to: range.end }];
  return typeof number === 'number' ? [{ kind: 'range', protocol, from: number, to: number }] : [];
}
