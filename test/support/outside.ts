// A host outside the cluster, on the underlay of a lab.
import { joinUnderlay } from '../../src/lab/network.ts';
import { type Netns, netns } from './netns.ts';

/** IPv4 first. */
export const outsideIps = ['192.0.2.200', '2001:db8::200'] as const;

/** A network namespace with those addresses; the lab must be up. */
export async function outsideHost(): Promise<Netns> {
  const host = await netns('ow-outside');
  await joinUnderlay([{ name: 'outside', netns: host.name, ips: outsideIps }], 'default');
  return host;
}
