// What the kernel gives, tier by tier (README, "What a host must give").
import { accessSync, constants, existsSync } from 'node:fs';
import { release } from 'node:os';
import type { HostFeatures, Probe } from '../phy/addon.ts';
import { type Finding, finding, ok, type Subject } from './finding.ts';

const TUN = '/dev/net/tun';

export function kernel({ addon }: Subject): Finding[] {
  const tun = tunDevice();
  if (tun.severity !== 'ok') return [tun];
  const features = addon.probe();
  return [tun, ...Object.entries(tiers).map(([name, tier]) => feature(name, tier, features)), ipv6()];
}

function tunDevice(): Finding {
  if (!existsSync(TUN)) {
    return finding(
      'error',
      'tun',
      `${TUN} does not exist: no interface can be made`,
      'modprobe tun, and load it at boot (/etc/modules-load.d); in a container pass the device in (--device /dev/net/tun)',
    );
  }
  try {
    accessSync(TUN, constants.R_OK | constants.W_OK);
    return ok('tun', `${TUN} can be opened`);
  } catch (error) {
    const advice = `run as root, or chmod 0666 ${TUN}`;
    return finding('error', 'tun', `${TUN} may not be opened: ${(error as Error).message}`, advice);
  }
}

interface Tier {
  readonly gives: string;
  /** Without it nothing works. */
  readonly isBase?: true;
  readonly since?: string;
}

const tiers: Readonly<Record<keyof HostFeatures, Tier>> = {
  multiQueue: { gives: 'several queues on a TAP', isBase: true },
  tso: { gives: 'TCP superframes from pods' },
  uso: { gives: 'UDP superframes from pods', since: '6.2' },
  udpSegment: { gives: 'many datagrams in one send', since: '4.18' },
  udpGro: { gives: 'many datagrams in one receive', since: '5.0' },
  tunnelGso: { gives: 'superframes split by the kernel inside tunnels', since: '6.17' },
  rcvbufForce: { gives: 'socket buffers beyond net.core.rmem_max' },
};

function feature(name: string, { gives, isBase, since }: Tier, features: HostFeatures): Finding {
  const probe: Probe = features[name as keyof HostFeatures];
  if (probe.available) return ok(name, gives);
  const refused = `${gives}: not available (${probe.syscall}: ${probe.code})`;
  if (probe.code === 'EPERM' || probe.code === 'EACCES') {
    const advice =
      'run as root or with --rootless, or give CAP_NET_ADMIN; in a container it must own the network namespace';
    return finding(isBase ? 'error' : 'warning', name, refused, advice);
  }
  const advice =
    since === undefined ? null : `Linux ≥ ${since} has it, this is ${release()}; the data path does without`;
  return finding(isBase ? 'error' : 'note', name, refused, advice);
}

function ipv6(): Finding {
  if (existsSync('/proc/sys/net/ipv6')) return ok('ipv6', 'the kernel speaks IPv6');
  return finding(
    'note',
    'ipv6',
    'the kernel has no IPv6: pods have IPv4 only',
    'boot without ipv6.disable=1',
  );
}
