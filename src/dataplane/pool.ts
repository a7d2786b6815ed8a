// The worker threads, seen from the control thread.
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { CONTROL_STOP } from '../../asm/layout/memory.ts';
import type { Addon, SlotFailure } from '../phy/addon.ts';
import type { Memory } from './memory.ts';
import type { Command, Report, WorkerCounters, WorkerData } from './messages.ts';

/** This file's own form: TypeScript under test, JavaScript when built. */
const program = new URL(`./worker${extname(fileURLToPath(import.meta.url))}`, import.meta.url);

/** A thread that does not answer is stuck in a system call or in the data path. */
const ANSWER_MS = 10_000;

type Done = Extract<Report, { type: 'done' }>;

export interface WorkerFacts {
  readonly threadId: number;
  /** Effective capabilities, a bit each; none are expected. */
  readonly capabilities: bigint;
}

interface Member {
  readonly worker: Worker;
  readonly wakeup: number;
  readonly facts: WorkerFacts;
}

export interface PoolEvents {
  failures(worker: number, failures: readonly SlotFailure[]): void;
  /** A worker has ended though nobody asked it to. */
  died(worker: number, error: Error): void;
}

export class WorkerPool {
  readonly #addon: Addon;
  readonly #memory: Memory;
  readonly #members: Member[] = [];
  readonly #waiting = new Map<number, { resolve: (done: Done) => void; reject: (error: Error) => void }>();
  readonly #events: PoolEvents;
  #lastId = 0;
  #stopping = false;

  constructor(addon: Addon, memory: Memory, events: PoolEvents) {
    this.#addon = addon;
    this.#memory = memory;
    this.#events = events;
  }

  get facts(): readonly WorkerFacts[] {
    return this.#members.map(({ facts }) => facts);
  }

  /** @param spin microseconds, see Addon.setSpin */
  async start(module: WebAssembly.Module, count: number, spin = 0): Promise<void> {
    for (let index = 0; index < count; index++) this.#members.push(await this.#startOne(module, index, spin));
  }

  /** Ends the sleep of every worker. */
  wake(): void {
    for (const { wakeup } of this.#members) this.#addon.signal(wakeup);
  }

  /** Asks one worker; descriptors that are handed over must have been released here. */
  ask(index: number, command: Command): Promise<Done> {
    const member = this.#members[index];
    if (!member) return Promise.reject(new Error(`there is no worker ${index}`));
    const id = ++this.#lastId;
    return new Promise<Done>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`worker ${index} has not answered ${command.type} for ${ANSWER_MS} ms`));
      }, ANSWER_MS);
      const settle = () => {
        clearTimeout(timer);
        this.#waiting.delete(id);
      };
      this.#waiting.set(id, {
        resolve: (done) => {
          settle();
          resolve(done);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      member.worker.postMessage({ ...command, id });
      this.#addon.signal(member.wakeup);
    });
  }

  /** Asks every worker the same. */
  async askAll(command: Command): Promise<void> {
    await Promise.all(this.#members.map((_, index) => this.ask(index, command)));
  }

  /** Each worker's counters, each set taken between two bursts. */
  async counters(): Promise<WorkerCounters[]> {
    const answers = await Promise.all(this.#members.map((_, index) => this.ask(index, { type: 'counters' })));
    return answers.flatMap(({ counters }) => counters ?? []);
  }

  /** Lets every worker end its burst and its loop; never interrupts one. */
  async stop(): Promise<void> {
    this.#stopping = true;
    Atomics.store(this.#memory.words, CONTROL_STOP / 4, 1);
    this.wake();
    await Promise.all(this.#members.map(({ worker }) => ended(worker)));
    for (const { wakeup } of this.#members) this.#addon.close(wakeup);
    this.#members.length = 0;
  }

  #startOne(module: WebAssembly.Module, index: number, spin: number): Promise<Member> {
    const wakeup = this.#addon.openWakeup();
    const workerData: WorkerData = { index, module, memory: this.#memory.wasm, wakeup, spin };
    const worker = new Worker(program, { workerData, name: `overweft-${index}` });
    return new Promise<Member>((resolve, reject) => {
      worker.on('message', (report: Report) => {
        if (report.type === 'ready') resolve({ worker, wakeup, facts: report });
        else this.#receive(index, report);
      });
      const died = (error: Error) => {
        reject(error);
        for (const { reject } of this.#waiting.values()) reject(error);
        if (!this.#stopping) this.#events.died(index, error);
      };
      worker.on('error', died);
      worker.on('exit', (status) => {
        if (!this.#stopping) died(new Error(`worker ${index} has ended with status ${status}`));
      });
    });
  }

  #receive(index: number, report: Exclude<Report, { type: 'ready' }>): void {
    switch (report.type) {
      case 'done':
        this.#waiting.get(report.id)?.resolve(report);
        break;
      case 'refused':
        this.#waiting.get(report.id)?.reject(new Error(report.message));
        break;
      case 'failures':
        this.#events.failures(index, report.failures);
    }
  }
}

function ended(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    if (worker.threadId === -1) resolve();
    else worker.once('exit', () => resolve());
  });
}
