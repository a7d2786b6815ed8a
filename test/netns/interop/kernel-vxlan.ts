/** Linux's own VXLAN device as the foreign tunnel end: routed, with static entries, as flannel sets it up. */
import { must } from '../../support/run.ts';
import { far, ip, near, podMTU, type Side, vni } from './topology.ts';

/**
 * @param peer namespace with `under0` up and addressed
 * @param pod namespace of the pod behind it
 * @param family outer IP version
 */
export async function kernelVxlan(
  peer: string,
  pod: string,
  family: 4 | 6,
  [own, other]: readonly [Side, Side] = [far, near],
): Promise<void> {
  const outer = family === 4 ? 0 : 1;
  await must('ip', [
    'link',
    'add',
    'pod0',
    'netns',
    peer,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    pod,
  ]);
  await ip(
    peer,
    `link add vxlan0 address ${own.routerMAC} type vxlan id ${vni} local ${own.underlay[outer]} dstport 4789 nolearning`,
    `link set vxlan0 mtu ${podMTU} addrgenmode none up`,
    'link set pod0 addrgenmode none up',
    `address add fe80::1/64 dev pod0 nodad`,
    `address add fe80::2/64 dev vxlan0 nodad`,
    `route add ${own.pod[0]}/32 dev pod0`,
    `route add ${own.pod[1]}/128 dev pod0`,
    `neighbor add fe80::ffff lladdr ${other.routerMAC} dev vxlan0 nud permanent`,
    `route add ${other.podCIDRs[0]} via inet6 fe80::ffff dev vxlan0 src ${own.underlay[0]}`,
    `route add ${other.podCIDRs[1]} via fe80::ffff dev vxlan0`,
  );
  await must('bridge', [
    '-n',
    peer,
    'fdb',
    'append',
    other.routerMAC,
    'dev',
    'vxlan0',
    'dst',
    other.underlay[outer],
  ]);
  await must('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'], { netns: peer });
  await ip(
    pod,
    `link set eth0 mtu ${podMTU} addrgenmode none up`,
    `address add ${own.pod[0]}/32 dev eth0`,
    `address add ${own.pod[1]}/128 dev eth0 nodad`,
    'address add fe80::2/64 dev eth0 nodad',
    'route add 0.0.0.0/0 via inet6 fe80::1 dev eth0',
    'route add ::/0 via fe80::1 dev eth0',
  );
}
