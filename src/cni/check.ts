// CHECK and STATUS: whether a pod's network is as ADD left it, and whether another ADD could succeed.
import { isDeepStrictEqual } from 'node:util';
import { DIVERT_TABLE } from '../daemon/outside/divert-rules.ts';
import { ipQuery } from '../host/iproute.ts';
import { namespaceId } from '../host/netns.ts';
import type { Attachment } from '../ipam/ledger.ts';
import { parseAddress } from '../net/address.ts';
import { type HostPort, hostPortsKey, hostPortText } from '../service/host-ports.ts';
import { bandwidthOf } from './bandwidth.ts';
import { type CheckCall, isDelegated, type NetworkConfig } from './call.ts';
import { CniError, codes } from './error.ts';
import type { CniParts } from './parts.ts';
import { hostPortsOf } from './port-mappings.ts';
import type { ReadResult } from './result.ts';

/** How long tables may take to follow a change of the cluster. */
const CONVERGENCE_MS = 2_000;

const wrong = (message: string) => new CniError(codes.notAsAdded, message);

/** @throws CniError naming what is not as ADD left it, or later plugins of the chain say */
export async function check(call: CheckCall, parts: CniParts): Promise<void> {
  const { config, netns, interface: name } = call;
  const { ledger, ports, controller } = parts;
  const { prevResult } = config;
  if (!prevResult) throw new CniError(codes.invalidConfig, 'prevResult: missing: CHECK compares with it');
  const attachment = ledger.find(call.containerId, name);
  if (!attachment) {
    throw new CniError(codes.unknownContainer, `${call.containerId} has no ${name} on this node`);
  }
  if (namespaceId(netns) !== attachment.namespaceId) {
    throw wrong(`CNI_NETNS: ${netns} is not the namespace in which ADD made ${name}`);
  }
  const port = ports.at(netns, name);
  if (!port) throw wrong(`${name} is attached to no port of the data path`);
  const asked = config.runtimeConfig?.bandwidth;
  if (asked && !isDeepStrictEqual(bandwidthOf(asked), port.bandwidth))
    throw wrong(`runtimeConfig.bandwidth: ${name} has other rates`);
  const key = `${attachment.namespace}/${attachment.pod}`;
  const isLive = await controller.waitFor(() => {
    const addresses = controller.live?.desired.localPods.get(key)?.addresses.map(({ text }) => text);
    return attachment.addresses.every(({ text }) => addresses?.includes(text)) || undefined;
  }, CONVERGENCE_MS);
  if (!isLive) throw wrong(`Pod ${key}: its addresses are not in the live tables`);
  await checkHostPorts(attachment, config, parts);
  await checkInside(netns, name, prevResult);
}

async function checkHostPorts(
  { namespace, pod, hostPorts }: Attachment,
  config: NetworkConfig,
  { controller, outside }: CniParts,
): Promise<void> {
  const texts = (list: readonly HostPort[]) =>
    list.map((one) => `${hostPortText(one)} ${one.containerPort}`).sort();
  if (config.runtimeConfig?.portMappings && !isDeepStrictEqual(texts(hostPortsOf(config)), texts(hostPorts)))
    throw wrong(`runtimeConfig.portMappings: ADD has mapped ${texts(hostPorts).join(', ') || 'none'}`);
  if (hostPorts.length === 0) return;
  const key = `${namespace}/${pod}`;
  const mapped = controller.live?.desired.services.services.get(hostPortsKey(key));
  if (!mapped) throw wrong(`Pod ${key}: its host ports are not in the live tables`);
  if (!(await outside.leads(mapped)))
    throw wrong(`Pod ${key}: its host ports are not in the sets of nftables' table ${DIVERT_TABLE}`);
}

async function checkInside(netns: string, name: string, expected: ReadResult): Promise<void> {
  const [links, routes4, routes6] = await Promise.all([
    ipQuery([`address show dev ${name}`], { netns }),
    ipQuery([`route show table all dev ${name}`], { netns, family: 4 }),
    ipQuery([`route show table all dev ${name}`], { netns, family: 6 }),
  ]);
  const link = links[0] as
    | { address: string; flags: string[]; addr_info: { local?: string; prefixlen?: number }[] }
    | undefined;
  if (!link) throw wrong(`${name} is missing in ${netns}`);
  if (!link.flags.includes('UP')) throw wrong(`${name} is down`);
  const index = (expected.interfaces ?? []).findIndex((one) => one.name === name && one.sandbox === netns);
  const listed = expected.interfaces?.[index];
  if (!listed) throw new CniError(codes.invalidConfig, `prevResult.interfaces: has no ${name} in ${netns}`);
  if (listed.mac && listed.mac.toLowerCase() !== link.address) {
    throw wrong(`${name} has the MAC ${link.address} and not ${listed.mac}`);
  }
  const there = new Set(link.addr_info.map(({ local }) => parseAddress(local ?? '')?.text));
  for (const { address, interface: at } of expected.ips ?? []) {
    if ((at ?? index) === index && !there.has(address.text)) throw wrong(`${name} lacks ${address.text}`);
  }
  const own = new Set([...routes4, ...routes6].map(({ dst, gateway }) => `${dst} ${gateway}`));
  for (const { dst, gw } of expected.routes ?? []) {
    // A route by another way is another plugin's.
    if (gw !== '169.254.1.1' && gw !== 'fe80::1') continue;
    const text = dst.length === 0 ? 'default' : dst.text;
    if (!own.has(`${text} ${gw}`) && !own.has(`${dst.address.text} ${gw}`))
      throw wrong(`the route to ${dst.text} through ${name} is missing`);
  }
}

/** @throws CniError saying why no ADD can succeed now */
export function status(config: NetworkConfig, { controller, ledger, ports }: CniParts): void {
  const desired = controller.desired();
  if (!controller.live || !desired) {
    const reason = controller.fault ?? 'no good cluster state has been read from the store yet';
    throw new CniError(codes.limitedConnectivity, 'no tables are live', reason);
  }
  if (ports.free === 0) throw new CniError(codes.unavailable, 'no port is free for another pod');
  if (isDelegated(config)) return;
  const { podCIDRs, name } = desired.node;
  if (podCIDRs.length === 0) throw new CniError(codes.unavailable, `Node ${name}: has no podCIDRs`);
  const fault = ledger.fault(podCIDRs, ({ text }) => (desired.endpoints.has(text) ? 'another' : undefined));
  if (fault) throw new CniError(codes.unavailable, fault.message);
}
