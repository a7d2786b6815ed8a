// Whether the ports that the daemon listens on are free, and who has them otherwise.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { run } from '../host/command.ts';
import type { Address } from '../net/address.ts';
import { type Finding, finding, ok, type Subject } from './finding.ts';

interface Wanted {
  readonly protocol: 'udp' | 'tcp';
  readonly port: number;
  /** Of this host; undefined: any. */
  readonly addresses: readonly Address[] | undefined;
  readonly what: string;
  readonly field: string;
  /** The daemon cannot do without. */
  readonly isNeeded: boolean;
}

export async function listeners(subject: Subject): Promise<Finding[]> {
  const devices = await tunnelDevices();
  return wanted(subject).map(({ protocol, port, addresses, what, field, isNeeded }) => {
    const check = `${protocol} port ${port}`;
    const inodes = [protocol, `${protocol}6`].flatMap((table) => sockets(table, port, addresses));
    if (inodes.length === 0) return ok(check, `is free, for ${what}`);
    const owner = processWith(new Set(inodes.map((inode) => `socket:[${inode}]`)));
    if (owner !== undefined && Number(owner) === subject.daemon)
      return ok(check, `is the daemon's, for ${what}`);
    const device = protocol === 'udp' ? devices.get(port) : undefined;
    const [holder, removal] =
      owner !== undefined
        ? [`${commandOf(owner)} (process ${owner})`, `stop it`]
        : device !== undefined
          ? [`${device}, a tunnel device of the kernel`, `ip link delete ${device}`]
          : ['the kernel, or a process that is not ours to see', 'find it'];
    const message = `is taken by ${holder}; it is for ${what}`;
    return finding(isNeeded ? 'error' : 'note', check, message, `${removal}, or set ${field}`);
  });
}

/** Names of the kernel's own tunnel devices, by the UDP port that they have taken. */
async function tunnelDevices(): Promise<ReadonlyMap<number, string>> {
  try {
    const links = JSON.parse(await run('ip', ['-json', '-details', 'link', 'show'])) as {
      ifname: string;
      linkinfo?: { info_data?: { port?: number } };
    }[];
    return new Map(
      links.flatMap(({ ifname, linkinfo }): [number, string][] => {
        const port = linkinfo?.info_data?.port;
        return port === undefined ? [] : [[port, ifname]];
      }),
    );
  } catch {
    return new Map(); // Without iproute2, which is a finding of its own.
  }
}

function wanted({ config, isConfigured }: Subject): Wanted[] {
  const { ports, encapsulation, underlay, metrics, health, dns } = config;
  const tunnels = (['vxlan', 'geneve'] as const).map(
    (kind): Wanted => ({
      protocol: 'udp',
      port: ports[kind],
      addresses: isConfigured && underlay.addresses.length > 0 ? underlay.addresses : undefined,
      what: kind.toUpperCase(),
      field: `ports.${kind}`,
      isNeeded: encapsulation === kind,
    }),
  );
  const http = Object.entries({ metrics, health }).flatMap(([what, listener]): Wanted[] => {
    if (!listener) return [];
    const { port, address } = listener;
    return [{ protocol: 'tcp', port, addresses: [address], what, field: `${what}.port`, isNeeded: true }];
  });
  const names = (['udp', 'tcp'] as const).flatMap((protocol): Wanted[] => {
    if (!dns) return [];
    const { port, addresses } = dns;
    return [{ protocol, port, addresses, what: 'the resolver', field: 'dns.port', isNeeded: true }];
  });
  return [...tunnels, ...http, ...names];
}

/** TCP_LISTEN, include/net/tcp_states.h. */
const LISTEN = '0A';

/** Inodes of sockets in the way of a local port: proc_net_tcp.rst of the kernel has the columns. */
function sockets(table: string, port: number, addresses: readonly Address[] | undefined): string[] {
  let text: string;
  try {
    text = readFileSync(`/proc/self/net/${table}`, 'utf8');
  } catch {
    return [];
  }
  return text
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => {
      const [host = '', service = ''] = local.split(':');
      if (Number.parseInt(service, 16) !== port || (table.startsWith('tcp') && state !== LISTEN))
        return false;
      const bytes = hostOrdered(host);
      return isAny(bytes) || !addresses || addresses.some((one) => isAny(one.bytes) || isSame(one, bytes));
    })
    .map((columns) => columns[9] ?? '0');
}

/** The address, of which the kernel prints words of 32 bits in the host's byte order. */
function hostOrdered(hex: string): Uint8Array {
  const words = (hex.match(/.{8}/g) ?? []).map((word) => Number.parseInt(word, 16));
  return new Uint8Array(Uint32Array.from(words).buffer);
}

/** 0.0.0.0 or ::; IPv4 stands behind ::ffff: in an Address. */
const isAny = (bytes: Uint8Array): boolean =>
  bytes.every((byte, i) => byte === 0 || (bytes.length === 16 && (i === 10 || i === 11)));

const isSame = ({ bytes, family }: Address, other: Uint8Array): boolean =>
  Buffer.compare(family === 4 && other.length === 4 ? bytes.subarray(12) : bytes, other) === 0;

function processWith(links: ReadonlySet<string>): string | undefined {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .find((pid) => {
      try {
        return readdirSync(`/proc/${pid}/fd`).some((fd) => {
          try {
            return links.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
          } catch {
            return false; // Closed meanwhile.
          }
        });
      } catch {
        return false; // Ended meanwhile, or another user's.
      }
    });
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return 'a process';
  }
}
