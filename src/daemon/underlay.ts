// What the underlay can carry towards each peer: the MTU of the kernel's own route.

import { ipQuery } from '../host/iproute.ts';
import type { Address } from '../net/address.ts';
import { parseAddress } from '../net/address.ts';

/** Where nothing better is known: the least that IPv6 allows would be too timid, Ethernet's is what there is. */
const ETHERNET_MTU = 1500;

/** Smallest MTU that is believed: IPv4 must carry 576 (RFC 791), IPv6 1280 (RFC 8200 §5). */
const LEAST = { 4: 576, 6: 1280 };

export class Underlay {
  readonly #device: string | undefined;
  readonly #addresses: readonly Address[];
  #mtus = new Map<string, number>();
  #own = ETHERNET_MTU;
  #revision = 0;

  /**
   * @param device that the sockets are bound to
   * @param addresses this node's own
   */
  constructor(device: string | undefined, addresses: readonly Address[]) {
    this.#device = device;
    this.#addresses = addresses;
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
    const device = this.#device === undefined ? '' : ` oif ${this.#device}`;
    const [links, routes] = await Promise.all([
      ipQuery(['address show']),
      ipQuery(remotes.map(({ text }) => `route get ${text}${device}`)),
    ]);
    const linkMtus = new Map(links.map(({ ifname, mtu }) => [ifname, Number(mtu)]));
    const own = links.find(({ addr_info }) =>
      (addr_info as { local?: string }[] | undefined)?.some(({ local }) => this.#isOwn(local)),
    );
    this.#own = linkMtus.get(this.#device ?? own?.ifname) ?? ETHERNET_MTU;
    const fallback = this.#own;
    const found = new Map<string, number>(remotes.map(({ text }) => [text, fallback]));
    for (const { dst, dev, metrics } of routes) {
      const remote = parseAddress(String(dst));
      const metric = (metrics as { mtu?: number }[] | undefined)?.find(({ mtu }) => mtu !== undefined)?.mtu;
      if (remote) found.set(remote.text, Number(metric ?? linkMtus.get(dev) ?? fallback));
    }
    return found;
  }

  #isOwn(local: string | undefined): boolean {
    const parsed = parseAddress(local ?? '');
    return this.#addresses.some(({ text }) => text === parsed?.text);
  }
}
