/**
 * What of the cluster's objects has names, as small as it can be told to another thread. Pure.
 *
 *     ObjectChanges ─► NameChanges ─ message ─► Zone
 */
import type { ObjectChanges } from '../control/changes.ts';
import type { Protocol } from '../control/object-fields.ts';
import type { PodObject } from '../control/objects.ts';
import type { EndpointSliceObject, ServiceObject } from '../control/services.ts';
import { parseAddress } from '../net/address.ts';
import { dashed } from './names.ts';

interface NamedPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}

export interface NamedService {
  readonly kind: 'cluster-ip' | 'headless' | 'external';
  /** Cluster IPs. */
  readonly addresses: readonly string[];
  /** Those that have a name. */
  readonly ports: readonly NamedPort[];
  /** Of an ExternalName Service; otherwise empty. */
  readonly target: string;
  /** Whether an endpoint counts that is not ready. */
  readonly isEveryEndpointReady: boolean;
}

export interface NamedSlice {
  /** `namespace/name`. */
  readonly service: string;
  /** Those that have a name. */
  readonly ports: readonly NamedPort[];
  readonly endpoints: readonly {
    readonly address: string;
    /** Its own, or else its address in a label. */
    readonly hostname: string;
    readonly ready: boolean;
  }[];
}

export interface NamedPod {
  readonly namespace: string;
  readonly addresses: readonly string[];
}

/** New ones by key; undefined: gone. */
export interface NameChanges {
  readonly namespaces: ReadonlyMap<string, true | undefined>;
  readonly services: ReadonlyMap<string, NamedService | undefined>;
  readonly slices: ReadonlyMap<string, NamedSlice | undefined>;
  readonly pods: ReadonlyMap<string, NamedPod | undefined>;
}

/** @param withPods whether names of pods are asked of Pod objects */
export function nameChanges(
  { namespaces, services, slices, pods }: ObjectChanges,
  withPods: boolean,
): NameChanges {
  return {
    namespaces: mapped(namespaces, () => true),
    services: mapped(services, serviceNames),
    slices: mapped(slices, sliceNames),
    pods: withPods ? mapped(pods, podNames) : new Map(),
  };
}

export const isEmpty = ({ namespaces, services, slices, pods }: NameChanges): boolean =>
  namespaces.size + services.size + slices.size + pods.size === 0;

const mapped = <From, To>(
  changes: ReadonlyMap<string, From | undefined>,
  convert: (object: From) => To | undefined,
): Map<string, To | undefined> =>
  new Map([...changes].map(([key, object]) => [key, object === undefined ? undefined : convert(object)]));

function serviceNames({ spec }: ServiceObject): NamedService {
  const ips = spec.clusterIPs?.length ? spec.clusterIPs : [spec.clusterIP ?? ''];
  return {
    kind: spec.type === 'ExternalName' ? 'external' : ips.includes('None') ? 'headless' : 'cluster-ip',
    addresses: ips.flatMap((ip) => (typeof ip === 'string' ? [] : [ip.text])),
    ports: spec.ports.filter(({ name }) => name !== '').map(namedPort),
    target: spec.externalName ?? '',
    isEveryEndpointReady: spec.publishNotReadyAddresses ?? false,
  };
}

const namedPort = ({
  name,
  protocol,
  port,
}: {
  name: string;
  protocol: Protocol;
  port: number;
}): NamedPort => ({
  name,
  protocol,
  port,
});

function sliceNames({
  metadata,
  addressType,
  ports,
  endpoints,
}: EndpointSliceObject): NamedSlice | undefined {
  const service = metadata.labels['kubernetes.io/service-name'];
  if (!service || addressType === 'FQDN') return undefined;
  return {
    service: `${metadata.namespace}/${service}`,
    ports: ports.flatMap(({ name, protocol, port }) => (name && port ? [{ name, protocol, port }] : [])),
    endpoints: endpoints.flatMap(({ addresses, hostname, conditions }) =>
      addresses.flatMap((text) => {
        const address = parseAddress(text);
        if (!address) return [];
        return [{ address: address.text, hostname: hostname || dashed(address), ready: conditions.ready }];
      }),
    ),
  };
}

/** A pod that has ended has no names. */
function podNames({ metadata, status }: PodObject): NamedPod | undefined {
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined;
  const addresses = status?.podIPs?.map(({ ip }) => ip) ?? (status?.podIP ? [status.podIP] : []);
  return { namespace: metadata.namespace, addresses: addresses.map(({ text }) => text) };
}
