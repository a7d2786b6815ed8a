/**
 * Addresses of this host at which its host ports answer, whether its Node object names them or not: a second card, an
 * address that moves between nodes.
 */
import type { Logger } from 'pino';
import { type ShownLink, shownLinks } from '../../host/links.ts';
import { type Address, parseAddress } from '../../net/address.ts';
import { nodeTaps } from './node-ports.ts';

export class HostAddresses {
  readonly #log: Logger;
  #addresses: readonly Address[] = [];

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Another array after each change. */
  get addresses(): readonly Address[] {
    return this.#addresses;
  }

  /** Looks again. @returns whether they are others than before */
  async refresh(): Promise<boolean> {
    try {
      const addresses = globalAddresses(await shownLinks());
      const texts = (list: readonly Address[]) => list.map(({ text }) => text).join(' ');
      if (texts(addresses) === texts(this.#addresses)) return false;
      this.#addresses = addresses;
      return true;
    } catch (error) {
      this.#log.warn({ err: error }, "the host's addresses cannot be listed");
      return false;
    }
  }
}

/** Neither those of the node in the pod network, nor those that it announces for Services: these have no preferred life. */
function globalAddresses(links: readonly ShownLink[]): Address[] {
  const own = new Set<string>(nodeTaps.map(({ device }) => device));
  return links
    .filter(({ ifname }) => !own.has(ifname))
    .flatMap(({ addr_info = [] }) => addr_info)
    .filter(({ scope, deprecated }) => scope === 'global' && deprecated !== true)
    .flatMap(({ local = '' }) => parseAddress(local) ?? [])
    .sort((a, b) => (a.text < b.text ? -1 : 1));
}
