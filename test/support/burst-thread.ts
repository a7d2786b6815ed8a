// A thread that runs bursts over a shared memory, as a worker does, and tells what became of them by epoch.
import { parentPort, workerData } from 'node:worker_threads';
import { MAX_VERDICTS, WORKER_EPOCH, WORKER_VERDICTS } from '../../asm/layout/memory.ts';
import { workerBase } from '../../src/dataplane/memory.ts';
import { compileDataPath, instantiate, type WorkerExports } from '../../src/dataplane/module.ts';

export interface Image {
  readonly call: 'egress' | 'ingress';
  readonly rows: number;
  /** What a burst finds in memory: descriptors and frames. */
  readonly writes: readonly { readonly at: number; readonly bytes: Uint8Array }[];
}

export interface BurstThreadData {
  readonly memory: WebAssembly.Memory;
  readonly worker: number;
  readonly images: readonly Image[];
  /** Two words: threads that are ready, and whether to stop; a third counts the threads that have ended a round. */
  readonly signals: SharedArrayBuffer;
  /** 'rounds': each image once, all threads at the same time; 'endless': in turn, until the stop. */
  readonly mode: 'rounds' | 'endless';
  readonly threads: number;
}

/** Packets by epoch of their burst, by image, by verdict. */
export type Fates = Map<number, Map<number, number>[]>;

const { memory, worker, images, signals, mode, threads } = workerData as BurstThreadData;
const dataPath = instantiate<WorkerExports>(compileDataPath(), memory);
dataPath.workerInit(worker);
const base = workerBase(worker);
const bytes = new Uint8Array(memory.buffer);
const words = new Int32Array(memory.buffer);
const shared = new Int32Array(signals);
const verdicts = new BigInt64Array(memory.buffer, base + WORKER_VERDICTS, MAX_VERDICTS);
const fates: Fates = new Map();

function burst(index: number): void {
  const { call, rows, writes } = images[index] as Image;
  for (const write of writes) bytes.set(write.bytes, write.at);
  const before = verdicts.slice();
  dataPath[call](rows);
  const epoch = Atomics.load(words, (base + WORKER_EPOCH) / 4);
  const byImage = fates.get(epoch) ?? images.map(() => new Map<number, number>());
  fates.set(epoch, byImage);
  const counts = byImage[index] as Map<number, number>;
  for (const [verdict, count] of verdicts.entries()) {
    const more = Number(count - (before[verdict] as bigint));
    if (more !== 0) counts.set(verdict, (counts.get(verdict) ?? 0) + more);
  }
}

/** Returns when all threads have come here as often as this one. */
function meet(times: number): void {
  if (Atomics.add(shared, 0, 1) + 1 === times * threads) Atomics.notify(shared, 0);
  for (;;) {
    const seen = Atomics.load(shared, 0);
    if (seen >= times * threads) return;
    Atomics.wait(shared, 0, seen);
  }
}

meet(1);
if (mode === 'rounds') {
  for (const index of images.keys()) {
    meet(index + 2);
    burst(index);
  }
} else {
  for (let i = 0; Atomics.load(shared, 1) === 0; i++) burst(i % images.length);
}
Atomics.store(words, (base + WORKER_EPOCH) / 4, 0);
parentPort?.postMessage(fates);
