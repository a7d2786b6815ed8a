// The host's own resolvers, as resolv.conf(5) names them. Pure.
import { type Address, parseAddress } from '../net/address.ts';

/** Of `nameserver` lines; scoped IPv6 addresses, which have a meaning on one link only, are left out. */
export function nameServersOf(text: string): Address[] {
  return text
    .split('\n')
    .map((line) => /^nameserver\s+(\S+)/.exec(line)?.[1] ?? '')
    .flatMap((word) => parseAddress(word) ?? []);
}
