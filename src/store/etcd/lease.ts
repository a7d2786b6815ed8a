/**
 * A key that is there as long as its daemon is: etcd takes it away when the lease runs out.
 * It says nothing about the data path, which goes on without etcd.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BackOff } from '../back-off.ts';
import type { EtcdClient } from './client.ts';

export class Lease {
  readonly #client: EtcdClient;
  readonly #key: string;
  readonly #seconds: number;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #lease: string | undefined;

  /** @param seconds for which it holds without a word from here */
  constructor(client: EtcdClient, key: string, seconds: number) {
    this.#client = client;
    this.#key = key;
    this.#seconds = seconds;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** The key goes at once where etcd can be reached, and otherwise with its time. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    if (this.#lease !== undefined)
      await this.#client.revoke(this.#lease, AbortSignal.timeout(1000)).catch(() => {});
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const backOff = new BackOff();
    while (!signal.aborted) {
      try {
        await this.#renew(signal);
        backOff.reset();
        // Two may be lost.
        await sleep((this.#seconds * 1000) / 3, undefined, { signal, ref: false });
      } catch {
        // The store's own state says what is wrong with etcd.
        await backOff.wait(signal).catch(() => {});
      }
    }
  }

  async #renew(signal: AbortSignal): Promise<void> {
    if (this.#lease !== undefined && (await this.#client.keepAlive(this.#lease, signal))) return;
    this.#lease = await this.#client.grant(this.#seconds, signal);
    await this.#client.putLeased(this.#key, new Date().toISOString(), this.#lease, signal);
  }
}
