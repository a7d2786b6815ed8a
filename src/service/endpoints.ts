// The endpoints of a port, from all the EndpointSlices of its Service.
import { compare } from '../control/compare.ts';
import type { EndpointSliceObject } from '../control/services.ts';
import { type Address, parseAddress } from '../net/address.ts';
import type { ServicePort } from './ports.ts';

export interface Endpoint {
  /** `address:port`, an IPv6 address in brackets: no two endpoints of a port have the same. */
  readonly key: string;
  readonly address: Address;
  readonly port: number;
  /** Undefined: none that the cluster knows of. */
  readonly node: string | undefined;
  /** `namespace/name`. */
  readonly pod: string | undefined;
  readonly state: State;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
}

/**
 * What EndpointSlice conditions mean to a proxy (KEP-1669): `ready` is usable, `draining`, serving while it terminates,
 * where none is ready, and the others never.
 */
export type State = 'ready' | 'draining' | 'terminating' | 'not-ready';

type SlicePort = EndpointSliceObject['ports'][number];

const better: readonly State[] = ['ready', 'draining', 'terminating', 'not-ready'];

/** `address:port` as people write it. */
export const socketText = ({ family, text }: Address, port: number): string =>
  `${family === 6 ? `[${text}]` : text}:${port}`;

/**
 * In the order of their keys, each once. Slices may tell of an endpoint twice while it moves from one to another: what
 * the node itself has counts first, then the better state, then the slice whose name sorts first.
 * @param node the node that asks
 */
export function endpointsOf(
  { family, name, protocol }: Pick<ServicePort, 'family' | 'name' | 'protocol'>,
  slices: Iterable<EndpointSliceObject>,
  node: string,
): Endpoint[] {
  const type = family === 4 ? 'IPv4' : 'IPv6';
  const found = new Map<string, Endpoint>();
  const ordered = [...slices]
    .filter(({ addressType }) => addressType === type)
    .sort((a, b) => compare(a.metadata.name, b.metadata.name));
  for (const { ports, endpoints } of ordered) {
    for (const port of ports) {
      if (port.name !== name || port.protocol !== protocol || !port.port) continue;
      for (const endpoint of endpointsAt(port, endpoints)) {
        const known = found.get(endpoint.key);
        if (!known || isBetter(endpoint, known, node)) found.set(endpoint.key, endpoint);
      }
    }
  }
  return [...found.values()].sort((a, b) => compare(a.key, b.key));
}

function isBetter(one: Endpoint, known: Endpoint, node: string): boolean {
  const isLocal = one.node === node;
  if (isLocal !== (known.node === node)) return isLocal;
  return better.indexOf(one.state) < better.indexOf(known.state);
}

/** By port of a slice: slices are replaced, never changed, and of the many of a large Service one at a time. */
const made = new WeakMap<SlicePort, readonly Endpoint[]>();

function endpointsAt(port: SlicePort, endpoints: EndpointSliceObject['endpoints']): readonly Endpoint[] {
  const known = made.get(port);
  if (known) return known;
  const list = endpoints.flatMap((one) => endpointOf(one, port.port ?? 0) ?? []);
  made.set(port, list);
  return list;
}

/** Only the first address has a meaning. */
function endpointOf(
  { addresses, conditions, nodeName, targetRef, hints }: EndpointSliceObject['endpoints'][number],
  port: number,
): Endpoint | undefined {
  const address = parseAddress(addresses[0] ?? '');
  if (!address) return undefined;
  const { ready, serving, terminating } = conditions;
  return {
    key: socketText(address, port),
    address,
    port,
    node: nodeName ?? undefined,
    pod:
      targetRef?.kind === 'Pod' && targetRef.name
        ? `${targetRef.namespace ?? 'default'}/${targetRef.name}`
        : undefined,
    state: ready ? 'ready' : !terminating ? 'not-ready' : serving ? 'draining' : 'terminating',
    zoneHints: hints?.forZones ?? [],
    nodeHints: hints?.forNodes ?? [],
  };
}
