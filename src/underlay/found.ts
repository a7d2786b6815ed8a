// The underlay's addresses and interface, looked up at this host where the configuration does not name them.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { ipQuery } from '../host/iproute.ts';
import { type Address, parseAddress } from '../net/address.ts';
import { chooseUnderlay, type Found, type Host, type HostLink, matches, UnderlayError } from './choose.ts';

/** Whether there is anything to find. */
export const isFound = ({ underlay }: Config): boolean =>
  underlay.addresses.length === 0 || /[*?]/.test(underlay.interface ?? '');

/**
 * The configuration with addresses, and with the name of the interface where it has a pattern.
 * @throws UnderlayError
 */
export async function withUnderlay(config: Config): Promise<Config> {
  if (!isFound(config)) return config;
  const found = await findUnderlay(config);
  const addresses = found.map(({ address }) => address);
  const pattern = config.underlay.interface;
  const [device, ...others] = new Set(found.map((one) => one.device));
  if (pattern !== undefined && others.length > 0) {
    const named = found.map((one) => `${one.address.text} (${one.device})`).join(', ');
    throw new UnderlayError(`underlay.interface: ${pattern} fits more than one interface: ${named}`);
  }
  const { interface: _, ...underlay } = config.underlay;
  return {
    ...config,
    underlay: { ...underlay, addresses, ...(pattern !== undefined && device && { interface: device }) },
  };
}

/**
 * What `withUnderlay` uses, and why.
 * @throws UnderlayError
 */
export async function findUnderlay(config: Config): Promise<readonly Found[]> {
  const host = await lookAtHost();
  const { addresses, interface: pattern } = config.underlay;
  if (addresses.length === 0) return chooseUnderlay(host, pattern, internalIPs(config));
  return addresses.map((address) => {
    const link = host.links.find(
      (one) =>
        matches(one.name, pattern) && one.addresses.some((there) => there.address.text === address.text),
    );
    if (!link) throw new UnderlayError(`underlay.addresses: ${address.text} is on no interface ${pattern}`);
    return { address, device: link.name, because: 'underlay.addresses' };
  });
}

/** The InternalIPs that this node's object had last: they are known before the store is. */
const fileOf = ({ runDirectory }: Config) => join(runDirectory, 'internal-ips.json');

function internalIPs(config: Config): Address[] {
  const file = fileOf(config);
  if (!existsSync(file)) return [];
  try {
    const texts: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return Array.isArray(texts) ? texts.flatMap((text) => parseAddress(String(text)) ?? []) : [];
  } catch {
    return []; // As good as none: it is written anew.
  }
}

/** @returns whether they are others than before */
export function rememberInternalIPs(config: Config, addresses: readonly Address[]): boolean {
  const texts = (list: readonly Address[]) => JSON.stringify(list.map(({ text }) => text));
  if (texts(internalIPs(config)) === texts(addresses)) return false;
  writeFileSync(fileOf(config), `${texts(addresses)}\n`, { mode: 0o600 });
  return true;
}

interface ShownLink {
  readonly ifname: string;
  readonly flags?: readonly string[];
  readonly addr_info?: readonly Readonly<Record<string, unknown>>[];
}

interface ShownRoute {
  readonly dst?: string;
  readonly dev?: string;
  readonly prefsrc?: string;
  readonly metric?: number;
  readonly nexthops?: readonly { readonly dev?: string }[];
}

async function lookAtHost(): Promise<Host> {
  const [links, routes4, routes6] = await Promise.all([
    ipQuery(['address show']),
    ipQuery(['route show default'], { family: 4 }),
    ipQuery(['route show default'], { family: 6 }),
  ]);
  const routes = ([4, 6] as const).flatMap((family) =>
    ((family === 4 ? routes4 : routes6) as ShownRoute[]).flatMap(
      ({ dev, prefsrc, metric = 0, nexthops = [] }) =>
        [dev, ...nexthops.map((hop) => hop.dev)]
          .filter((device) => device !== undefined)
          .map((device) => ({ family, device, source: parseAddress(prefsrc ?? ''), metric })),
    ),
  );
  return { links: (links as unknown as ShownLink[]).filter(({ ifname }) => ifname).map(linkOf), routes };
}

const linkOf = ({ ifname, flags = [], addr_info = [] }: ShownLink): HostLink => ({
  name: ifname,
  isUp: flags.includes('UP') && !flags.includes('NO-CARRIER'),
  addresses: addr_info.flatMap((shown) => {
    const address = parseAddress(String(shown.local ?? ''));
    const isUnsteady = ['tentative', 'dadfailed', 'deprecated', 'temporary'].some((flag) => shown[flag]);
    return address ? [{ address, scope: String(shown.scope), isUnsteady }] : [];
  }),
});
