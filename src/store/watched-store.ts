/**
 * Store over a source that is listed and watched: etcd, or the API server.
 *
 *     collections ─► followers ─► mirror ─► changes, gathered ─► the daemon
 *
 * While the source cannot be reached, what is known stays.
 */
import type { ObjectChanges } from '../control/changes.ts';
import { type Collection, Follower } from './follower.ts';
import { Mirror } from './mirror.ts';
import type { SourceState, Store, StoreState } from './store.ts';

/** Changes come in bursts, and each set of them costs a publication. */
const GATHER_MS = 10;

export interface WatchedParts extends Required<Pick<Store, 'source' | 'publish'>> {
  readonly collections: readonly Collection[];
  /** Called when nobody follows the source any more. */
  readonly close: () => void;
}

export class WatchedStore implements Store {
  readonly source: string;
  readonly publish: WatchedParts['publish'];
  readonly #mirror = new Mirror();
  readonly #followers: readonly Follower[];
  readonly #close: WatchedParts['close'];
  #changed: (changes: ObjectChanges) => void = () => {};
  #gathering: NodeJS.Timeout | undefined;

  constructor({ source, collections, publish, close }: WatchedParts) {
    this.source = source;
    this.publish = publish;
    this.#close = close;
    this.#followers = collections.map(
      (collection) => new Follower(collection, this.#mirror.part(), () => this.#gather()),
    );
  }

  get state(): StoreState {
    const { objects, faults, counts } = this.#mirror;
    return { objects, faults, ignored: {}, counts, ...this.#sourceState() };
  }

  async start(changed: (changes: ObjectChanges) => void): Promise<void> {
    this.#changed = changed;
    for (const follower of this.#followers) follower.start();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#gathering);
    this.#changed = () => {};
    await Promise.all(this.#followers.map((follower) => follower.stop()));
    this.#close();
  }

  #gather(): void {
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      const changes = this.#mirror.takeChanges();
      if (changes) this.#changed(changes);
    }, GATHER_MS);
  }

  /** No better than that of the collection that is worst off. */
  #sourceState(): SourceState {
    const states = this.#followers.map(({ state }) => state);
    const behind = states.filter(({ isCurrent }) => !isCurrent);
    const errors = states.flatMap(({ lastError }) => lastError ?? []);
    return {
      isCurrent: behind.length === 0,
      since:
        behind.length > 0
          ? Math.min(...behind.map(({ since }) => since))
          : Math.max(...states.map(({ since }) => since)),
      lastError: errors.sort((a, b) => b.at - a.at)[0],
    };
  }
}
