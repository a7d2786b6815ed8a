// What this process may do: the daemon needs the same.
import { RawSocket } from '../phy/raw.ts';
import { requireNamespaces } from '../rootless/namespaces.ts';
import { type Finding, finding, ok, type Severity, type Subject } from './finding.ts';

/** Bits of linux/capability.h, what needs them, and how bad it is without. */
const needed: readonly (readonly [
  name: string,
  bit: bigint,
  what: string,
  without: Exclude<Severity, 'ok'>,
])[] = [
  ['CAP_NET_ADMIN', 12n, 'makes TAPs, addresses and routes', 'error'],
  ['CAP_SYS_ADMIN', 21n, "enters pods' network namespaces", 'error'],
  ['CAP_NET_RAW', 13n, 'opens raw sockets, for IPIP and for probes of peers and paths', 'warning'],
];

/** CAP_NET_BIND_SERVICE. */
const LOW_PORTS = 10n;

export function privileges({ addon, config }: Subject): Finding[] {
  const held = addon.capabilities();
  const capabilities = needed.map(([name, bit, what, without]) => {
    if ((held >> bit) & 1n) return ok(name, what);
    const severity = name === 'CAP_NET_RAW' && config.encapsulation === 'ipip' ? 'error' : without;
    const advice = `run as root, or add ${name} (systemd: AmbientCapabilities, containers: securityContext.capabilities)`;
    return finding(severity, name, `is not there; it ${what}`, advice);
  });
  const isPrivileged = capabilities.every(({ severity }) => severity === 'ok');
  if (config.dns && config.dns.port < 1024 && !((held >> LOW_PORTS) & 1n)) {
    const advice = 'add CAP_NET_BIND_SERVICE, or set dns.port';
    capabilities.push(
      finding('error', 'CAP_NET_BIND_SERVICE', 'is not there; the resolver has a low port', advice),
    );
  }
  return [...capabilities, ...((held >> 13n) & 1n ? [probes()] : []), ...(isPrivileged ? [] : [rootless()])];
}

function rootless(): Finding {
  try {
    requireNamespaces();
    return ok('rootless', 'this user can do without those: overweft run --rootless');
  } catch (error) {
    const [what = ''] = (error as Error).message.split('\n');
    return finding('note', 'rootless', what, 'docs/rootless.md says what a daemon without root needs');
  }
}

function probes(): Finding {
  try {
    RawSocket.open({ family: 4 }).close();
    return ok('probes', 'liveness and path MTU can be probed');
  } catch (error) {
    return finding(
      'warning',
      'probes',
      `peers and paths cannot be probed: raw-socket: ${(error as Error).message}`,
      'npm run setup builds it for the Node in use',
    );
  }
}
