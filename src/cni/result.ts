// Results as runtimes read them, in each version of the specification. Pure.
import { z } from 'zod';
import { prefixField } from '../config/fields.ts';
import { gateway4, gateway6 } from '../dataplane/tables.ts';
import { type Address, parseAddress } from '../net/address.ts';
import { formatMac, type Mac } from '../net/mac.ts';
import type { Version } from './call.ts';

/** Address in CIDR notation; the bits behind the prefix are the point of it. */
const interfaceAddress = z.string().transform((text, context): Address => {
  const address = parseAddress(text.replace(/\/\d{1,3}$/, ''));
  if (address) return address;
  context.issues.push({ code: 'custom', message: 'must be an address such as 10.244.1.5/24', input: text });
  return z.NEVER;
});

const texts = z.array(z.string()).nullish();

export const dnsField = z.looseObject({
  nameservers: texts,
  domain: z.string().nullish(),
  search: texts,
  options: texts,
});
type Dns = z.output<typeof dnsField>;

const routeField = z.looseObject({
  dst: prefixField,
  gw: z.string().nullish(),
  mtu: z.number().nullish(),
  advmss: z.number().nullish(),
  priority: z.number().nullish(),
  table: z.number().nullish(),
});
export type DelegatedRoute = z.output<typeof routeField>;

/** A result of any supported version: of the plugin before, of ADD, or of an IPAM plugin. */
export const resultField = z.looseObject({
  interfaces: z
    .array(z.looseObject({ name: z.string(), mac: z.string().nullish(), sandbox: z.string().nullish() }))
    .nullish(),
  ips: z.array(z.looseObject({ address: interfaceAddress, interface: z.number().nullish() })).nullish(),
  routes: z.array(routeField).nullish(),
  dns: dnsField.nullish(),
});
export type ReadResult = z.output<typeof resultField>;

/** What ADD has made. */
export interface Made {
  readonly interface: string;
  readonly netns: string;
  readonly mac: Mac;
  readonly mtu: number;
  readonly addresses: readonly Address[];
  /** Beside the default routes. */
  readonly routes: readonly DelegatedRoute[];
  readonly dns: Dns;
}

const gatewayOf = (family: 4 | 6) => (family === 4 ? gateway4 : gateway6).text;

/**
 * The result of ADD: behind what a plugin before has made, as `previous` says in its own notation.
 * @param previous prevResult as it came in
 */
export function resultOf(
  made: Made,
  version: Version,
  previous: Record<string, unknown> | undefined,
): object {
  const list = (name: string) => (Array.isArray(previous?.[name]) ? (previous[name] as object[]) : []);
  const index = list('interfaces').length;
  const families = [...new Set(made.addresses.map(({ family }) => family))];
  const isNewest = version === '1.1.0';
  const isOld = version === '0.3.1' || version === '0.4.0';
  return {
    ...previous,
    cniVersion: version,
    interfaces: [
      ...list('interfaces'),
      {
        name: made.interface,
        mac: formatMac(made.mac),
        ...(isNewest && { mtu: made.mtu }),
        sandbox: made.netns,
      },
    ],
    ips: [
      ...list('ips'),
      ...made.addresses.map(({ family, text }) => ({
        ...(isOld && { version: `${family}` }),
        interface: index,
        address: `${text}/${family === 4 ? 32 : 128}`,
        gateway: gatewayOf(family),
      })),
    ],
    routes: [
      ...list('routes'),
      ...families.map((family) => ({ dst: family === 4 ? '0.0.0.0/0' : '::/0', gw: gatewayOf(family) })),
      ...made.routes.map(({ dst, mtu, advmss, priority, table }) => ({
        dst: dst.text,
        gw: gatewayOf(dst.address.family),
        ...(isNewest && defined({ mtu, advmss, priority, table })),
      })),
    ],
    dns: defined({ ...(previous?.dns as object | undefined), ...defined(made.dns) }),
  };
}

/** Without members that are null or undefined, or empty lists. */
function defined(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).filter(
      ([, value]) => value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0),
    ),
  );
}

/** The node's own resolver, as a pod finds it. */
export const ownDns = (
  { domain, addresses }: { readonly domain: string; readonly addresses: readonly Address[] },
  namespace: string,
  families: ReadonlySet<4 | 6>,
): Dns => ({
  nameservers: addresses.filter(({ family }) => families.has(family)).map(({ text }) => text),
  search: [`${namespace}.svc.${domain}`, `svc.${domain}`, domain],
  options: ['ndots:5'],
});

/**
 * What the runtime asks for goes before the network's configuration, and that before the IPAM plugin's answer.
 * @param own the node's resolver, for a pod to which nobody names servers; undefined: it has none
 */
export function dnsOf(
  asked:
    | {
        servers?: string[] | null | undefined;
        searches?: string[] | null | undefined;
        options?: string[] | null | undefined;
      }
    | null
    | undefined,
  configured: Dns | null | undefined,
  delegated: Dns | null | undefined,
  own: Dns | undefined,
): Dns {
  const named = {
    ...defined(delegated ?? {}),
    ...defined(configured ?? {}),
    ...defined({ nameservers: asked?.servers, search: asked?.searches, options: asked?.options }),
  };
  return 'nameservers' in named || !own ? named : { ...defined(own), ...named };
}
