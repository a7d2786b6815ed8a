/**
 * Host ports: a port of the node that leads to one of a pod there, as container runtimes ask for it with the CNI
 * capability `portMappings` (https://www.cni.dev/plugins/current/meta/portmap/). Pure.
 *
 *     pod, its mappings ──┐
 *     node's addresses ───┴─► for each family one port with one endpoint, whatever its readiness
 */
import type { Protocol } from '../control/object-fields.ts';
import type { Address } from '../net/address.ts';
import { type Endpoint, socketText } from './endpoints.ts';
import type { ServicePort } from './ports.ts';

export interface HostPort {
  readonly protocol: Protocol;
  /** Of the node; an unspecified one stands for all of its family, undefined for all. */
  readonly hostIP?: Address | undefined;
  readonly hostPort: number;
  readonly containerPort: number;
}

/** A pod of this node that has host ports. */
export interface HostPortPod {
  /** `namespace/name`. */
  readonly key: string;
  readonly addresses: readonly Address[];
  readonly hostPorts: readonly HostPort[];
}

/** What a node knows of host ports; another object after each change. */
export interface HostPorts {
  readonly pods: readonly HostPortPod[];
  /** Of the node, beside those of its Node object. */
  readonly addresses: readonly Address[];
}

export const noHostPorts: HostPorts = { pods: [], addresses: [] };

/** A port with the only endpoint that it has. */
export interface MappedPort {
  readonly port: ServicePort;
  readonly endpoint: Endpoint;
}

/** What stands for a pod's host ports among the Services, whose keys have no blank. */
export const hostPortsKey = (pod: string): string => `pod ${pod}`;

export const isUnspecified = ({ text }: Address): boolean => text === '0.0.0.0' || text === '::';

/** Whether a host port answers at an address of its node. */
export const answersAt = ({ hostIP }: HostPort, address: Address): boolean =>
  !hostIP || (isUnspecified(hostIP) ? hostIP.family === address.family : hostIP.text === address.text);

/** Whether two host ports ask for the same address, protocol and port of their node. */
export function overlap(a: HostPort, b: HostPort): boolean {
  if (a.protocol !== b.protocol || a.hostPort !== b.hostPort) return false;
  if (!a.hostIP || !b.hostIP) return true;
  return answersAt(a, b.hostIP) || answersAt(b, a.hostIP);
}

/** As people write it: `TCP 8080`, `UDP [2001:db8::1]:53`. */
export const hostPortText = ({ protocol, hostIP, hostPort }: HostPort): string =>
  `${protocol} ${hostIP ? socketText(hostIP, hostPort) : hostPort}`;

/**
 * The ports of a pod, each in the families in which both the pod and the node have an address. An address that the node
 * does not have is no address at which a pod may answer.
 * @param addresses of the node
 */
export function mappedPorts(
  { key, addresses: own, hostPorts }: HostPortPod,
  node: string,
  addresses: readonly Address[],
): MappedPort[] {
  return hostPorts.flatMap((hostPort) =>
    ([4, 6] as const).flatMap((family): MappedPort[] => {
      const address = own.find((one) => one.family === family);
      const at = addresses.filter((one) => one.family === family && answersAt(hostPort, one));
      if (!address || at.length === 0) return [];
      const { protocol, hostIP, hostPort: number, containerPort } = hostPort;
      return [
        {
          port: {
            service: hostPortsKey(key),
            family,
            name: hostIP ? socketText(hostIP, number) : `${number}`,
            protocol,
            frontends: at.map((one) => ({ kind: 'host-port', address: one, port: number })),
            internalPolicy: 'Local',
            externalPolicy: 'Local',
            isExternal: false,
            affinitySeconds: undefined,
            sourceRanges: [],
          },
          endpoint: {
            key: socketText(address, containerPort),
            address,
            port: containerPort,
            node,
            pod: key,
            state: 'ready',
            zoneHints: [],
            nodeHints: [],
          },
        },
      ];
    }),
  );
}
