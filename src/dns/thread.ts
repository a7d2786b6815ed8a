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
  readonly #waiting = new Map<number, (notice: Notice) => void>();
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
        else thread.#waiting.get(notice.id)?.(notice);
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

  /** @returns when it listens there; does nothing when that is where it listens */
  async listen(addresses: readonly Address[]): Promise<void> {
    const texts = addresses.map(({ text }) => text);
    if (texts.join() === this.#addresses) return;
    this.#addresses = texts.join();
    await this.#ask((id) => ({ type: 'listen', id, addresses: texts }));
  }

  async state(): Promise<DnsState> {
    const notice = await this.#ask((id) => ({ type: 'counters', id }));
    if (notice.type !== 'counters') throw new TypeError(`the resolver answers ${notice.type}`);
    return notice.state;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#worker.terminate();
  }

  #tell(order: Order): void {
    this.#worker.postMessage(order);
  }

  #ask(order: (id: number) => Order): Promise<Notice> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      this.#waiting.set(id, (notice) => {
        this.#waiting.delete(id);
        resolve(notice);
      });
      this.#tell(order(id));
    });
  }
}
