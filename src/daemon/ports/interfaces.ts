// How the interfaces of pods and of the node are set up, as lines for `ip -batch`. Pure.
import { gateway4, gateway6 } from '../../dataplane/tables.ts';
import type { IpLines } from '../../host/iproute.ts';
import type { Address } from '../../net/address.ts';
import { formatMac, type Mac } from '../../net/mac.ts';
import type { Prefix } from '../../net/prefix.ts';

/** Superframes stay below this, so that with all headers they fit an IP packet. */
const GSO_MAX = 61_000;

const via = (family: 4 | 6, device: string) =>
  `via ${(family === 4 ? gateway4 : gateway6).text} dev ${device} onlink`;

/** Duplicate addresses are ruled out by who hands them out; probing for them would only delay the pod. */
const addressLine = ({ text, family }: Address, device: string) =>
  family === 4 ? `addr replace ${text}/32 dev ${device}` : `addr replace ${text}/128 dev ${device} nodad`;

const linkLine = (device: string, mac: Mac, mtu: number) =>
  `link set dev ${device} address ${formatMac(mac)} mtu ${mtu} gso_max_size ${GSO_MAX} up`;

/** A pod: its addresses alone, everything else behind the gateway. */
export function podLines(device: string, mac: Mac, mtu: number, addresses: readonly Address[]): IpLines {
  const families = new Set(addresses.map(({ family }) => family));
  return [
    'link set dev lo up',
    linkLine(device, mac, mtu),
    ...addresses.map((address) => addressLine(address, device)),
    ...[...families].map(
      (family) => `route replace ${family === 4 ? '0.0.0.0/0' : '::/0'} ${via(family, device)}`,
    ),
  ];
}

/** A node's TAP and its routes to pods. */
export interface NodeInterface {
  readonly device: string;
  readonly mac: Mac;
  readonly mtu: number;
  readonly addresses: readonly Address[];
  /** Blocks behind it, each with the source address that the node prefers, if any. */
  readonly routes: readonly { readonly prefix: Prefix; readonly source: Address | undefined }[];
  readonly table: number;
}

export function nodeLines({ device, mac, mtu, addresses, routes, table }: NodeInterface): IpLines {
  return [
    linkLine(device, mac, mtu),
    ...addresses.map((address) => addressLine(address, device)),
    ...routes.map(({ prefix, source }) => {
      const { family } = prefix.address;
      const preferred = source ? ` src ${source.text}` : '';
      return `route replace ${prefix.text} ${via(family, device)}${preferred} table ${table}`;
    }),
  ];
}
