import { policy } from '../../../support/cluster.ts';
import type { Situation } from '../nine-pods.ts';

/** What must be true while the cluster is in a situation. */
export interface Step extends Situation {
  /** As truth.ts reads it. */
  readonly truth: string;
}

export interface TruthCase {
  /** Cases of the Kubernetes suite keep its names (test/e2e/network/netpol/network_policy.go). */
  readonly name: string;
  readonly steps: readonly Step[];
}

export const pod = (name: string) => ({ matchLabels: { pod: name } });
export const podIn = (...values: string[]) => ({
  matchExpressions: [{ key: 'pod', operator: 'In', values }],
});

const nameLabel = 'kubernetes.io/metadata.name';
export const namespaceNamed = (name: string) => ({ matchLabels: { [nameLabel]: name } });
export const namespaceIn = (...values: string[]) => ({
  matchExpressions: [{ key: nameLabel, operator: 'In', values }],
});
export const namespaceNotIn = (...values: string[]) => ({
  matchExpressions: [{ key: nameLabel, operator: 'NotIn', values }],
});

/** A policy of namespace x for ingress alone: all pods unless told which. */
export const ingress = (name: string, rules: readonly object[], podSelector: object = {}) =>
  policy(name, { podSelector, policyTypes: ['Ingress'], ingress: rules }, 'x');

/** Likewise for egress. */
export const egress = (name: string, rules: readonly object[], podSelector: object = {}) =>
  policy(name, { podSelector, policyTypes: ['Egress'], egress: rules }, 'x');
