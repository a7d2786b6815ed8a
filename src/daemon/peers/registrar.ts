/** Sees to it that the store says of this node what its daemon says, also after somebody else has said otherwise. */
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import { annotationsOf, type Registration, registrationOf } from '../../control/registration.ts';
import { BackOff } from '../../store/back-off.ts';
import type { Store } from '../../store/store.ts';

export interface RegistrarParts {
  readonly config: Config;
  readonly store: Store;
  /** What peers should know of this node; undefined: it is not known yet. */
  readonly wanted: () => Registration | undefined;
  readonly log: Logger;
}

/** `none`: the store takes no word of daemons. */
export interface RegistrationState {
  readonly state: 'none' | 'waiting' | 'published' | 'failing';
  /** Why the last try has failed. */
  readonly error: string | null;
}

export class Registrar {
  readonly #parts: RegistrarParts;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #error: string | undefined;

  constructor(parts: RegistrarParts) {
    this.#parts = parts;
  }

  get state(): RegistrationState {
    if (!this.#parts.store.publish) return { state: 'none', error: null };
    const error = this.#error ?? null;
    if (this.#missing() === undefined && this.#parts.store.state.objects)
      return { state: 'published', error };
    return { state: error === null ? 'waiting' : 'failing', error };
  }

  /** The store, or what is to be said, may be another one than before. */
  follow(): void {
    if (!this.#parts.store.publish || this.#stop.signal.aborted || this.#missing() === undefined) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** What is to be said and is not said; undefined: nothing, as far as it is known. */
  #missing(): Record<string, string> | undefined {
    const { config, store, wanted } = this.#parts;
    const registration = wanted();
    const { objects } = store.state;
    if (!registration || !objects) return undefined;
    const annotations = annotationsOf(registration);
    const own = objects.nodes.find(({ metadata }) => metadata.name === config.node);
    const said = own && annotationsOf(registrationOf(own.metadata.annotations));
    return isDeepStrictEqual(annotations, said) ? undefined : annotations;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { config, store, log } = this.#parts;
    const backOff = new BackOff();
    const node = {
      podCIDRs: (config.podNetwork.podCIDRs ?? []).map(({ text }) => text),
      addresses: config.underlay.addresses.map(({ text }) => text),
    };
    for (;;) {
      const annotations = this.#missing();
      if (signal.aborted || annotations === undefined) return;
      try {
        await store.publish?.({ name: config.node, annotations, node }, signal);
        if (this.#error !== undefined) log.info('this node is registered again');
        this.#error = undefined;
      } catch (error) {
        const { message } = error as Error;
        if (message !== this.#error && !signal.aborted)
          log.warn(`this node cannot be registered: ${message}`);
        this.#error = message;
      }
      // What is written comes back by the watch.
      await backOff.wait(signal).catch(() => {});
    }
  }
}
