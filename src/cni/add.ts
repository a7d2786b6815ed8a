/**
 * ADD: a pod gets addresses, its interface, and an answer when its packets flow under the policies that hold for it.
 *
 *     known? ──► addresses, recorded ──► TAP, tables ──► routes ──► result
 *                      └───────────── undone ◄──────────────┘ whatever fails
 */
import type { Config } from '../config/schema.ts';
import { addressesOf, objectOf } from '../control/pods.ts';
import { PortError } from '../daemon/ports/ports.ts';
import { gateway4, gateway6 } from '../dataplane/tables.ts';
import { ipBatch } from '../host/iproute.ts';
import { namespaceId } from '../host/netns.ts';
import { AddressError } from '../ipam/error.ts';
import type { Attachment, Owner } from '../ipam/ledger.ts';
import type { Address } from '../net/address.ts';
import { contains } from '../net/prefix.ts';
import { bandwidthOf } from './bandwidth.ts';
import { type AddCall, isDelegated, readDelegated, requestedIps } from './call.ts';
import { CniError, codes } from './error.ts';
import type { CniParts } from './parts.ts';
import { hostPortsOf, requireFamilies, requireFreeHostPorts, requireNoTunnelPorts } from './port-mappings.ts';
import { release } from './release.ts';
import { type DelegatedRoute, dnsOf, ownDns, type ReadResult, resultOf } from './result.ts';
import { refuseUnbuilt } from './unbuilt.ts';

/** How long a pod's object may be on its way from the store. */
const OBJECT_PATIENCE_MS = 10_000;

/** resolv.conf has no place for another. */
const DNS_PORT = 53;

/**
 * What can be known before an address is handed out.
 * @throws CniError
 */
export function refuse(call: AddCall, { config: own, ledger, ports }: CniParts): void {
  const { config, netns, containerId } = call;
  refuseUnbuilt(config);
  const hostPorts = hostPortsOf(config);
  requireNoTunnelPorts(hostPorts, own);
  requireFreeHostPorts(hostPorts, call.identity, ledger);
  if (namespaceId(netns) === undefined) {
    throw new CniError(codes.invalidEnvironment, `CNI_NETNS: ${netns} does not exist`);
  }
  const before = (config.prevResult?.interfaces ?? []).find(
    ({ name, sandbox }) => name === call.interface && sandbox === netns,
  );
  if (before) {
    throw new CniError(
      codes.interfaceExists,
      `${call.interface} was made by a plugin before this one`,
      "Overweft makes the pod's interface itself: it must stand before such a plugin, or alone",
    );
  }
  if (ledger.find(containerId, call.interface) || ports.at(netns, call.interface)) throw exists(call);
  const other = ledger.attachments.find((one) => one.containerId === containerId);
  if (other) {
    throw new CniError(
      codes.invalidConfig,
      `CNI_IFNAME: ${call.interface}: the container has ${other.interface} on Overweft already`,
      'a pod has one interface on Overweft',
    );
  }
}

/**
 * @returns the result as the runtime reads it
 * @throws CniError; nothing is left of the attempt
 */
export async function add(call: AddCall, parts: CniParts): Promise<object> {
  refuse(call, parts);
  const { controller, ports, log } = parts;
  const { config, netns, identity } = call;
  const preferred = await addressesOfObject(call, parts);
  const delegated = call.delegate && readDelegated(call.delegate, config.ipam?.type);
  const attachment = record(call, parts, preferred, delegated);
  try {
    requireFamilies(attachment.hostPorts, attachment.addresses);
    const place = { netns, interface: call.interface, namespace: identity.namespace, pod: identity.pod };
    const { mac, addresses } = attachment;
    const bandwidth = bandwidthOf(config.runtimeConfig?.bandwidth);
    const port = await ports.attach(place, controller, { mac, addresses, bandwidth, exclusive: true });
    requireWayIn(attachment, parts);
    const routes = furtherRoutes(delegated);
    await ipBatch(
      routes.map((route) => routeLine(route, call.interface)),
      { netns },
    );
    const made = {
      interface: call.interface,
      netns,
      mac: port.mac,
      mtu: controller.live?.interfaceMtu ?? 0,
      addresses,
      routes,
      dns: dnsOf(
        config.runtimeConfig?.dns,
        config.dns,
        delegated?.dns,
        resolverFor(call, addresses, parts.config),
      ),
    };
    return resultOf(made, config.cniVersion, call.previous);
  } catch (error) {
    const port = ports.at(netns, call.interface);
    if (port?.pod === identity.pod && port.namespace === identity.namespace)
      await ports.detach(`${port.namespace}/${port.pod}`, controller);
    await release(attachment, parts);
    log.warn({ err: error, pod: `${identity.namespace}/${identity.pod}` }, 'ADD is undone');
    throw asCniError(error, call, controller.fault);
  }
}

/** The node's resolver, where resolv.conf can lead to it and no plugin before has named another. */
function resolverFor({ config, identity }: AddCall, addresses: readonly Address[], { dns }: Config) {
  const isNamed = (config.prevResult?.dns?.nameservers ?? []).length > 0;
  if (!dns || dns.port !== DNS_PORT || isNamed) return undefined;
  return ownDns(dns, identity.namespace, new Set(addresses.map(({ family }) => family)));
}

/** Waits until it is known which policies hold for the pod. */
async function addressesOfObject({ identity }: AddCall, parts: CniParts): Promise<readonly Address[]> {
  const { controller, store, config } = parts;
  const pod = { ...identity, name: identity.pod, node: config.node };
  const patience = config.cni.unknownPods === 'admit' ? 0 : OBJECT_PATIENCE_MS;
  const known = await controller.waitFor(() => {
    const { objects } = store.state;
    return objects && objectOf(objects, pod);
  }, patience);
  if (known) return addressesOf(known);
  if (!store.state.objects) {
    throw new CniError(codes.tryAgainLater, 'no good cluster state has been read from the store yet');
  }
  if (config.cni.unknownPods === 'admit') return [];
  const uid = identity.uid === undefined ? '' : ` and UID ${identity.uid}`;
  throw new CniError(
    codes.tryAgainLater,
    `Pod ${identity.namespace}/${identity.pod}: the store has no such object for this node yet`,
    `must be a live Pod with spec.nodeName ${config.node}${uid}, off the host network; where nobody describes pods, ` +
      'cni.unknownPods: admit in the daemon’s configuration lets them in without labels',
  );
}

function record(
  call: AddCall,
  { controller, ledger, config }: CniParts,
  preferred: readonly Address[],
  delegated: ReadResult | undefined,
): Attachment {
  const { namespace, pod, uid } = call.identity;
  const id = namespaceId(call.netns);
  const desired = controller.desired();
  if (id === undefined || !desired) throw new CniError(codes.tryAgainLater, `${call.netns} is gone`);
  const owner: Owner = ({ text }) => {
    const endpoint = desired.endpoints.get(text);
    if (!endpoint || !('pod' in endpoint)) return endpoint && `node ${endpoint.node}`;
    return endpoint.pod.key === `${namespace}/${pod}` ? undefined : `pod ${endpoint.pod.key}`;
  };
  const hostPorts = hostPortsOf(call.config);
  // Others may have come while this one waited.
  requireFreeHostPorts(hostPorts, call.identity, ledger);
  const who = {
    network: call.config.name,
    containerId: call.containerId,
    interface: call.interface,
    namespace,
    pod,
    ...(uid !== undefined && { uid }),
    netns: call.netns,
    namespaceId: id,
    ...(call.config.runtimeConfig?.mac && { mac: call.config.runtimeConfig.mac }),
    hostPorts,
  };
  try {
    if (delegated) {
      const addresses = (delegated.ips ?? []).map(({ address }) => address);
      requireReachable(addresses, config);
      return ledger.record({ ...who, addresses }, owner);
    }
    const { podCIDRs: blocks } = desired.node;
    if (blocks.length === 0) {
      throw new CniError(codes.tryAgainLater, `Node ${config.node}: has no podCIDRs yet`);
    }
    return ledger.reserve(who, { blocks, requested: requestedIps(call.config), preferred, owner });
  } catch (error) {
    throw asCniError(error, call, undefined);
  }
}

/** Host ports that nobody outside could reach must not seem to be there. */
function requireWayIn({ hostPorts }: Attachment, { outside }: CniParts): void {
  const { fault } = outside.state.divert;
  if (hostPorts.length === 0 || fault === null) return;
  throw new CniError(
    codes.tryAgainLater,
    'runtimeConfig.portMappings: host ports cannot be opened on this node',
    fault,
  );
}

/** An address outside would be the pod's own secret: nobody sends there through the data path. */
function requireReachable(addresses: readonly Address[], { podNetwork }: Config): void {
  const { clusterCIDRs } = podNetwork;
  if (addresses.length === 0)
    throw new CniError(codes.invalidConfig, 'ipam.type: the plugin has given no address');
  const stranger = addresses.find((address) => !clusterCIDRs.some((block) => contains(block, address)));
  if (!stranger) return;
  throw new CniError(
    codes.invalidConfig,
    `ipam: ${stranger.text} is no address of the pod network`,
    `must lie in podNetwork.clusterCIDRs: ${clusterCIDRs.map(({ text }) => text).join(', ')}`,
  );
}

/** Every pod has a default route; what else the IPAM plugin wants leads the same way. */
const furtherRoutes = (delegated: ReadResult | undefined): readonly DelegatedRoute[] =>
  (delegated?.routes ?? []).filter(
    ({ dst, mtu, advmss, priority, table }) => dst.length > 0 || mtu || advmss || priority || table,
  );

function routeLine({ dst, mtu, advmss, priority, table }: DelegatedRoute, device: string): string {
  const gateway = dst.address.family === 4 ? gateway4 : gateway6;
  const options = Object.entries({ table, metric: priority, mtu, advmss }).map(([name, value]) =>
    value ? ` ${name} ${value}` : '',
  );
  return `route replace ${dst.text} via ${gateway.text} dev ${device} onlink${options.join('')}`;
}

const exists = ({ netns, interface: name }: AddCall) =>
  new CniError(codes.interfaceExists, `${name} exists already in ${netns}`, 'DEL takes it away');

const addressCodes: Record<AddressError['reason'], number> = {
  'used up': codes.addressesUsedUp,
  resting: codes.tryAgainLater,
  taken: codes.addressTaken,
  unusable: codes.invalidConfig,
};

/** @param fault why the newest tables are not live */
function asCniError(error: unknown, call: AddCall, fault: string | undefined): CniError {
  if (error instanceof CniError) return error;
  const { message } = error as Error;
  if (error instanceof AddressError) return new CniError(addressCodes[error.reason], message);
  if (error instanceof PortError) {
    return new CniError(error.status === 507 ? codes.portsUsedUp : codes.tryAgainLater, message);
  }
  if ((error as NodeJS.ErrnoException).code === 'EEXIST') return exists(call);
  if (fault !== undefined) {
    return new CniError(codes.tryAgainLater, "the pod's tables cannot be made live", message);
  }
  return new CniError(codes.internal, message);
}

/** Whether the daemon needs the IPAM plugin's answer first. */
export const needsDelegate = ({ config, delegate }: AddCall): boolean =>
  isDelegated(config) && delegate === undefined;
