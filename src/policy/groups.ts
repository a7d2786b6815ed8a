// Local pods under the same rules.
import type { Cluster } from '../control/cluster.ts';
import type { Pod } from '../control/pods.ts';
import type { Direction, Traffic } from './compiled.ts';
import {
  type DirectedPolicy,
  orderOf,
  orderToNode,
  type PolicyBook,
  type PortTerm,
  type Rule,
} from './rules.ts';

/** Local pods for which the same rules hold. */
export interface Group {
  /** Equal where the rules are the same. */
  readonly key: string;
  readonly traffic: Traffic;
  readonly direction: Direction;
  /** Keys. */
  readonly pods: readonly string[];
  /** In the order in which they are asked. */
  readonly rules: readonly Rule[];
}

export function groupsOf(pods: Iterable<Pod>, cluster: Cluster, book: PolicyBook): Group[] {
  const groups = new Map<string, Group & { readonly pods: string[] }>();
  for (const pod of pods) {
    for (const traffic of ['ingress', 'egress', 'toNode'] as const) {
      const direction = traffic === 'ingress' ? 'ingress' : 'egress';
      const policies = book.applying(pod, direction, cluster);
      const written = traffic === 'toNode' ? orderToNode(policies) : orderOf(policies);
      if (written.length === 0) continue;
      const named = direction === 'ingress' && asksNames(policies) ? pod.namedPorts : [];
      const key = JSON.stringify([traffic, policies.map((policy) => book.versionOf(policy)), named]);
      const known = groups.get(key);
      if (known) {
        known.pods.push(pod.key);
        continue;
      }
      // For ingress a port name means what the pod itself calls so.
      const rules = direction === 'ingress' ? written.map((rule) => resolved(rule, pod)) : written;
      groups.set(key, { key, traffic, direction, pods: [pod.key], rules });
    }
  }
  return [...groups.values()];
}

const asksNames = (policies: readonly DirectedPolicy[]): boolean =>
  policies.some(({ rules }) => rules.some(({ ports }) => ports?.some(({ kind }) => kind === 'name')));

function resolved(rule: Rule, pod: Pod): Rule {
  const ports = rule.ports?.flatMap((term): PortTerm[] => {
    if (term.kind === 'range') return [term];
    return pod.namedPorts
      .filter(({ name, protocol }) => name === term.name && protocol === term.protocol)
      .map(({ protocol, number }) => ({ kind: 'range', protocol, from: number, to: number }));
  });
  return { ...rule, ports };
}
