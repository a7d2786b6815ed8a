/**
 * What a Service asks for, port by port and each address family by itself: where clients may knock, and under which
 * policies. Follows from the Service object and the node alone.
 */
import type { ClusterNode } from '../control/cluster.ts';
import type { Protocol } from '../control/object-fields.ts';
import type { ServiceObject } from '../control/services.ts';
import type { Address } from '../net/address.ts';
import type { Prefix } from '../net/prefix.ts';

/**
 * In the order in which one takes an address and port from another: those that the cluster gives come first, and what a
 * pod asks for of its node comes after all Services (CVE-2019-9946).
 */
export const frontendKinds = [
  'cluster-ip',
  'node-port',
  'load-balancer',
  'external-ip',
  'host-port',
] as const;

/** An address and port of a node or of a Service at which its clients knock. */
export interface Frontend {
  readonly kind: (typeof frontendKinds)[number];
  readonly address: Address;
  readonly port: number;
}

export type TrafficPolicy = 'Cluster' | 'Local';

/** One port of a Service in one family. */
export interface ServicePort {
  /** `namespace/name`; of a pod's host ports `pod namespace/name`. */
  readonly service: string;
  readonly family: 4 | 6;
  /** Empty where the only port has none. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly frontends: readonly Frontend[];
  /** For what comes to a cluster IP. */
  readonly internalPolicy: TrafficPolicy;
  /** For what comes from outside to any other frontend. */
  readonly externalPolicy: TrafficPolicy;
  /** Has a frontend that is no cluster IP. */
  readonly isExternal: boolean;
  /** How long a client stays with its endpoint; undefined: each connection may go to another. */
  readonly affinitySeconds: number | undefined;
  /** Who may use a load balancer's addresses, of both families; none: everybody. */
  readonly sourceRanges: readonly Prefix[];
}

/** Why a Service has no frontends. */
export type Passed = 'headless' | 'external-name' | 'no-cluster-ip' | 'other-proxy' | 'resolver';

/** As people read it. */
export const passedTexts: Readonly<Record<Passed, string>> = {
  headless: 'headless: DNS names its endpoints',
  'external-name': 'ExternalName: DNS gives the name',
  'no-cluster-ip': 'no cluster IP yet',
  resolver: "each node's own resolver answers at its cluster IPs (dns.service)",
  'other-proxy': 'left to the proxy that its label service.kubernetes.io/service-proxy-name names',
};

/** Its presence leaves the Service to the proxy that it names. */
export const PROXY_NAME = 'service.kubernetes.io/service-proxy-name';
/** sessionAffinityConfig.clientIP.timeoutSeconds. */
const AFFINITY_SECONDS = 10_800;

const families = [4, 6] as const;

/**
 * Undefined: it is for a proxy.
 * @param resolver key of the Service that the node's resolver stands for; undefined: there is none
 */
export function passedOver(
  { metadata, spec }: ServiceObject,
  resolver: string | undefined,
): Passed | undefined {
  if (`${metadata.namespace}/${metadata.name}` === resolver) return 'resolver';
  if (Object.hasOwn(metadata.labels, PROXY_NAME)) return 'other-proxy';
  if (spec.type === 'ExternalName') return 'external-name';
  const ips = allClusterIPs(spec);
  if (ips.includes('None')) return 'headless';
  return ips.some((ip) => typeof ip !== 'string') ? undefined : 'no-cluster-ip';
}

/**
 * @param node undefined: there is no such Node object, and node ports have no address
 * @param resolver as passedOver has it
 */
export function portsOf(
  object: ServiceObject,
  node: ClusterNode | undefined,
  resolver: string | undefined,
): ServicePort[] {
  if (passedOver(object, resolver)) return [];
  return families.flatMap((family) => {
    const clusterIP = allClusterIPs(object.spec).find((ip) => typeof ip !== 'string' && ip.family === family);
    return typeof clusterIP === 'object' ? portsIn(family, clusterIP, object, node) : [];
  });
}

function portsIn(
  family: 4 | 6,
  clusterIP: Address,
  { metadata, spec, status }: ServiceObject,
  node: ClusterNode | undefined,
): ServicePort[] {
  const isOurs = (address: Address) => address.family === family;
  const balancers = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) =>
    ip && ipMode !== 'Proxy' && isOurs(ip) ? [ip] : [],
  );
  // The API knows externalTrafficPolicy only where there is something external.
  const hasExternalPolicy = spec.type !== 'ClusterIP' || spec.externalIPs.length > 0;
  return spec.ports.map(({ name, protocol, port, nodePort }): ServicePort => {
    const at = (kind: Frontend['kind'], addresses: readonly Address[], number = port): Frontend[] =>
      addresses.map((address) => ({ kind, address, port: number }));
    const nodeAddresses = nodePort > 0 ? (node?.statusAddresses.filter(isOurs) ?? []) : [];
    const externalIPs = spec.externalIPs.filter(isOurs);
    return {
      service: `${metadata.namespace}/${metadata.name}`,
      family,
      name,
      protocol,
      frontends: [
        ...at('cluster-ip', [clusterIP]),
        ...at('node-port', nodeAddresses, nodePort),
        ...at('load-balancer', balancers),
        ...at('external-ip', externalIPs),
      ],
      internalPolicy: spec.internalTrafficPolicy,
      externalPolicy: hasExternalPolicy ? spec.externalTrafficPolicy : 'Cluster',
      isExternal: nodePort > 0 || balancers.length > 0 || externalIPs.length > 0,
      affinitySeconds:
        spec.sessionAffinity === 'ClientIP'
          ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SECONDS)
          : undefined,
      sourceRanges: spec.loadBalancerSourceRanges,
    };
  });
}

const allClusterIPs = ({ clusterIPs, clusterIP }: ServiceObject['spec']) =>
  clusterIPs && clusterIPs.length > 0 ? clusterIPs : clusterIP ? [clusterIP] : [];
