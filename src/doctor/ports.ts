// Whether the ports that the daemon listens on are free, and who has them otherwise.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import { run } from '../host/command.ts';
import { type Finding, finding, ok, type Subject } from './finding.ts';

interface Wanted {
  readonly protocol: 'udp' | 'tcp';
  readonly port: number;
  readonly what: string;
  readonly field: string;
  /** The daemon cannot do without. */
  readonly isNeeded: boolean;
}

export async function listeners(subject: Subject): Promise<Finding[]> {
  const devices = await tunnelDevices();
  return wanted(subject.config).map(({ protocol, port, what, field, isNeeded }) => {
    const check = `${protocol} port ${port}`;
    const inodes = [protocol, `${protocol}6`].flatMap((table) => sockets(table, port));
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

function wanted({ ports, encapsulation, metrics, health }: Config): Wanted[] {
  const tunnels = (['vxlan', 'geneve'] as const).map(
    (kind): Wanted => ({
      protocol: 'udp',
      port: ports[kind],
      what: kind.toUpperCase(),
      field: `ports.${kind}`,
      isNeeded: encapsulation === kind,
    }),
  );
  const http = (what: string, listener: { port: number } | undefined): Wanted[] =>
    listener ? [{ protocol: 'tcp', port: listener.port, what, field: `${what}.port`, isNeeded: true }] : [];
  return [...tunnels, ...http('metrics', metrics), ...http('health', health)];
}

/** TCP_LISTEN, include/net/tcp_states.h. */
const LISTEN = '0A';

/** Inodes of sockets with a local port: proc_net_tcp.rst of the kernel has the columns. */
function sockets(table: string, port: number): string[] {
  let text: string;
  try {
    text = readFileSync(`/proc/self/net/${table}`, 'utf8');
  } catch {
    return [];
  }
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, local = '', , state]) => local.endsWith(`:${hex}`) && (table.startsWith('udp') || state === LISTEN),
    )
    .map((columns) => columns[9] ?? '0');
}

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
