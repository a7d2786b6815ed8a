/**
 * Keeps the table that leads what arrives for Services from outside to the data path. It stays when the daemon ends:
 * connections through it go on with the next one, which replaces the table whole.
 */
import type { Logger } from 'pino';
import { shownLinks } from '../../host/links.ts';
import { hasElements, hasTable, nftScript } from '../../host/nft.ts';
import type { Mac } from '../../net/mac.ts';
import type { Knocks } from '../../service/outside.ts';
import { DIVERT_TABLE, divertScript, elementScript } from './divert-rules.ts';
import { nodeTaps } from './node-ports.ts';

export interface DivertState {
  /** Where clients may arrive. */
  readonly devices: readonly string[];
  /** Addresses with protocol and port that are taken from the kernel. */
  readonly frontends: number;
  /** Why Services have no way in from outside; null: they have. */
  readonly fault: string | null;
}

const none: Knocks = {
  frontends: { 4: new Set(), 6: new Set() },
  addresses: { 4: new Set(), 6: new Set() },
};
const [FAMILY = '', NAME = ''] = DIVERT_TABLE.split(' ');

export class Divert {
  readonly #log: Logger;
  #wanted: { readonly knocks: Knocks; readonly routerMac: Mac } | undefined;
  /** What the kernel has; undefined: not known. */
  #applied: { readonly knocks: Knocks; readonly skeleton: string } | undefined;
  #devices: readonly string[] | undefined;
  #fault: string | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(log: Logger) {
    this.#log = log;
  }

  get state(): DivertState {
    const { frontends } = this.#applied?.knocks ?? none;
    return {
      devices: this.#devices ?? [],
      frontends: frontends[4].size + frontends[6].size,
      fault: this.#fault ?? null,
    };
  }

  /** Never fails: what is inside the cluster needs none of it. */
  apply(knocks: Knocks, routerMac: Mac): Promise<void> {
    this.#wanted = { knocks, routerMac };
    return this.#inTurn(() => this.#write());
  }

  /** Follows the host's devices, and puts back what a firewall that was loaded anew has flushed. */
  check(): Promise<void> {
    return this.#inTurn(async () => {
      this.#devices = await arrivals();
      if (this.#applied && !(await hasTable(FAMILY, NAME).catch(() => false))) this.#applied = undefined;
      await this.#write();
    });
  }

  /** Whether the kernel has these frontends; others may have changed its tables. */
  async has(frontends: Knocks['frontends']): Promise<boolean> {
    for (const family of [4, 6] as const) {
      const elements = [...frontends[family]];
      if (elements.length > 0 && !(await hasElements(DIVERT_TABLE, `frontends${family}`, elements)))
        return false;
    }
    return true;
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work).catch((error: Error) => {
      this.#applied = undefined;
      const fault = `Services cannot be reached from outside by this node: ${error.message}`;
      if (fault !== this.#fault) this.#log.warn(fault);
      this.#fault = fault;
    });
    return this.#last;
  }

  async #write(): Promise<void> {
    if (!this.#wanted) return;
    const { knocks, routerMac } = this.#wanted;
    this.#devices ??= await arrivals();
    const skeleton = divertScript(this.#devices, routerMac);
    const isNew = this.#applied?.skeleton !== skeleton;
    const elements = elementScript(isNew ? none : (this.#applied?.knocks ?? none), knocks);
    const script = isNew ? skeleton + elements : elements;
    if (script !== '') await nftScript(script);
    this.#applied = { knocks, skeleton };
    this.#fault = undefined;
  }
}

/** Devices with Ethernet headers and an address that others can reach, and the node's own lo. */
async function arrivals(): Promise<string[]> {
  const own = new Set<string>(nodeTaps.map(({ device }) => device));
  return (await shownLinks())
    .filter(({ link_type, addr_info = [], ifname }) => {
      if (link_type === 'loopback') return true;
      return link_type === 'ether' && !own.has(ifname) && addr_info.some(({ scope }) => scope === 'global');
    })
    .map(({ ifname }) => ifname)
    .sort();
}
