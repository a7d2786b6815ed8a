// Underlay, routes and settings of the network namespace that the daemon runs in.
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import { ipQuery } from '../host/iproute.ts';
import { shownLinks } from '../host/links.ts';
import { localPorts, sharedPorts } from '../host/local-ports.ts';
import { type Address, parseAddress } from '../net/address.ts';
import { covers, type Prefix, parsePrefix } from '../net/prefix.ts';
import { UnderlayError } from '../underlay/choose.ts';
import { withUnderlay } from '../underlay/found.ts';
import { type Finding, finding, ok, type Subject } from './finding.ts';

interface Link {
  readonly ifname: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly addresses: readonly Address[];
}

export async function network(subject: Subject): Promise<Finding[]> {
  const links = (await shownLinks()).map(({ ifname, mtu, flags, addr_info = [] }): Link => {
    const addresses = addr_info.flatMap(({ local }) => parseAddress(local ?? '') ?? []);
    return { ifname, mtu, flags, addresses };
  });
  return [
    ...(await underlay(subject, links)),
    ...(await routes(subject)),
    ...sysctls(subject),
    sourcePorts(subject),
    ...networkManagers(),
  ];
}

/** 1280 for the pods' IPv6 and 70 for the largest headers, VXLAN or GENEVE over IPv6. */
const LEAST_MTU = 1350;

async function underlay(
  { config: written, isConfigured }: Subject,
  links: readonly Link[],
): Promise<Finding[]> {
  if (!isConfigured) return [];
  let config: Config;
  try {
    config = await withUnderlay(written);
  } catch (error) {
    if (!(error instanceof UnderlayError)) throw error;
    return [
      finding(
        'error',
        'underlay',
        error.message,
        'set underlay.addresses or underlay.interface in the configuration',
      ),
    ];
  }
  return config.underlay.addresses.flatMap((address): Finding[] => {
    const check = `underlay ${address.text}`;
    const link = links.find((one) => one.addresses.some(({ text }) => text === address.text));
    if (!link) {
      const there = links.flatMap((one) =>
        one.ifname === 'lo' ? [] : one.addresses.map(({ text }) => `${text} (${one.ifname})`),
      );
      return [
        finding(
          'error',
          check,
          `is no address of this host, which has ${there.join(', ') || 'none'}`,
          'correct underlay.addresses of the configuration',
        ),
      ];
    }
    const { ifname, mtu, flags } = link;
    if (!flags.includes('LOWER_UP')) {
      return [
        finding(
          'error',
          check,
          `${ifname} has no carrier`,
          `ip link set ${ifname} up, and look at its cable`,
        ),
      ];
    }
    const { interface: device } = config.underlay;
    return [
      device !== undefined && device !== ifname
        ? finding(
            'error',
            check,
            `is on ${ifname}, while underlay.interface is ${device}`,
            'correct one of them',
          )
        : ok(check, `is on ${ifname}`),
      mtu < LEAST_MTU
        ? finding(
            'warning',
            `mtu ${ifname}`,
            `${mtu} bytes: with VXLAN or GENEVE over IPv6, pods' IPv6 needs ${LEAST_MTU}`,
            `raise it (ip link set ${ifname} mtu 1500), or use IPv4 between nodes`,
          )
        : ok(`mtu ${ifname}`, `${mtu} bytes`),
    ];
  });
}

/** Whether another network has the pods' addresses already. */
async function routes({ config }: Subject): Promise<Finding[]> {
  const listed = [
    ...(await ipQuery(['route show'], { family: 4 })),
    ...(await ipQuery(['route show'], { family: 6 })),
  ];
  const taken = listed.flatMap(({ dst, dev }) => {
    const block = blockOf(String(dst));
    const cluster =
      block && config.podNetwork.clusterCIDRs.find((one) => covers(one, block) || covers(block, one));
    return cluster && dst !== 'default' && !String(dev).startsWith('ow-') ? [`${dst} by ${dev}`] : [];
  });
  const blocks = config.podNetwork.clusterCIDRs.map(({ text }) => text).join(', ');
  if (taken.length === 0) return [ok('pod network', `no other route leads to ${blocks}`)];
  return [
    finding(
      'warning',
      'pod network',
      `${blocks} is routed elsewhere, too: ${taken.join(', ')}`,
      'another network plugin may have left this: delete its interfaces and routes, or choose other podNetwork.clusterCIDRs',
    ),
  ];
}

const blockOf = (text: string): Prefix | undefined =>
  parsePrefix(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`);

function sysctl(name: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8'));
  } catch {
    return undefined;
  }
}

function sysctls({ config, addon }: Subject): Finding[] {
  const found: Finding[] = [];
  if (sysctl('net.ipv4.conf.all.rp_filter') === 1) {
    found.push(
      finding(
        'note',
        'rp_filter',
        'net.ipv4.conf.all.rp_filter is 1: superframes cannot go through the kernel whole',
        'sysctl -w net.ipv4.conf.all.rp_filter=2, where the underlay splits superframes itself (overweft status, tunnelGso)',
      ),
    );
  }
  const isReadOnly = !isWritable('/proc/sys/net/ipv4/conf/all/rp_filter');
  if (isReadOnly) found.push(readOnlySettings());
  const off = ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'].filter((name) => sysctl(name) === 0);
  if (off.length === 0) found.push(ok('forwarding', 'the host forwards'));
  else if (isReadOnly || config.masquerade.forwarding === 'off') {
    const message = `${off.join(' and ')} is 0: pods do not reach the world outside`;
    const advice = off.map((name) => `sysctl -w ${name}=1`).join('; ');
    found.push(finding(config.masquerade.enabled ? 'warning' : 'note', 'forwarding', message, advice));
  } else found.push(ok('forwarding', 'is switched on for single devices'));
  const most = sysctl('net.core.rmem_max') ?? Number.POSITIVE_INFINITY;
  const { bufferBytes } = config.underlay;
  if (most < bufferBytes && !addon.probe().rcvbufForce.available) {
    found.push(
      finding(
        'warning',
        'rmem_max',
        `net.core.rmem_max is ${most}: tunnel sockets get less than underlay.bufferBytes (${bufferBytes}), and lose bursts`,
        `sysctl -w net.core.rmem_max=${bufferBytes} net.core.wmem_max=${bufferBytes}`,
      ),
    );
  }
  return found;
}

/** Whether the host's own processes keep off what the data path puts in place of clients' ports. */
function sourcePorts({ config }: Subject): Finding {
  const { sourcePorts: range } = config.services;
  const shared = sharedPorts(range, localPorts());
  return shared
    ? finding('warning', 'source ports', shared.message, shared.advice)
    : ok('source ports', `${range.first} to ${range.last} are Services' alone`);
}

function readOnlySettings(): Finding {
  const what = '/proc/sys is read-only here: the daemon cannot make settings of its own interfaces';
  if (sysctl('net.ipv4.conf.default.rp_filter') !== 1) return finding('note', 'sysctl', what);
  return finding(
    'warning',
    'sysctl',
    `${what}, and net.ipv4.conf.default.rp_filter is 1: what other nodes send to this one is dropped`,
    'sysctl -w net.ipv4.conf.default.rp_filter=2 on the host, or run a privileged container',
  );
}

function isWritable(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Services that take away what they have not made: systemd-networkd rules, NetworkManager interfaces. */
function networkManagers(): Finding[] {
  if (
    !existsSync('/run/systemd/netif/state') ||
    networkdSettings().some((line) => /^ManageForeignRoutingPolicyRules\s*=\s*(no|false|0)$/i.test(line))
  )
    return [];
  return [
    finding(
      'warning',
      'systemd-networkd',
      "removes other programs' routing rules when it restarts: the node then no longer reaches its pods until the daemon restarts",
      'put [Network] ManageForeignRoutingPolicyRules=no and ManageForeignRoutes=no into /etc/systemd/networkd.conf.d/overweft.conf',
    ),
  ];
}

function networkdSettings(): string[] {
  const folders = [
    '/usr/lib/systemd/networkd.conf.d',
    '/run/systemd/networkd.conf.d',
    '/etc/systemd/networkd.conf.d',
  ];
  const files = folders.flatMap((folder) =>
    existsSync(folder) ? readdirSync(folder).map((name) => `${folder}/${name}`) : [],
  );
  return ['/etc/systemd/networkd.conf', ...files].flatMap((file) =>
    existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [],
  );
}
