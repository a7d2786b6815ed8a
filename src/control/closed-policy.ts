/**
 * What stands for a policy that cannot be read and of which no earlier version is known: it denies everything to
 * everybody whom it may have been meant for, because what it was to forbid must not be open. So does what stands for a
 * namespace whose labels are not known, because policies select by them. Pure.
 */
import { clusterNetworkPolicySpec } from './cluster-network-policy.ts';
import { kinds } from './objects.ts';
import { type AnyObject, isRecord, type RawObject } from './read-object.ts';

/**
 * @param raw an object that its schema refuses
 * @param identity its name, as the source that has it under that name knows it
 * @returns undefined for other kinds: nothing is known of such an object then, which opens nothing
 */
export function closedPolicy(
  raw: RawObject,
  identity: { readonly name: string; readonly namespace?: string },
): AnyObject | undefined {
  const spec = isRecord(raw.spec) ? raw.spec : {};
  if (raw.kind === 'NetworkPolicy') {
    const { shape } = networkPolicySpec;
    const podSelector = shape.podSelector.safeParse(spec.podSelector);
    const policyTypes = shape.policyTypes.safeParse(spec.policyTypes);
    return kinds.NetworkPolicy.parse({
      apiVersion: 'networking.k8s.io/v1',
      kind: raw.kind,
      metadata: identity,
      spec: {
        ...(podSelector.success && { podSelector: spec.podSelector }),
        policyTypes: (policyTypes.success && policyTypes.data) || ['Ingress', 'Egress'],
      },
    });
  }
  if (raw.kind === 'Namespace') {
    return kinds.NetworkPolicy.parse({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'overweft.namespace-cannot-be-read', namespace: identity.name },
      spec: { policyTypes: ['Ingress', 'Egress'] },
    });
  }
  if (raw.kind !== 'ClusterNetworkPolicy') return undefined;
  const { tier, priority, subject } = clusterNetworkPolicySpec.shape;
  return kinds.ClusterNetworkPolicy.parse({
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: raw.kind,
    metadata: { name: identity.name },
    spec: {
      tier: tier.safeParse(spec.tier).success ? spec.tier : 'Admin',
      priority: priority.safeParse(spec.priority).success ? spec.priority : 0,
      subject: subject.safeParse(spec.subject).success ? spec.subject : { namespaces: {} },
      // A peer without a field makes a rule that denies everything.
      ingress: [{ action: 'Deny', from: [{}] }],
      egress: [{ action: 'Deny', to: [{}] }],
    },
  });
}

const networkPolicySpec = kinds.NetworkPolicy.shape.spec.in.unwrap().unwrap();
