// The host's interfaces with their addresses, as `ip -json address show` lists them (iproute2, ip/ipaddress.c).
import { ipQuery } from './iproute.ts';

/** Where not all addresses are asked for, `ip` leaves an empty object in place of each other one. */
export interface ShownAddress {
  readonly local?: string;
  readonly prefixlen?: number;
  readonly scope?: string;
  readonly deprecated?: boolean;
}

export interface ShownLink {
  readonly ifname: string;
  readonly ifindex: number;
  readonly link_type: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  /** Of the link layer. */
  readonly address?: string;
  readonly addr_info?: readonly ShownAddress[];
}

/** @throws CommandError where `ip` cannot be asked */
export async function shownLinks(): Promise<ShownLink[]> {
  return (await ipQuery(['address show'])) as unknown as ShownLink[];
}
