// Field types that configuration and manifests share: text in, validated value out.
import { z } from 'zod';
import { type Address, parseAddress } from '../net/address.ts';
import { type Mac, parseMac } from '../net/mac.ts';
import { type Prefix, parsePrefix } from '../net/prefix.ts';

/** A string that `read` understands; `right` says what would be. */
function parsed<T>(read: (text: string) => T | undefined, right: string) {
  return z.string({ error: right }).transform((text, context): T => {
    const value = read(text);
    if (value !== undefined) return value;
    context.issues.push({ code: 'custom', message: `${right}, not ${JSON.stringify(text)}`, input: text });
    return z.NEVER;
  });
}

export const addressField = parsed<Address>(
  parseAddress,
  'must be an IPv4 or IPv6 address such as 192.0.2.1 or 2001:db8::1',
);

export const prefixField = parsed<Prefix>(
  parsePrefix,
  'must be a CIDR block such as 10.244.1.0/24 or fd00:244:1::/64',
);

/** A DNS server: an address, with a port where it is not 53. */
export const serverField = parsed<{ readonly address: Address; readonly port: number }>(
  readServer,
  'must be a DNS server such as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:5353',
);

function readServer(text: string) {
  const [, inBrackets, plain = text, portText = '53'] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = parseAddress(inBrackets ?? plain);
  const port = Number(portText);
  return address && port > 0 && port < 65_536 ? { address, port } : undefined;
}

export const macField = parsed<Mac>(parseMac, 'must be a MAC address such as 02:00:00:00:00:01');

/** An integer within bounds. */
export const integer = (least: number, most: number) => {
  const right = `must be an integer from ${least} to ${most}`;
  return z.number({ error: right }).int(right).min(least, right).max(most, right);
};

export const portField = integer(1, 65535);

/** First and last port of a range. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** A range of ports from `least` on, with room for `room`. */
export const portRangeField = (least: number, room: number) =>
  parsed<PortRange>((text) => {
    const [, from = '', to = ''] = /^(\d{1,5})-(\d{1,5})$/.exec(text) ?? [];
    const [first, last] = [Number(from), Number(to)];
    const isRange = from !== '' && first >= least && last < 65_536 && last - first + 1 >= room;
    return isRange ? { first, last } : undefined;
  }, `must be a range of at least ${room} ports from ${least} to 65535, such as 61000-65535`);

/** A name as Kubernetes allows it for nodes and pods (RFC 1123 subdomain). */
export const nameField = z
  .string({ error: 'must be a name such as node-1' })
  .regex(
    /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/,
    'must be a name of lower-case letters, digits, "-" and "." such as node-1',
  );

/** An absolute path. */
export const pathField = z
  .string({ error: 'must be an absolute path' })
  .refine((text) => text.startsWith('/') && !text.includes('\0'), 'must be an absolute path');
