/**
 * Which objects are read. Most are left alone; but one that looks as if it were to forbid or lead something is refused
 * rather than overlooked, as the API server would refuse it: a mistyped version or kind must open nothing.
 */
import { type Kind, kinds } from './objects.ts';

const CORE = '';
const NETWORKING = 'networking.k8s.io';
const POLICY = 'policy.networking.k8s.io';
const DISCOVERY = 'discovery.k8s.io';

const groups: Readonly<Record<Kind, string>> = {
  Node: CORE,
  Namespace: CORE,
  Pod: CORE,
  NetworkPolicy: NETWORKING,
  ClusterNetworkPolicy: POLICY,
  Service: CORE,
  EndpointSlice: DISCOVERY,
};

/** Kinds without a say about packets, by the groups of which every other kind is refused. */
const harmless: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  [NETWORKING, new Set(['Ingress', 'IngressClass', 'IPAddress', 'ServiceCIDR'])],
  [POLICY, new Set<string>()],
  [DISCOVERY, new Set<string>()],
]);

/** `kind`: what to read it as; nothing: leave it alone; otherwise why it is refused. */
export type Identity =
  | { readonly kind: Kind }
  | { readonly field: 'apiVersion' | 'kind'; readonly message: string }
  | Record<string, never>;

export function identify(kind: string, apiVersion: unknown): Identity {
  if (typeof apiVersion !== 'string' || apiVersion === '')
    return { field: 'apiVersion', message: 'must be a version such as v1 or networking.k8s.io/v1' };
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : CORE;
  const meant = known.find((one) => one.toLowerCase() === kind.toLowerCase());
  // The schema has a word to say about the version.
  if (meant === kind && groups[meant] === group) return { kind: meant };
  const others = harmless.get(group);
  if (others && !others.has(kind))
    return { field: 'kind', message: `of ${group} only ${nameIn(group)} is supported` };
  if (!meant || !isOfKubernetes(group)) return {};
  return meant === kind
    ? { field: 'apiVersion', message: `of ${kind} must be of ${groups[meant] || 'the core group, v1'}` }
    : { field: 'kind', message: `must be ${meant}` };
}

const known = Object.keys(kinds) as Kind[];

const nameIn = (group: string) => known.find((kind) => groups[kind] === group);

/** Groups without a dot and those below k8s.io belong to Kubernetes; everybody else may have kinds of the same names. */
const isOfKubernetes = (group: string) => !group.includes('.') || group.endsWith('.k8s.io');
