// NetworkPolicy rules in a form without defaults: who (terms) and what (port terms).
import { type Cluster, policyKey } from '../control/cluster.ts';
import type { NetworkPolicyObject, PolicyPeer, PolicyPort, Protocol } from '../control/objects.ts';
import { type LabelSelector, selectorText, selects } from '../control/selectors.ts';
import type { Prefix } from '../net/prefix.ts';
import type { Direction } from './compiled.ts';

/** One entry of `from` or `to`. */
export type PeerTerm =
  | {
      readonly kind: 'pods';
      /** Canonical: equal terms have equal texts. */
      readonly text: string;
      /** Namespaces by selector, or the one by name. */
      readonly namespaces: LabelSelector | string;
      readonly pods: LabelSelector;
    }
  | {
      readonly kind: 'block';
      readonly text: string;
      readonly cidr: Prefix;
      readonly except: readonly Prefix[];
    };

/** One entry of `ports`: a range, or a name that each destination pod resolves for itself. */
export type PortTerm =
  | { readonly kind: 'range'; readonly protocol: Protocol; readonly from: number; readonly to: number }
  | { readonly kind: 'name'; readonly protocol: Protocol; readonly name: string };

/** Undefined lists match everything. */
export interface Rule {
  readonly policy: string;
  /** Position in the policy's list of that direction. */
  readonly index: number;
  readonly peers: readonly PeerTerm[] | undefined;
  readonly ports: readonly PortTerm[] | undefined;
}

/** A policy as far as it concerns one direction; `rules` may be empty, which allows nothing. */
export interface DirectedPolicy {
  readonly key: string;
  readonly namespace: string;
  readonly subject: LabelSelector;
  readonly rules: readonly Rule[];
}

/**
 * The policies that isolate in a direction, in order of their keys.
 * Without policyTypes a policy isolates for ingress, and for egress when it has egress rules.
 */
export function policiesFor({ policies }: Cluster, direction: Direction): DirectedPolicy[] {
  return policies
    .filter((policy) => isolates(policy, direction))
    .map((policy) => directed(policy, direction));
}

/** The policies among them that apply to a pod. */
export function applying(
  policies: readonly DirectedPolicy[],
  pod: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
): DirectedPolicy[] {
  return policies.filter(
    ({ namespace, subject }) => namespace === pod.namespace && selects(subject, pod.labels),
  );
}

function isolates({ spec }: NetworkPolicyObject, direction: Direction): boolean {
  const types = spec.policyTypes;
  if (types && types.length > 0) return types.includes(direction === 'ingress' ? 'Ingress' : 'Egress');
  return direction === 'ingress' || (spec.egress ?? []).length > 0;
}

function directed(policy: NetworkPolicyObject, direction: Direction): DirectedPolicy {
  const key = policyKey(policy);
  const { namespace } = policy.metadata;
  const { spec } = policy;
  const listed =
    direction === 'ingress'
      ? (spec.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports }))
      : (spec.egress ?? []).map(({ to, ports }) => ({ peers: to, ports }));
  const rules = listed.map(
    ({ peers, ports }, index): Rule => ({
      policy: key,
      index,
      peers: peers && peers.length > 0 ? peers.map((peer) => peerTerm(peer, namespace)) : undefined,
      ports: ports && ports.length > 0 ? ports.map(portTerm) : undefined,
    }),
  );
  return { key, namespace, subject: spec.podSelector, rules };
}

function peerTerm({ podSelector, namespaceSelector, ipBlock }: PolicyPeer, namespace: string): PeerTerm {
  if (ipBlock) {
    const except = ipBlock.except ?? [];
    const text = `${ipBlock.cidr.text} except ${except
      .map((one) => one.text)
      .sort()
      .join(',')}`;
    return { kind: 'block', text, cidr: ipBlock.cidr, except };
  }
  const namespaces = namespaceSelector ?? namespace;
  const pods = podSelector ?? {};
  const where = typeof namespaces === 'string' ? namespaces : `{${selectorText(namespaces)}}`;
  return { kind: 'pods', text: `${where} ${selectorText(pods)}`, namespaces, pods };
}

function portTerm({ protocol, port, endPort }: PolicyPort): PortTerm {
  if (typeof port === 'string') return { kind: 'name', protocol, name: port };
  if (typeof port !== 'number') return { kind: 'range', protocol, from: 0, to: 65535 };
  return { kind: 'range', protocol, from: port, to: endPort ?? port };
}
