/**
 * Privileges of the daemon: what attaching later pods needs, and nothing else.
 *
 * Linux keeps capabilities for each thread, and Node.js has made threads before the first line
 * of ours runs. So the daemon narrows its bounding set and executes itself once more: every
 * thread of the new image, and every command that it runs, starts within the narrow set.
 */
import { execve } from 'node:process';
import type { Addon } from '../phy/addon.ts';

/** Numbers of linux/capability.h. */
const CAP_NET_BIND_SERVICE = 10n;
const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;
const CAP_SYS_ADMIN = 21n;

/**
 * CAP_NET_ADMIN makes TAPs, addresses and routes; CAP_SYS_ADMIN enters the pods' network
 * namespaces; CAP_NET_RAW opens raw sockets for IPIP and for probes.
 */
const NEEDED = (1n << CAP_NET_ADMIN) | (1n << CAP_NET_RAW) | (1n << CAP_SYS_ADMIN);

/** For the resolver, whose port is a low one. */
const LOW_PORTS = 1n << CAP_NET_BIND_SERVICE;

/** Returns when this process holds no more than it needs; until then, it starts anew with less. */
export function limitPrivileges(addon: Addon, hasResolver: boolean): void {
  const needed = hasResolver ? NEEDED | LOW_PORTS : NEEDED;
  if ((addon.capabilities() & ~needed) === 0n) return;
  addon.keepCapabilities(needed);
  startAnew();
}

/** Executes this program again in this process, from its beginning; returns only where that cannot be done. */
export function startAnew(): void {
  execve?.(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)]);
}

/** @throws Error for the user, where this process cannot make interfaces */
export function requirePrivileges(addon: Addon): void {
  if ((addon.capabilities() & (1n << CAP_NET_ADMIN)) !== 0n) return;
  throw new Error('a node daemon needs CAP_NET_ADMIN: run it as root, or with --rootless');
}
