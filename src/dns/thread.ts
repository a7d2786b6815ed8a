/**
 * The resolver, seen from the control thread, which it must not keep waiting and which must not keep it waiting.
 *
 *     store ─► ObjectChanges ─► NameChanges ─ message ─► its thread
 */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Config } from '../config/schema.ts';
import type { ObjectChanges } from '../control/changes.ts';
import type { Address } from '../net/address.ts';
import type { DnsState, DnsThreadData, Notice, Order } from './messages.ts';
import { isEmpty, nameChanges } from './objects.ts';

/** This file's own form: TypeScript under test, JavaScript when built. */
const program = new URL(`./worker${extname(fileURLToPath(import.meta.url))}`, import.meta.url);

/** A thread that does not answer is stuck. */
const ANSWER_MS = 10_000;

type DnsConfig = NonNullable<Config['dns']>;

export interface DnsThreadEvents {
  /** Addresses at which nothing listens, and why, whenever that changes. */
  faults(faults: Readonly<Record<string, string>>): void;
  /** The thread has ended though nobody asked it to. */
  died(error: Error): void;
}

export class DnsThread {
  readonly #worker: Worker;
  readonly #withPods: boolean;
  readonly #waiting = new Map<number, (state: DnsState) => void>();
  #addresses = '';
  #lastId = 0;
  #stopping = false;

  private constructor(worker: Worker, withPods: boolean) {
    this.#worker = worker;
    this.#withPods = withPods;
  }

  static async start(
    { domain, ttl, pods, cache, upstreams, port }: DnsConfig,
    { clusterCIDRs, serviceCIDRs }: Config['podNetwork'],
    events: DnsThreadEvents,
  ): Promise<DnsThread> {
    const workerData: DnsThreadData = {
      zone: { domain, ttl, pods, blocks: [...clusterCIDRs, ...serviceCIDRs].map(({ text }) => text) },
      cache,
      upstreams: upstreams?.map((one) => ({ address: one.address.text, port: one.port })),
      port,
    };
    const worker = new Worker(program, { workerData, name: 'overweft-dns' });
    const thread = new DnsThread(worker, pods === 'existing');
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (notice: Notice) => {
        if (notice.type === 'ready') resolve();
        else if (notice.type === 'faults') events.faults(notice.faults);
        else thread.#waiting.get(notice.id)?.(notice.state);
      });
      const died = (error: Error) => {
        reject(error);
        if (!thread.#stopping) events.died(error);
      };
      worker.on('error', died);
      worker.on('exit', (status) => {
        if (!thread.#stopping) died(new Error(`the resolver has ended with status ${status}`));
      });
    });
    return thread;
  }

  change(changes: ObjectChanges): void {
    const names = nameChanges(changes, this.#withPods);
    if (!isEmpty(names)) this.#tell({ type: 'names', changes: names });
  }

  /** Has it listen there, and nowhere else; packets and pods need not wait for that. */
  listen(addresses: readonly Address[]): void {
    const texts = addresses.map(({ text }) => text);
    if (texts.join() === this.#addresses) return;
    this.#addresses = texts.join();
    this.#tell({ type: 'listen', addresses: texts });
  }

  /** @throws Error where the thread does not answer */
  state(): Promise<DnsState> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`the resolver has not answered for ${ANSWER_MS} ms`));
      }, ANSWER_MS);
      this.#waiting.set(id, (state) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(state);
      });
      this.#tell({ type: 'counters', id });
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#worker.terminate();
  }

  #tell(order: Order): void {
    this.#worker.postMessage(order);
  }
}
