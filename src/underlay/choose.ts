/**
 * Which of this host's addresses the tunnels end at, where the configuration names none. Pure.
 *
 * For each family, the first that there is of:
 *   1. the InternalIP of this node's object, if this host has it;
 *   2. the address of the default route's interface, the one that the route prefers before others;
 *   3. the address of the interface that the other family has found;
 *   4. the only address of all interfaces that are not known to be somebody's own network on this host.
 * `underlay.interface` leaves only the interfaces of that name or pattern.
 */
import type { Address } from '../net/address.ts';

interface HostAddress {
  readonly address: Address;
  /** `global` for what reaches beyond the link. */
  readonly scope: string;
  /** Tentative, duplicate, deprecated or temporary (RFC 8981): it may be gone soon. */
  readonly isUnsteady: boolean;
}

export interface HostLink {
  readonly name: string;
  readonly isUp: boolean;
  readonly addresses: readonly HostAddress[];
}

interface DefaultRoute {
  readonly family: 4 | 6;
  readonly device: string;
  /** Source that the route prefers. */
  readonly source: Address | undefined;
  readonly metric: number;
}

export interface Host {
  readonly links: readonly HostLink[];
  readonly routes: readonly DefaultRoute[];
}

export interface Found {
  readonly address: Address;
  readonly device: string;
  /** Which rule has found it, for people. */
  readonly because: string;
}

/** Nothing fits; the message names what was looked at. */
export class UnderlayError extends Error {
  override readonly name = 'UnderlayError';
}

/** Names that container runtimes, hypervisors, other overlays and VPNs give to their interfaces. */
const inner =
  /^(?:docker|br-|virbr|veth|cni|cbr|podman|flannel|cali|cilium|lxc|lxd|kube-|nodelocaldns|tunl|vxlan|genev|wg|tailscale|ovs-|weave|dummy)/;

/** Interfaces that this program makes itself. */
const isOwn = (name: string) => name.startsWith('ow-');

/**
 * @param pattern of interface names, `*` and `?` as in a shell
 * @param internalIPs of this node's object
 * @returns one of each family that has one
 * @throws UnderlayError where neither has
 */
export function chooseUnderlay(
  host: Host,
  pattern: string | undefined,
  internalIPs: readonly Address[],
): readonly Found[] {
  const links = host.links.filter(({ name }) => matches(name, pattern));
  const found: Found[] = [];
  for (const family of [4, 6] as const) {
    const one =
      byObject(links, internalIPs, family) ??
      byRoute(links, host.routes, family) ??
      alone(links, family, pattern);
    if (one) found.push(one);
  }
  const [only] = found;
  if (!only) throw new UnderlayError(whyNone(host, pattern));
  if (found.length === 2) return found;
  const other = beside(links, only);
  return other ? [...found, other].sort((a, b) => a.address.family - b.address.family) : found;
}

/** Whether an interface's name is one that the configuration means. */
export function matches(name: string, pattern: string | undefined): boolean {
  if (pattern === undefined) return true;
  const expression = pattern
    .split('')
    .map((sign) => (sign === '*' ? '.*' : sign === '?' ? '.' : sign.replace(/[\\^$.|+()[\]{}]/, '\\$&')))
    .join('');
  return new RegExp(`^${expression}$`).test(name);
}

function byObject(
  links: readonly HostLink[],
  internalIPs: readonly Address[],
  family: 4 | 6,
): Found | undefined {
  for (const { text } of internalIPs.filter((one) => one.family === family)) {
    const link = links.find(({ addresses }) => addresses.some(({ address }) => address.text === text));
    const known = link?.addresses.find(({ address }) => address.text === text);
    if (link && known)
      return { address: known.address, device: link.name, because: 'the InternalIP of the Node object' };
  }
  return undefined;
}

function byRoute(
  links: readonly HostLink[],
  routes: readonly DefaultRoute[],
  family: 4 | 6,
): Found | undefined {
  const because = 'the interface of the default route';
  for (const { device, source } of routes
    .filter((route) => route.family === family)
    .sort((a, b) => a.metric - b.metric)) {
    const link = links.find(({ name }) => name === device);
    const address = source ?? usable(link, family);
    if (link && address) return { address, device, because };
  }
  return undefined;
}

function alone(links: readonly HostLink[], family: 4 | 6, pattern: string | undefined): Found | undefined {
  // What is asked for by name may be of any kind.
  const candidates = links.filter(({ name }) => pattern !== undefined || !inner.test(name));
  const fit = candidates.flatMap((link) => {
    const address = usable(link, family);
    return address ? [{ address, device: link.name }] : [];
  });
  const [first] = fit;
  if (!first || fit.length > 1) return undefined;
  return {
    ...first,
    because: pattern === undefined ? 'the only one that there is' : `underlay.interface: ${pattern}`,
  };
}

function beside(links: readonly HostLink[], { address, device }: Found): Found | undefined {
  const other = usable(
    links.find(({ name }) => name === device),
    address.family === 4 ? 6 : 4,
  );
  return other && { address: other, device, because: `the interface of ${address.text}` };
}

function usable(link: HostLink | undefined, family: 4 | 6): Address | undefined {
  if (!link?.isUp || link.name === 'lo' || isOwn(link.name)) return undefined;
  const fit = link.addresses.filter(({ address, scope }) => address.family === family && scope === 'global');
  return (fit.find(({ isUnsteady }) => !isUnsteady) ?? (family === 4 ? fit[0] : undefined))?.address;
}

function whyNone({ links, routes }: Host, pattern: string | undefined): string {
  const devices = new Set(routes.map(({ device }) => device));
  const looked = links
    .filter(({ name }) => name !== 'lo' && !isOwn(name))
    .map((link) => `${link.name}: ${whyNot(link, pattern, devices)}`);
  const seen = looked.length === 0 ? 'there is no interface but lo' : looked.join('; ');
  return (
    `underlay.addresses: none is configured, and none fits (${seen}): ` +
    'name the addresses, or the interface in underlay.interface'
  );
}

function whyNot(link: HostLink, pattern: string | undefined, devices: ReadonlySet<string>): string {
  if (!matches(link.name, pattern)) return `is not ${pattern}`;
  if (!link.isUp) return 'is down';
  const usableOnes = link.addresses.filter(({ scope, isUnsteady }) => scope === 'global' && !isUnsteady);
  if (usableOnes.length === 0) return 'has no steady global address';
  const texts = usableOnes.map(({ address }) => address.text).join(', ');
  if (devices.has(link.name)) return texts;
  return `${texts}, but no default route, and not the only one`;
}
