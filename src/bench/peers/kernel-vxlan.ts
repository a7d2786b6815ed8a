/** Linux's own VXLAN device between two nodes: routed, with static entries, as flannel sets it up. */

import { release } from 'node:os';
import { run } from '../../host/command.ts';
import { ipBatch } from '../../host/iproute.ts';
import { inside, netnsFile } from '../../host/netns.ts';
import type { Peer } from '../contestant.ts';
import type { BenchNode } from '../nodes.ts';

/** One end of a tunnel. */
export interface TunnelEnd {
  /** Underlay, IPv4 and IPv6. */
  readonly underlay: readonly [string, string];
  /** The one pod behind it. */
  readonly pod: readonly [string, string];
  readonly podCIDRs: readonly [string, string];
  /** MAC of the router behind which the pods are. */
  readonly routerMAC: string;
}

export interface Vxlan {
  readonly vni: number;
  readonly port: number;
  /** Outer IP version. */
  readonly family: 4 | 6;
  /** Of the pods. */
  readonly mtu: number;
}

/**
 * Makes a VXLAN device in a node and connects a pod to it.
 * @param node namespace whose underlay interface is up and addressed
 * @param pod namespace, without interfaces
 */
export async function kernelVxlan(
  node: string,
  pod: string,
  own: TunnelEnd,
  other: TunnelEnd,
  { vni, port, family, mtu }: Vxlan,
): Promise<void> {
  const outer = family === 4 ? 0 : 1;
  await ipBatch([`link add pod0 netns ${node} type veth peer name eth0 netns ${pod}`]);
  await ipBatch(
    [
      `link add vxlan0 address ${own.routerMAC} type vxlan id ${vni} local ${own.underlay[outer]} dstport ${port} nolearning`,
      `link set vxlan0 mtu ${mtu} addrgenmode none up`,
      'link set pod0 addrgenmode none up',
      'address add fe80::1/64 dev pod0 nodad',
      'address add fe80::2/64 dev vxlan0 nodad',
      `route add ${own.pod[0]}/32 dev pod0`,
      `route add ${own.pod[1]}/128 dev pod0`,
      `neighbor add fe80::ffff lladdr ${other.routerMAC} dev vxlan0 nud permanent`,
      `route add ${other.podCIDRs[0]} via inet6 fe80::ffff dev vxlan0 src ${own.underlay[0]}`,
      `route add ${other.podCIDRs[1]} via fe80::ffff dev vxlan0`,
    ],
    { netns: netnsFile(node) },
  );
  const entry = ['fdb', 'append', other.routerMAC, 'dev', 'vxlan0', 'dst', other.underlay[outer]];
  await run('bridge', ['-n', node, ...entry]);
  const forwarding = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];
  await run(...inside(netnsFile(node), 'sysctl', ['-qw', ...forwarding]));
  await ipBatch(
    [
      `link set eth0 mtu ${mtu} addrgenmode none up`,
      `address add ${own.pod[0]}/32 dev eth0`,
      `address add ${own.pod[1]}/128 dev eth0 nodad`,
      'address add fe80::2/64 dev eth0 nodad',
      'route add 0.0.0.0/0 via inet6 fe80::1 dev eth0',
      'route add ::/0 via fe80::1 dev eth0',
    ],
    { netns: netnsFile(pod) },
  );
}

/** flannel's port, and its way to set the device up. */
const peerTunnel = { vni: 1, port: 8472 } as const;
const peerMTU = { ipv4: 1450, ipv6: 1430 } as const;

export const kernelVxlanPeer: Peer = {
  title: 'kernel VXLAN',
  encrypts: false,
  version: async () => `Linux ${release()}`,
  obtain: 'the module vxlan',
  connect: async ([first, second], { underlay }) => {
    const end = ({ underlay: addresses, pod, podCIDRs }: BenchNode, i: number): TunnelEnd => ({
      underlay: addresses,
      pod,
      podCIDRs,
      routerMAC: `02:00:00:00:0${i}:02`,
    });
    const [own, other] = [end(first, 1), end(second, 2)];
    const vxlan = { ...peerTunnel, family: underlay === 'ipv4' ? 4 : 6, mtu: peerMTU[underlay] } as const;
    await kernelVxlan(first.netns, first.podNetns, own, other, vxlan);
    await kernelVxlan(second.netns, second.podNetns, other, own, vxlan);
  },
};
