/**
 * What a daemon publishes of its node, as annotations of the Node object, and what peers choose by it. Pure.
 *
 *     overweft.io/encapsulation        geneve                      the one that it would rather have
 *     overweft.io/encapsulations       geneve,vxlan,ipip           all that it takes
 *     overweft.io/direct               subnet                      it takes packets of its subnet without encapsulation
 *     overweft.io/underlay-addresses   192.0.2.1,2001:db8::1       where its tunnels end
 *     overweft.io/mtu                  1500                        of its underlay
 *     overweft.io/router-mac           02:00:00:00:00:01
 *     overweft.io/version              0.1.0                       of the daemon
 *
 * Daemons of other versions may publish less, or what is not known here: both are as if nothing were said.
 */
import { z } from 'zod';
import { addressField, macField } from '../config/fields.ts';
import { type Encapsulation, encapsulationField } from '../config/schema.ts';
import type { Address } from '../net/address.ts';
import { formatMac, type Mac } from '../net/mac.ts';

const ENCAPSULATION = 'overweft.io/encapsulation';
const ENCAPSULATIONS = 'overweft.io/encapsulations';
const DIRECT = 'overweft.io/direct';
const ADDRESSES = 'overweft.io/underlay-addresses';
const MTU = 'overweft.io/mtu';
const ROUTER_MAC = 'overweft.io/router-mac';
const VERSION = 'overweft.io/version';

/** As far as a node says it. */
export interface Registration {
  readonly encapsulation?: Encapsulation | undefined;
  readonly encapsulations?: readonly Encapsulation[] | undefined;
  readonly direct?: 'subnet' | undefined;
  readonly addresses?: readonly Address[] | undefined;
  readonly mtu?: number | undefined;
  readonly routerMac?: Mac | undefined;
  readonly version?: string | undefined;
}

/** Blanks round the parts are nobody's mistake. */
const parts = z.string().transform((text) => text.split(',').map((part) => part.trim()));

const known = new Set<string>(encapsulationField.options);

/** Annotations of a Node. */
export const nodeAnnotations = z.looseObject({
  [ENCAPSULATION]: encapsulationField.optional(),
  // One that only later versions have is none that this one could choose.
  [ENCAPSULATIONS]: parts
    .transform((names) => names.filter((name): name is Encapsulation => known.has(name)))
    .optional(),
  [DIRECT]: z
    .string()
    .transform((text) => (text === 'subnet' ? text : undefined))
    .optional(),
  [ADDRESSES]: parts.pipe(z.array(addressField)).optional(),
  [MTU]: z
    .string()
    .regex(/^[1-9]\d{2,4}$/, 'must be a number of bytes such as 1500')
    .transform(Number)
    .optional(),
  [ROUTER_MAC]: macField.optional(),
  [VERSION]: z.string().optional(),
});

export const registrationOf = (
  annotations: z.output<typeof nodeAnnotations> | null | undefined,
): Registration => ({
  encapsulation: annotations?.[ENCAPSULATION],
  encapsulations: annotations?.[ENCAPSULATIONS],
  direct: annotations?.[DIRECT],
  addresses: annotations?.[ADDRESSES],
  mtu: annotations?.[MTU],
  routerMac: annotations?.[ROUTER_MAC],
  version: annotations?.[VERSION],
});

/** The annotations that say it. */
export function annotationsOf(registration: Registration): Record<string, string> {
  const { encapsulation, encapsulations, direct, addresses, mtu, routerMac, version } = registration;
  const all = {
    [ENCAPSULATION]: encapsulation,
    [ENCAPSULATIONS]: encapsulations?.join(','),
    [DIRECT]: direct,
    [ADDRESSES]: addresses?.map(({ text }) => text).join(','),
    [MTU]: mtu?.toString(),
    [ROUTER_MAC]: routerMac && formatMac(routerMac),
    [VERSION]: version,
  };
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** A node as far as the choice between two depends on it. */
interface Side extends Pick<Registration, 'encapsulation' | 'encapsulations'> {
  readonly name: string;
}

/**
 * The encapsulation between two nodes, chosen by both alike out of what both publish: what both would rather have;
 * otherwise the wish of the one whose name comes first, then that of the other, then any that both take. A node that
 * says nothing has no wish and takes all.
 * @param kept those that `a` or `b` keeps open beside, as far as both take them
 * @returns the first one is for sending; on the others something may still arrive. None: they cannot talk
 */
export function encapsulationsBetween(
  a: Side,
  b: Side,
  fallback: Encapsulation,
  kept: readonly Encapsulation[] = [],
): readonly Encapsulation[] {
  const [first, second] = a.name < b.name ? [a, b] : [b, a];
  const taken = (one: Encapsulation) =>
    (first.encapsulations?.includes(one) ?? true) && (second.encapsulations?.includes(one) ?? true);
  const wishes = [first.encapsulation, second.encapsulation].filter((one) => one !== undefined);
  const [chosen] = [...wishes, fallback, ...encapsulationField.options].filter(taken);
  if (chosen === undefined) return [];
  const others = new Set([...wishes, ...kept].filter((one) => one !== chosen && taken(one)));
  return [chosen, ...others];
}
