// What has come, changed or gone since a store was last asked, by kind and key.
import type {
  ClusterNetworkPolicyObject,
  NamespaceObject,
  NetworkPolicyObject,
  NodeObject,
  Objects,
  PodObject,
} from './objects.ts';
import type { EndpointSliceObject, ServiceObject } from './services.ts';

/** New objects by key; undefined: the object is gone. */
type ChangesOf<T> = ReadonlyMap<string, T | undefined>;

/** Keys are `name`, or `namespace/name` of what lives in a namespace. */
export interface ObjectChanges {
  readonly nodes: ChangesOf<NodeObject>;
  readonly namespaces: ChangesOf<NamespaceObject>;
  readonly pods: ChangesOf<PodObject>;
  readonly policies: ChangesOf<NetworkPolicyObject>;
  readonly clusterPolicies: ChangesOf<ClusterNetworkPolicyObject>;
  readonly services: ChangesOf<ServiceObject>;
  readonly slices: ChangesOf<EndpointSliceObject>;
}

interface Named {
  readonly metadata: { readonly name: string; readonly namespace: string };
}

const nameKey = ({ metadata }: Named): string => metadata.name;
export const namespacedKey = ({ metadata }: Named): string => `${metadata.namespace}/${metadata.name}`;

/** A map for each kind of object, by their keys. */
export type Maps<T> = Readonly<Record<keyof Objects, Map<string, T>>>;

export const emptyMaps = <T>(): Maps<T> => ({
  nodes: new Map(),
  namespaces: new Map(),
  pods: new Map(),
  policies: new Map(),
  clusterPolicies: new Map(),
  services: new Map(),
  slices: new Map(),
});

export const noChanges: ObjectChanges = emptyMaps<never>();

const nothing: Objects = {
  nodes: [],
  namespaces: [],
  pods: [],
  policies: [],
  clusterPolicies: [],
  services: [],
  slices: [],
};

/**
 * From one state to the next. An object that is the same one in both has not changed.
 * @param before undefined: nothing
 */
export function changesBetween(before: Objects = nothing, after: Objects): ObjectChanges {
  return {
    nodes: between(before.nodes, after.nodes, nameKey),
    namespaces: between(before.namespaces, after.namespaces, nameKey),
    pods: between(before.pods, after.pods, namespacedKey),
    policies: between(before.policies, after.policies, namespacedKey),
    clusterPolicies: between(before.clusterPolicies, after.clusterPolicies, nameKey),
    services: between(before.services, after.services, namespacedKey),
    slices: between(before.slices, after.slices, namespacedKey),
  };
}

function between<T extends Named>(
  before: readonly T[],
  after: readonly T[],
  keyOf: (object: T) => string,
): ChangesOf<T> {
  const kept = new Set(before);
  const changes = new Map<string, T | undefined>();
  const staying = new Set<T>();
  for (const object of after) {
    if (kept.has(object)) staying.add(object);
    else changes.set(keyOf(object), object);
  }
  if (staying.size === before.length) return changes;
  for (const object of before) {
    if (staying.has(object)) continue;
    const key = keyOf(object);
    if (!changes.has(key)) changes.set(key, undefined);
  }
  return changes;
}
