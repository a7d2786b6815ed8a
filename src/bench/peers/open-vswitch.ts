/**
 * Open vSwitch's userspace datapath: no kernel module, databases and sockets in a folder of its own, everything inside
 * one network namespace.
 *
 *     eth0 (pod) ── pod0 ─ br-pods ─ tun0 (geneve or vxlan) ╌╌ br-phy (has the underlay address) ─ under0
 *
 * It switches: pods ask for each other by ARP and ND, and the far end answers through the tunnel.
 */
import { mkdirSync } from 'node:fs';
import { CommandError, run } from '../../host/command.ts';
import { ipBatch } from '../../host/iproute.ts';
import { inside, netnsFile } from '../../host/netns.ts';
import { LabError } from '../../lab/outcome.ts';
import type { Peer } from '../contestant.ts';
import type { Ground } from '../ground.ts';
import type { TunnelEnd } from './kernel-vxlan.ts';

const schema = '/usr/share/openvswitch/vswitch.ovsschema';

export interface SwitchedTunnel {
  readonly type: 'geneve' | 'vxlan';
  readonly vni: number;
  /** Outer IP version. */
  readonly family: 4 | 6;
  /** Of the pods. */
  readonly mtu: number;
}

/**
 * Connects a pod to one end of a tunnel.
 * @param node namespace whose underlay interface is up; the interface loses its addresses to the switch
 * @param pod namespace, without interfaces
 */
export async function openVswitch(
  node: string,
  pod: string,
  own: TunnelEnd,
  other: TunnelEnd,
  tunnel: SwitchedTunnel,
  ground: Pick<Ground, 'directory' | 'start'>,
): Promise<void> {
  const directory = `${ground.directory}/${node}`;
  mkdirSync(directory);
  const database = `unix:${directory}/db.sock`;
  const start = (command: string, ...args: string[]) =>
    ground.start(node, command, [`--unixctl=${directory}/${command}.ctl`, ...args], {
      OVS_RUNDIR: directory,
      OVS_LOGDIR: directory,
      OVS_DBDIR: directory,
    });
  const vsctl = (...args: string[]) =>
    run('ovs-vsctl', [`--db=${database}`, '--retry', '--timeout=10', ...args]);

  await run('ovsdb-tool', ['create', `${directory}/conf.db`, schema]);
  start('ovsdb-server', `--remote=p${database}`, `${directory}/conf.db`);
  await vsctl('--no-wait', 'init');
  start('ovs-vswitchd', '--disable-system', database);

  await ipBatch([`link add pod0 netns ${node} type veth peer name eth0 netns ${pod}`]);
  await ipBatch(['link set pod0 addrgenmode none up', 'address flush dev under0'], {
    netns: netnsFile(node),
  });
  const remote = other.underlay[tunnel.family === 4 ? 0 : 1];
  await vsctl(
    ...['add-br', 'br-phy', '--', 'set', 'bridge', 'br-phy', 'datapath_type=netdev', '--'],
    ...['add-port', 'br-phy', 'under0', '--'],
    ...['add-br', 'br-pods', '--', 'set', 'bridge', 'br-pods', 'datapath_type=netdev', '--'],
    ...['add-port', 'br-pods', 'pod0', '--', 'add-port', 'br-pods', 'tun0', '--'],
    ...[
      'set',
      'interface',
      'tun0',
      `type=${tunnel.type}`,
      `options:remote_ip=${remote}`,
      `options:key=${tunnel.vni}`,
    ],
  );
  await ipBatch(
    [
      'link set br-phy addrgenmode none up',
      `address add ${own.underlay[0]}/24 dev br-phy`,
      `address add ${own.underlay[1]}/64 dev br-phy nodad`,
    ],
    { netns: netnsFile(node) },
  );
  await ipBatch(
    [
      `link set eth0 address ${own.routerMAC} mtu ${tunnel.mtu} addrgenmode none up`,
      `address add ${own.pod[0]}/16 dev eth0`,
      `address add ${own.pod[1]}/32 dev eth0 nodad`,
    ],
    { netns: netnsFile(pod) },
  );
  // A packet socket without vnet header would cut superframes short.
  await run(...inside(netnsFile(pod), 'ethtool', ['-K', 'eth0', 'tso', 'off', 'gso', 'off']));
  await routesKnown(`${directory}/ovs-vswitchd.ctl`, own);
}

/** Open vSwitch learns the kernel's routes a moment after the addresses are there; until then it drops. */
async function routesKnown(control: string, own: TunnelEnd): Promise<void> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const routes = await run('ovs-appctl', ['-t', control, 'ovs/route/show']);
    if (own.underlay.every((address) => routes.includes(address))) return;
    if (Date.now() > deadline) throw new LabError(`Open vSwitch does not know its routes:\n${routes}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const vni = 1;
const podMTU = { ipv4: 1450, ipv6: 1430 } as const;

export const openVswitchPeer: Peer = {
  title: 'Open vSwitch, userspace',
  encrypts: false,
  version: async () => {
    try {
      return (await run('ovs-vswitchd', ['--version'])).split('\n')[0] ?? '';
    } catch (error) {
      if (error instanceof CommandError) return null;
      throw error;
    }
  },
  obtain: 'Debian package openvswitch-switch',
  connect: async (nodes, { encapsulation, underlay }, ground) => {
    const [first, second] = nodes.map((node, index) => ({
      ...node,
      routerMAC: `02:00:00:00:0${index + 1}:03`,
    }));
    if (!first || !second) return;
    const tunnel = {
      type: encapsulation === 'vxlan' ? 'vxlan' : 'geneve',
      vni,
      family: underlay === 'ipv4' ? 4 : 6,
      mtu: podMTU[underlay],
    } as const;
    for (const [own, other] of [
      [first, second],
      [second, first],
    ] as const) {
      await openVswitch(own.netns, own.podNetns, own, other, tunnel, ground);
      // It sends a checksum on as it finds it, unfinished.
      await run(...inside(netnsFile(own.podNetns), 'ethtool', ['-K', 'eth0', 'tx', 'off']));
    }
  },
};
