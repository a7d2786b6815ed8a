// Whether the underlay is still where it was found.
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import type { Address } from '../net/address.ts';
import { UnderlayError } from './choose.ts';
import { findUnderlay, isFound, rememberInternalIPs, withUnderlay } from './found.ts';

export interface UnderlayState {
  /** This node's ends of the tunnels. */
  readonly addresses: readonly {
    readonly address: string;
    /** Null where nobody has looked. */
    readonly interface: string | null;
    /** What has chosen it. */
    readonly because: string;
  }[];
  /** Why they are no longer to be found; what was found last is used meanwhile. */
  readonly fault: string | null;
}

export class UnderlayWatch {
  readonly #written: Config | undefined;
  readonly #used: Config;
  readonly #log: Logger;
  #addresses: UnderlayState['addresses'];
  #fault: string | null = null;

  /**
   * @param written the configuration as it was written; undefined: nothing may change
   * @param used the same with what was found
   */
  constructor(written: Config | undefined, used: Config, log: Logger) {
    this.#written = written && isFound(written) ? written : undefined;
    this.#used = used;
    this.#log = log;
    const { addresses, interface: device = null } = used.underlay;
    this.#addresses = addresses.map(({ text }) => ({
      address: text,
      interface: device,
      because: 'underlay.addresses',
    }));
  }

  get state(): UnderlayState {
    return { addresses: this.#addresses, fault: this.#fault };
  }

  /**
   * Looks at the host again.
   * @param internalIPs of this node's object, once it is known
   * @returns whether the daemon must begin anew
   */
  async check(internalIPs: readonly Address[] | undefined): Promise<boolean> {
    const written = this.#written;
    if (!written) return false;
    try {
      if (internalIPs && internalIPs.length > 0) rememberInternalIPs(written, internalIPs);
      const now = await withUnderlay(written);
      this.#fault = null;
      if (isSame(now, this.#used)) {
        this.#addresses = (await findUnderlay(written)).map(({ address, device, because }) => {
          return { address: address.text, interface: device, because };
        });
        return false;
      }
      this.#log.warn(
        { before: textOf(this.#used), now: textOf(now) },
        'the underlay is elsewhere now: the daemon begins anew',
      );
      return true;
    } catch (error) {
      if (!(error instanceof UnderlayError)) throw error;
      if (this.#fault !== error.message)
        this.#log.warn(`${error.message}: what was found before stays in use`);
      this.#fault = error.message;
      return false;
    }
  }
}

const textOf = ({ underlay }: Config) => ({
  addresses: underlay.addresses.map(({ text }) => text),
  interface: underlay.interface ?? null,
});

const isSame = (a: Config, b: Config): boolean => isDeepStrictEqual(textOf(a), textOf(b));
