/**
 * Keeps a part of a mirror equal to a collection at its source: list, watch from there, watch again from where the last
 * one ended, and list again only where the source no longer has what came since.
 *
 *     list ──► watch ──► ended ─┐
 *      ▲         ▲              │
 *      │         └──── wait ◄───┤ failed: waits grow
 *      └──────── gone ◄─────────┘ 410, compaction
 */
import { BackOff } from './back-off.ts';
import { HttpFault } from './http.ts';
import type { Item, Part } from './mirror.ts';
import type { SourceState } from './store.ts';

/** Shorter watches that brought nothing are tries that failed: a source that ends them at once is not asked in a loop. */
const SHORT_MS = 1_000;

/** What happened at the source, in its order. */
export type Event =
  | { readonly type: 'put'; readonly item: Item; readonly revision: string }
  | { readonly type: 'remove'; readonly source: string; readonly revision: string }
  /** Nothing, up to a revision; the first one says that the watch has begun. */
  | { readonly type: 'progress'; readonly revision: string };

export interface Collection {
  /** In messages. */
  readonly name: string;
  /**
   * Everything.
   * @param put called with each object
   * @returns the revision from which on a watch tells the rest
   * @throws Gone where pages no longer fit together
   */
  readonly list: (put: (item: Item) => void, signal: AbortSignal) => Promise<string>;
  /**
   * What happens after a revision, until the source ends it.
   * @throws Gone
   */
  readonly watch: (revision: string, signal: AbortSignal) => AsyncIterable<Event>;
}

/** The source no longer has what happened since a revision. */
export class Gone extends Error {
  override readonly name = 'Gone';
}

export class Follower {
  readonly #collection: Collection;
  readonly #part: Part;
  readonly #changed: () => void;
  readonly #stop = new AbortController();
  readonly #backOff = new BackOff();
  #revision: string | undefined;
  #state: SourceState = { isCurrent: false, since: Date.now(), lastError: undefined };
  #running: Promise<void> | undefined;

  /** @param changed called when the part or the state may have changed */
  constructor(collection: Collection, part: Part, changed: () => void) {
    this.#collection = collection;
    this.#part = part;
    this.#changed = changed;
  }

  get state(): SourceState {
    return this.#state;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#round(signal);
      } catch (error) {
        if (signal.aborted) return;
        await this.#recover(error as Error, signal).catch(() => {});
      }
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    if (this.#revision === undefined) {
      const listing = this.#part.list();
      this.#revision = await this.#collection.list(listing.put, signal);
      listing.end();
      this.#set({ isCurrent: true });
    }
    const started = Date.now();
    let told = 0;
    try {
      for await (const event of this.#collection.watch(this.#revision, signal)) {
        if (event.type === 'put') this.#part.put(event.item);
        else if (event.type === 'remove') this.#part.remove(event.source);
        if (event.type !== 'progress') told++;
        this.#revision = event.revision;
        this.#set({ isCurrent: true });
      }
    } finally {
      if (told > 0 || Date.now() - started >= SHORT_MS) this.#backOff.reset();
    }
    if (told === 0 && Date.now() - started < SHORT_MS) throw new Error('the watch ends at once');
  }

  async #recover(error: Error, signal: AbortSignal): Promise<void> {
    if (error instanceof Gone) {
      this.#revision = undefined;
    } else {
      const message = `${this.#collection.name}: ${error.message || (error as NodeJS.ErrnoException).code}`;
      this.#set({ isCurrent: false, lastError: { message, at: Date.now() } });
    }
    await this.#backOff.wait(signal, error instanceof HttpFault ? error.retryAfter : 0);
  }

  #set(state: Partial<SourceState>): void {
    const { isCurrent = this.#state.isCurrent } = state;
    const since = isCurrent === this.#state.isCurrent ? this.#state.since : Date.now();
    this.#state = { ...this.#state, ...state, since };
    this.#changed();
  }
}
