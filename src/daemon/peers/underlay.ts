// What the underlay can carry towards each peer: the MTU of the kernel's own route.

import { ipQuery } from '../../host/iproute.ts';
import type { Address } from '../../net/address.ts';
import { parseAddress } from '../../net/address.ts';

/** Where nothing better is known: the least that IPv6 allows would be too timid, Ethernet's is what there is. */
const ETHERNET_MTU = 1500;

/** Smallest MTU that is believed: IPv4 must carry 576 (RFC 791), IPv6 1280 (RFC 8200 §5). */
const LEAST = { 4: 576, 6: 1280 };

/** What the host says of the ways to some peers. */
export interface RouteMtus {
  /** Of the device that has this node's address; undefined where there is none. */
  readonly own: number | undefined;
  /** Of the routes that are there, by address. */
  readonly byRemote: ReadonlyMap<string, number>;
}

export type LookUp = (remotes: readonly Address[]) => Promise<RouteMtus>;

export class Underlay {
  readonly #ask: LookUp;
  #mtus = new Map<string, number>();
  #own = ETHERNET_MTU;
  #revision = 0;

  constructor(ask: LookUp) {
    this.#ask = ask;
  }

  /** Another one whenever an MTU may be another one. */
  get revision(): number {
    return this.#revision;
  }

  /** MTU of the device that has this node's address: what holds while there are no peers. */
  get ownMtu(): number {
    return this.#own;
  }

  /** Looks up routes that are not known yet. */
  async learn(remotes: readonly Address[]): Promise<void> {
    const unknown = remotes.filter(({ text }) => !this.#mtus.has(text));
    if (unknown.length === 0 && this.#mtus.size > 0) return;
    for (const [text, mtu] of await this.#lookUp(unknown)) this.#mtus.set(text, mtu);
    this.#revision++;
  }

  /** Looks up all routes anew. @returns whether an MTU has changed */
  async refresh(remotes: readonly Address[]): Promise<boolean> {
    const fresh = await this.#lookUp(remotes);
    const changed = remotes.some(({ text }) => fresh.get(text) !== this.#mtus.get(text));
    this.#mtus = fresh;
    this.#revision++;
    return changed;
  }

  /** Largest outer IP packet towards a peer. */
  mtu({ text, family }: Address): number {
    return Math.max(this.#mtus.get(text) ?? ETHERNET_MTU, LEAST[family]);
  }

  async #lookUp(remotes: readonly Address[]): Promise<Map<string, number>> {
    const { own = ETHERNET_MTU, byRemote } = await this.#ask(remotes);
    this.#own = own;
    return new Map(remotes.map(({ text }) => [text, byRemote.get(text) ?? own]));
  }
}

/**
 * Asks the kernel of this process's network namespace.
 * @param device that the sockets are bound to
 * @param addresses this node's own
 */
export const routesHere =
  (device: string | undefined, addresses: readonly Address[]): LookUp =>
  async (remotes) => {
    const bound = device === undefined ? '' : ` oif ${device}`;
    const [links, routes] = await Promise.all([
      ipQuery(['address show']),
      ipQuery(remotes.map(({ text }) => `route get ${text}${bound}`)),
    ]);
    const isOwn = (local: string | undefined) => {
      const parsed = parseAddress(local ?? '');
      return addresses.some(({ text }) => text === parsed?.text);
    };
    const linkMtus = new Map(links.map(({ ifname, mtu }) => [ifname, Number(mtu)]));
    const own = links.find(({ addr_info }) =>
      (addr_info as { local?: string }[] | undefined)?.some(({ local }) => isOwn(local)),
    );
    const byRemote = new Map<string, number>();
    for (const { dst, dev, metrics } of routes) {
      const remote = parseAddress(String(dst));
      const metric = (metrics as { mtu?: number }[] | undefined)?.find(({ mtu }) => mtu !== undefined)?.mtu;
      const mtu = metric ?? linkMtus.get(dev);
      if (remote && mtu !== undefined) byRemote.set(remote.text, Number(mtu));
    }
    return { own: linkMtus.get(device ?? own?.ifname), byRemote };
  };
