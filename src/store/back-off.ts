/** Waits between tries that fail: doubled each time up to a bound, and spread, so that nodes do not come all at once. */
import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_MS = 250;
const LAST_MS = 30_000;

export class BackOff {
  #next = FIRST_MS;

  /** It went well: the next wait is a short one again. */
  reset(): void {
    this.#next = FIRST_MS;
  }

  /**
   * Waits for between a half and the whole of what it is its turn to be, or at least as long as a server asks.
   * @throws AbortError
   */
  async wait(signal: AbortSignal, atLeast = 0): Promise<void> {
    const full = this.#next;
    this.#next = Math.min(full * 2, LAST_MS);
    const wait = Math.max(full * (0.5 + Math.random() / 2), Math.min(atLeast, LAST_MS));
    await sleep(wait, undefined, { signal, ref: false });
  }
}
