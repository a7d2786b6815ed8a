/** Where the resolver listens: on UDP and TCP of each address. */
import type { Address } from '../net/address.ts';
import type { Resolver } from './resolver.ts';
import type { Statistics } from './statistics.ts';
import { listenTcp } from './tcp.ts';
import { listenUdp } from './udp.ts';

export interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

/** Milliseconds until an address is tried again that could not be bound: another program may have had it. */
const RETRY_MS = 3000;

export class Listeners {
  readonly #resolver: Resolver;
  readonly #statistics: Statistics;
  readonly #port: number;
  readonly #changed: (faults: ReadonlyMap<string, string>) => void;
  readonly #open = new Map<string, readonly Listener[]>();
  /** Why an address has no listener, by its text. */
  readonly #faults = new Map<string, string>();
  #wanted: readonly Address[] = [];
  #retry: NodeJS.Timeout | undefined;
  /** Changes come one after another. */
  #last: Promise<void> = Promise.resolve();

  /** @param changed called when an address has, or no longer has, a reason why nothing listens there */
  constructor(
    resolver: Resolver,
    statistics: Statistics,
    port: number,
    changed: (faults: ReadonlyMap<string, string>) => void,
  ) {
    this.#resolver = resolver;
    this.#statistics = statistics;
    this.#port = port;
    this.#changed = changed;
  }

  /** @returns when it listens on these and on no others, as far as that is possible */
  listen(addresses: readonly Address[]): Promise<void> {
    this.#wanted = addresses;
    this.#last = this.#last.then(() => this.#settle());
    return this.#last;
  }

  async #settle(): Promise<void> {
    clearTimeout(this.#retry);
    const wanted = new Set(this.#wanted.map(({ text }) => text));
    for (const text of [...this.#faults.keys()]) if (!wanted.has(text)) this.#faults.delete(text);
    for (const [text, listeners] of this.#open) {
      if (wanted.has(text)) continue;
      this.#open.delete(text);
      await closeAll(listeners);
    }
    for (const address of this.#wanted) if (!this.#open.has(address.text)) await this.#bind(address);
    this.#changed(this.#faults);
    if (this.#faults.size > 0)
      this.#retry = setTimeout(() => void this.listen(this.#wanted), RETRY_MS).unref();
  }

  async #bind(address: Address): Promise<void> {
    const made: Listener[] = [];
    try {
      made.push(await listenUdp(address, this.#port, this.#resolver));
      made.push(await listenTcp(address, this.#port, this.#resolver, this.#statistics));
      this.#open.set(address.text, made);
      this.#faults.delete(address.text);
    } catch (error) {
      await closeAll(made);
      this.#faults.set(address.text, (error as Error).message);
    }
  }
}

const closeAll = (listeners: readonly Listener[]) => Promise.all(listeners.map((one) => one.close()));
