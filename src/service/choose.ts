/**
 * Which endpoints of a port this node uses, under each traffic policy:
 *
 *     Cluster   the ready ones, those that hints give to this node or zone; none ready: those that drain
 *     Local     the ready ones of this node; none ready: those of this node that drain
 *
 * A port that never needs one of the two has no choice for it.
 */
import type { Endpoint, State } from './endpoints.ts';
import type { ServicePort, TrafficPolicy } from './ports.ts';

/** Why an endpoint is not used. */
export type Reason = Exclude<State, 'ready'> | 'other-node' | 'other-zone' | 'remote';

export interface LeftOut {
  readonly endpoint: Endpoint;
  readonly reason: Reason;
}

export interface Choice {
  readonly backends: readonly Endpoint[];
  readonly leftOut: readonly LeftOut[];
}

/** Which hints decide, or why none does (KEP-3015). */
export type Hints = 'same-node' | 'same-zone' | 'none' | 'incomplete' | 'not-for-here' | 'node-without-zone';

export interface Chosen {
  readonly hints: Hints;
  /** Whether any node has a usable endpoint. */
  readonly hasAny: boolean;
  readonly Cluster: Choice | undefined;
  readonly Local: Choice | undefined;
}

/** The node that chooses. */
export interface Place {
  readonly node: string;
  /** Label topology.kubernetes.io/zone; empty: it has none. */
  readonly zone: string;
}

export function choose(
  { internalPolicy, externalPolicy, isExternal }: ServicePort,
  endpoints: readonly Endpoint[],
  place: Place,
): Chosen {
  const hints = hintsOf(endpoints, place);
  // Pods use external addresses under the policy Cluster, whatever externalTrafficPolicy says.
  const needsCluster = internalPolicy === 'Cluster' || isExternal;
  const needsLocal = internalPolicy === 'Local' || (externalPolicy === 'Local' && isExternal);
  const strange = (endpoint: Endpoint, policy: TrafficPolicy): Reason | undefined => {
    if (policy === 'Local') return endpoint.node === place.node ? undefined : 'remote';
    if (hints === 'same-node') return endpoint.nodeHints.includes(place.node) ? undefined : 'other-node';
    if (hints === 'same-zone') return endpoint.zoneHints.includes(place.zone) ? undefined : 'other-zone';
    return undefined;
  };
  return {
    hints,
    hasAny: endpoints.some(({ state }) => state === 'ready' || state === 'draining'),
    Cluster: needsCluster ? choice(endpoints, (one) => strange(one, 'Cluster')) : undefined,
    Local: needsLocal ? choice(endpoints, (one) => strange(one, 'Local')) : undefined,
  };
}

/** Hints say nothing about endpoints that drain: where none is ready, none is strange to the policy Cluster. */
function choice(endpoints: readonly Endpoint[], strange: (endpoint: Endpoint) => Reason | undefined): Choice {
  const near = endpoints.filter((endpoint) => !strange(endpoint));
  const wanted: State = near.some(({ state }) => state === 'ready') ? 'ready' : 'draining';
  const backends: Endpoint[] = [];
  const leftOut: LeftOut[] = [];
  for (const endpoint of endpoints) {
    const { state } = endpoint;
    const why = strange(endpoint);
    const reason = why === 'remote' || state === 'ready' ? why : state;
    if (!why && state === wanted) backends.push(endpoint);
    else if (reason) leftOut.push({ endpoint, reason });
  }
  return { backends, leftOut };
}

/**
 * Asks the ready endpoints alone. One without a hint, or none with a hint for here, and the hint counts for nothing;
 * hints for nodes come before hints for zones.
 */
function hintsOf(endpoints: readonly Endpoint[], { node, zone }: Place): Hints {
  const ready = endpoints.filter(({ state }) => state === 'ready');
  if (ready.every(({ nodeHints, zoneHints }) => nodeHints.length + zoneHints.length === 0)) return 'none';
  const allForNodes = ready.every(({ nodeHints }) => nodeHints.length > 0);
  const allForZones = ready.every(({ zoneHints }) => zoneHints.length > 0);
  if (allForNodes && ready.some(({ nodeHints }) => nodeHints.includes(node))) return 'same-node';
  if (allForZones && ready.some(({ zoneHints }) => zoneHints.includes(zone))) return 'same-zone';
  if (!allForNodes && !allForZones) return 'incomplete';
  return allForZones && zone === '' ? 'node-without-zone' : 'not-for-here';
}
