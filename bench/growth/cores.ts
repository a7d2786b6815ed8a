/**
 * As many instances over one memory as there are cores, each in a thread with its own connections.
 *
 *     round  ┌ 1 core: all threads but one sleep ┐ ┌ 2 cores ┐ …   ratios within a round
 *
 * Nothing but the data path is timed; putting the next burst in place is not.
 */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { MAX_WORKERS } from '../../asm/layout/memory.ts';
import { compileDataPath } from '../../src/dataplane/module.ts';
import type { Merged, Receiving, TapFrame } from '../burst.ts';
import { encapsulated } from '../encapsulated.ts';
import { type Flow, reversed, udpPacket } from '../frames.ts';
import { quantile } from '../measure.ts';
import type { Twin } from '../twin.ts';
import { PODS, podAddress, World } from '../world.ts';
import { PACKET, podFrame } from './measure.ts';

export interface CoresPoint {
  readonly cores: number;
  /** Million packets a second of all of them, out of pods and into them in turn; median of the rounds. */
  readonly rate: number;
  /** Over one core's rate in the same round: median, and the quarter points around it. */
  readonly times: number;
  readonly low: number;
  readonly high: number;
}

/** What a thread needs: bench/growth/core.ts. */
export interface CoreData {
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  readonly index: number;
  readonly receiving: Receiving;
  /** A vector of each: a burst out of pods, then the answers to it. */
  readonly frames: readonly (readonly TapFrame[])[];
  readonly messages: readonly (readonly Merged[])[];
}

/** When to begin and to end, in milliseconds of the wall clock. */
export interface Turn {
  readonly begin: number;
  readonly end: number;
}

const BURSTS = 64;
const MERGED = 8;
const WINDOW_MS = 100;
/** Until every thread waits for the same instant. */
const START_MS = 5;

export async function measureCores(rounds: number, twin: Twin): Promise<CoresPoint[]> {
  const most = Math.min(availableParallelism(), MAX_WORKERS);
  const counts = [1, 2, 4, 8].filter((count) => count < most).concat(most);
  const world = new World(
    { encapsulation: 'geneve', workers: most, tables: { flows: 4 * most * BURSTS * PODS } },
    twin,
  );
  const module = compileDataPath();
  const threads = Array.from({ length: most }, (_, index) => {
    const workerData = dataOf(world, module, index);
    return new Worker(new URL('./core.ts', import.meta.url), { workerData });
  });
  try {
    await Promise.all(threads.map((thread) => once(thread, 'message')));
    const rates = counts.map((): number[] => []);
    for (let round = -2; round < rounds; round++) {
      for (const [i, count] of round % 2 === 0 ? counts.entries() : [...counts.entries()].reverse()) {
        const rate = await together(threads.slice(0, count));
        if (round >= 0) rates[i]?.push(rate);
      }
    }
    return counts.map((cores, i) => {
      const own = rates[i] ?? [];
      const ratios = own.map((rate, round) => rate / (rates[0]?.[round] ?? Number.NaN));
      return {
        cores,
        rate: quantile(own, 0.5),
        times: quantile(ratios, 0.5),
        low: quantile(ratios, 0.25),
        high: quantile(ratios, 0.75),
      };
    });
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

/** @returns million packets a second, the sum of all threads */
async function together(threads: readonly Worker[]): Promise<number> {
  const begin = Date.now() + START_MS;
  const rates = await Promise.all(
    threads.map(async (thread): Promise<number> => {
      const answer = once(thread, 'message');
      thread.postMessage({ begin, end: begin + WINDOW_MS } satisfies Turn);
      return (await answer)[0];
    }),
  );
  return rates.reduce((sum, rate) => sum + rate);
}

function dataOf(world: World, module: WebAssembly.Module, index: number): CoreData {
  const bursts = Array.from({ length: BURSTS }, (_, burst) =>
    Array.from(
      { length: PODS },
      (_, i): Flow => ({
        source: podAddress(1, i, 4),
        destination: podAddress(2, (i * 7) % PODS, 4),
        sport: 10_000 + index * BURSTS + burst,
        dport: 5_000 + i,
      }),
    ),
  );
  return {
    memory: world.memory.wasm,
    module,
    index,
    receiving: world.receiving,
    frames: bursts.map((flows) => flows.map((flow, pod) => podFrame(world, flow, pod))),
    messages: bursts.map((flows) => {
      const datagrams = flows.map((flow) =>
        encapsulated(world, world.tunnel, udpPacket(reversed(flow), PACKET)),
      );
      return Array.from({ length: PODS / MERGED }, (_, i) => datagrams.slice(i * MERGED, (i + 1) * MERGED));
    }),
  };
}
