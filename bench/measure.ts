// Times a case: WebAssembly and C in turn, so that whatever else the machine does falls on both alike.
import { Bench } from 'tinybench';
import type { Case } from './cases.ts';
import { assertSame } from './output.ts';

export interface MeasureOptions {
  readonly rounds: number;
  /** Milliseconds of each program in each round. */
  readonly time: number;
}

/** Nanoseconds a unit, and how C compares. */
export interface Result {
  readonly name: string;
  readonly unit: Case['unit'];
  readonly wasm: number;
  readonly c: number;
  readonly avx2: number | undefined;
  /** WebAssembly's time over C's: median of the rounds, and the quarter points around it. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  /** Bytes a nanosecond in WebAssembly, where bytes are what costs. */
  readonly bytesPerNs: number | undefined;
}

/**
 * Runs a case in both programs from the same state.
 * @throws where what they leave behind differs
 */
export function verify(one: Case): void {
  const { world } = one;
  one.prepare();
  const before = world.snapshot();
  const wasmResult = one.wasm() >>> 0;
  const wasmOutput = one.output(wasmResult);
  world.restore(before);
  const cResult = one.c() >>> 0;
  if (wasmResult !== cResult) {
    throw new Error(`${one.name}: WebAssembly returned ${wasmResult}, C ${cResult}`);
  }
  assertSame(one.name, wasmOutput, one.output(cResult));
  const avx2Result = one.avx2?.();
  if (avx2Result !== undefined && avx2Result >>> 0 !== wasmResult) {
    throw new Error(`${one.name}: WebAssembly returned ${wasmResult}, C with AVX2 ${avx2Result}`);
  }
}

export async function measure(one: Case, { rounds, time }: MeasureOptions): Promise<Result> {
  const programs = { wasm: one.wasm, c: one.c, ...(one.avx2 && { avx2: one.avx2 }) };
  type Program = keyof typeof programs;
  const names = Object.keys(programs) as Program[];
  const times: Record<Program, number[]> = { wasm: [], c: [], avx2: [] };
  // The first round is for the optimising compiler.
  for (let round = 0; round <= rounds; round++) {
    const bench = new Bench({ time, iterations: 8, warmup: false });
    const order = round % 2 === 0 ? names : names.toReversed();
    for (const name of order) bench.add(name, () => timed(one, programs[name] ?? one.wasm), { async: false });
    await bench.run();
    for (const name of names) {
      const result = bench.getTask(name)?.result;
      if (!result || !('latency' in result)) throw new Error(`${one.name}: ${name} was not measured`);
      if (round > 0) times[name].push((result.latency.p50 * 1e6) / one.units);
    }
  }
  const ratios = times.wasm.map((wasm, i) => wasm / (times.c[i] ?? Number.NaN));
  const wasm = quantile(times.wasm, 0.5);
  return {
    name: one.name,
    unit: one.unit,
    wasm,
    c: quantile(times.c, 0.5),
    avx2: one.avx2 && quantile(times.avx2, 0.5),
    ratio: quantile(ratios, 0.5),
    low: quantile(ratios, 0.25),
    high: quantile(ratios, 0.75),
    bytesPerNs: one.bytes && one.bytes / wasm,
  };
}

function timed(one: Case, program: () => number) {
  one.prepare();
  const begin = performance.now();
  program();
  return { overriddenDuration: performance.now() - begin };
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}
