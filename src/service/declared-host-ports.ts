// Host ports as Pod objects ask for them: what a kubelet there hands on to the container runtime, and it to CNI.
import type { Cluster } from '../control/cluster.ts';
import type { Objects } from '../control/objects.ts';
import { parseAddress } from '../net/address.ts';
import type { HostPort, HostPortPod, HostPorts } from './host-ports.ts';

/** @param node whose pods are asked for */
export function declaredHostPorts({ pods }: Objects, cluster: Cluster, node: string): HostPorts {
  const found = pods.flatMap(({ metadata, spec }): HostPortPod[] => {
    const key = `${metadata.namespace}/${metadata.name}`;
    const live = cluster.pods.get(key);
    if (live?.node !== node) return [];
    const hostPorts = (spec?.containers ?? []).flatMap(({ ports }) =>
      (ports ?? []).flatMap(({ hostPort, hostIP, containerPort, protocol }): HostPort[] => {
        const address = parseAddress(hostIP ?? '');
        if (!hostPort || (hostIP && !address)) return [];
        return [{ protocol, ...(address && { hostIP: address }), hostPort, containerPort }];
      }),
    );
    return hostPorts.length === 0 ? [] : [{ key, addresses: live.addresses, hostPorts }];
  });
  return { pods: found, addresses: [] };
}
