// The underlay's device as peers of its subnets see it, and who answers there.
import { ipQuery } from '../../host/iproute.ts';
import { type ShownLink, shownLinks } from '../../host/links.ts';
import { type Address, parseAddress } from '../../net/address.ts';
import { type Mac, parseMac } from '../../net/mac.ts';
import { contains, type Prefix, parsePrefix } from '../../net/prefix.ts';

export interface DirectDevice {
  readonly name: string;
  readonly index: number;
  readonly mac: Mac;
  /** This node's underlay addresses on it. */
  readonly addresses: readonly Address[];
  readonly subnets: readonly Prefix[];
}

interface Neighbour {
  readonly dst?: string;
  readonly lladdr?: string;
  readonly state?: readonly string[];
}

/** NUD_VALID without NUD_NOARP, linux/neighbour.h, as `ip neigh` writes it. */
const answering = new Set(['REACHABLE', 'STALE', 'DELAY', 'PROBE', 'PERMANENT']);

/**
 * The device that has the first of these addresses.
 * @throws Error that says why there is none on which frames go to and fro
 */
export async function directDevice(own: readonly Address[]): Promise<DirectDevice> {
  const links = await shownLinks();
  const local = ({ addr_info = [] }: ShownLink, address: Address) =>
    addr_info.some((one) => parseAddress(one.local ?? '')?.text === address.text);
  const [first] = own;
  const link = first && links.find((one) => local(one, first));
  if (!first || !link) throw new Error(`no interface has ${first?.text ?? 'an underlay address'}`);
  const mac = parseMac(link.address ?? '');
  if (link.link_type !== 'ether' || !mac) throw new Error(`${link.ifname} is no Ethernet device`);
  if (!link.flags.includes('UP')) throw new Error(`${link.ifname} is down`);
  return {
    name: link.ifname,
    index: link.ifindex,
    mac,
    addresses: own.filter((address) => local(link, address)),
    subnets: (link.addr_info ?? []).flatMap(({ local, prefixlen }) => {
      const subnet = parsePrefix(`${local}/${prefixlen}`);
      return subnet ? [subnet] : [];
    }),
  };
}

/** This node's and the peer's address on one subnet of the device; undefined: there is none. */
export function onOneSubnet(
  { addresses, subnets }: DirectDevice,
  peer: readonly Address[],
): { readonly local: Address; readonly remote: Address } | undefined {
  for (const local of addresses) {
    const remote = peer.find((one) =>
      subnets.some((subnet) => contains(subnet, local) && contains(subnet, one)),
    );
    if (remote) return { local, remote };
  }
  return undefined;
}

/** MACs of those who answer, by address text. The kernel is asked to look for, or again at, all of them. */
export async function neighboursOf(
  { name }: DirectDevice,
  addresses: readonly Address[],
): Promise<Map<string, Mac>> {
  if (addresses.length === 0) return new Map();
  const shown = await ipQuery([
    // NTF_USE: as if a packet were to be sent there (linux/neighbour.h).
    ...addresses.map(({ text }) => `neigh replace ${text} dev ${name} nud none use`),
    `neigh show dev ${name}`,
  ]);
  const wanted = new Set(addresses.map(({ text }) => text));
  return new Map(
    (shown as Neighbour[]).flatMap(({ dst = '', lladdr = '', state = [] }): [string, Mac][] => {
      const text = parseAddress(dst)?.text ?? '';
      const mac = parseMac(lladdr);
      return mac && wanted.has(text) && state.some((one) => answering.has(one)) ? [[text, mac]] : [];
    }),
  );
}
