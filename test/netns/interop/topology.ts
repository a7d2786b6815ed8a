/**
 * One Overweft node and one foreign tunnel end, joined by a veth:
 *
 *     owi-pod ── owi-node ══ under0 ═══ under0 ══ owi-peer ── owi-far
 *               (Overweft)                       (kernel, Open vSwitch, a packet builder)
 *
 * Both sides name their router by a MAC that the other side is configured with.
 */
import type { TunnelEnd } from '../../../src/bench/peers/kernel-vxlan.ts';
import { must } from '../../support/run.ts';

export const near: TunnelEnd = {
  underlay: ['192.0.2.1', '2001:db8::1'],
  pod: ['10.244.1.2', 'fd00:244:1::2'],
  podCIDRs: ['10.244.1.0/24', 'fd00:244:1::/64'],
  routerMAC: '02:00:00:00:01:01',
};

export const far: TunnelEnd = {
  underlay: ['192.0.2.2', '2001:db8::2'],
  pod: ['10.244.2.2', 'fd00:244:2::2'],
  podCIDRs: ['10.244.2.0/24', 'fd00:244:2::/64'],
  routerMAC: '02:00:00:00:02:02',
};

export const vni = 4711;
/** MTU of the pods: what VXLAN and GENEVE without options leave of 1500. */
export const podMTU = { 4: 1450, 6: 1430 } as const;

/** Runs lines of `ip` inside a network namespace. */
const ip = (netns: string, ...lines: string[]): Promise<string> =>
  must('ip', ['-n', netns, '-batch', '-'], { input: `${lines.join('\n')}\n` });

/** The underlay between two namespaces; the second end gets its addresses only where it is to have them. */
export async function joinUnderlay(
  first: string,
  second: string,
  secondHasAddresses: boolean,
): Promise<void> {
  await must('ip', [
    'link',
    'add',
    'under0',
    'netns',
    first,
    'type',
    'veth',
    'peer',
    'name',
    'under0',
    'netns',
    second,
  ]);
  for (const [netns, side] of [
    [first, near],
    [second, far],
  ] as const) {
    await ip(netns, 'link set under0 addrgenmode none up');
    if (netns === first || secondHasAddresses) await ip(netns, ...addresses(side.underlay, 'under0'));
  }
}

/** Lines that give a link its IPv4 /24 and IPv6 /64. */
const addresses = ([four, six]: readonly [string, string], link: string): string[] => [
  `address add ${four}/24 dev ${link}`,
  `address add ${six}/64 dev ${link} nodad`,
];
