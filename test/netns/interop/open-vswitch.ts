/**
 * Open vSwitch's userspace datapath as the foreign tunnel end: no kernel module, databases and sockets in a directory
 * of its own, everything inside one network namespace.
 *
 *     eth0 (pod) ── pod0 ─ br-pods ─ tun0 (geneve or vxlan) ╌╌ br-phy (has the underlay address) ─ under0
 *
 * It switches: the pod asks for 10.244.0.0/16 by ARP and ND, and the far end answers through the tunnel.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { TunnelEnd } from '../../../src/bench/kernel-vxlan.ts';
import { must, run } from '../../support/run.ts';
import { addresses, far, ip, near, podMTU, vni } from './topology.ts';

const schema = '/usr/share/openvswitch/vswitch.ovsschema';

/** @param peer namespace with `under0` up and without addresses */
export async function openVswitch(
  peer: string,
  pod: string,
  tunnel: 'geneve' | 'vxlan',
  family: 4 | 6,
  [own, other]: readonly [TunnelEnd, TunnelEnd] = [far, near],
): Promise<AsyncDisposable> {
  const directory = mkdtempSync(`${tmpdir()}/overweft-ovs-`);
  const env = { OVS_RUNDIR: directory, OVS_LOGDIR: directory, OVS_DBDIR: directory };
  const database = `unix:${directory}/db.sock`;
  const started: ChildProcess[] = [];
  const start = (command: string, ...args: string[]): void => {
    const child = spawn('ip', ['netns', 'exec', peer, command, ...args], {
      env: { ...process.env, ...env },
      stdio: 'ignore',
    });
    started.push(child);
  };
  const stop = async (): Promise<void> => {
    for (const child of started.reverse()) {
      if (child.exitCode !== null) continue;
      child.kill();
      await once(child, 'exit');
    }
    rmSync(directory, { recursive: true });
  };
  try {
    await must('ovsdb-tool', ['create', `${directory}/conf.db`, schema]);
    const log = (name: string) => ['-vconsole:off', `--log-file=${directory}/${name}.log`];
    start(
      'ovsdb-server',
      ...log('ovsdb'),
      `--remote=p${database}`,
      `--unixctl=${directory}/ovsdb.ctl`,
      `${directory}/conf.db`,
    );
    const vsctl = (...args: string[]): Promise<string> =>
      must('ovs-vsctl', [`--db=${database}`, '--retry', '--timeout=10', ...args], { env });
    await vsctl('--no-wait', 'init');
    start(
      'ovs-vswitchd',
      ...log('vswitchd'),
      '--disable-system',
      `--unixctl=${directory}/vswitchd.ctl`,
      database,
    );

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
    await ip(peer, 'link set pod0 addrgenmode none up');
    const remote = other.underlay[family === 4 ? 0 : 1];
    await vsctl(
      ...['add-br', 'br-phy', '--', 'set', 'bridge', 'br-phy', 'datapath_type=netdev', '--'],
      ...['add-port', 'br-phy', 'under0', '--'],
      ...['add-br', 'br-pods', '--', 'set', 'bridge', 'br-pods', 'datapath_type=netdev', '--'],
      ...['add-port', 'br-pods', 'pod0', '--', 'add-port', 'br-pods', 'tun0', '--'],
      ...['set', 'interface', 'tun0', `type=${tunnel}`, `options:remote_ip=${remote}`, `options:key=${vni}`],
    );
    await ip(peer, 'link set br-phy addrgenmode none up', ...addresses(own.underlay, 'br-phy'));
    await ip(
      pod,
      `link set eth0 address ${own.routerMAC} mtu ${podMTU[family]} addrgenmode none up`,
      `address add ${own.pod[0]}/16 dev eth0`,
      `address add ${own.pod[1]}/32 dev eth0 nodad`,
    );
    // A packet socket without vnet header would cut superframes short.
    await must('ethtool', ['-K', 'eth0', 'tso', 'off', 'gso', 'off'], { netns: pod });
    await routesKnown(directory, own);
  } catch (error) {
    const log = await run('tail', ['-n', '20', `${directory}/vswitchd.log`]);
    await stop();
    throw new Error(`${error instanceof Error ? error.message : error}\n${log.stdout}`);
  }
  return { [Symbol.asyncDispose]: stop };
}

/** Open vSwitch learns the kernel's routes a moment after the addresses are there; until then it drops. */
async function routesKnown(directory: string, own: TunnelEnd): Promise<void> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const { stdout } = await run('ovs-appctl', ['-t', `${directory}/vswitchd.ctl`, 'ovs/route/show']);
    if (own.underlay.every((address) => stdout.includes(address))) return;
    if (Date.now() > deadline) throw new Error(`Open vSwitch does not know its routes:\n${stdout}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
