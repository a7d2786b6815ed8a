// Builds what the data path is measured against and with: its C twin, and the module of single stages.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch } from 'node:process';
import * as burst from '../asm/layout/burst.ts';
import * as flows from '../asm/layout/flows.ts';
import * as memory from '../asm/layout/memory.ts';
import * as packet from '../asm/layout/packet.ts';
import * as pending from '../asm/layout/pending.ts';
import * as tables from '../asm/layout/tables.ts';
import * as trie from '../asm/layout/trie.ts';
import { Verdict } from '../asm/verdict.ts';
import { root, runtime } from '../src/setup/runtime.mjs';
import { contentHash, Stamp } from '../src/setup/stamp.mjs';
import { run, step } from '../src/setup/steps.mjs';
import { compilers, compileWasm } from '../src/setup/wasm.mjs';

/** Loops over single stages: bench/asm/stages.ts and bench/c/addon.c. */
export interface Stages {
  begin(): number;
  parse(packets: number): number;
  track(packets: number): number;
  cells(packets: number, set: number): number;
  endpoints(packets: number): number;
  routes(packets: number): number;
  encap(packets: number, tunnel: number): number;
  sums(at: number, bytes: number, stride: number, count: number): number;
}

export interface Twin extends Stages {
  attach(memory: Uint8Array, workerBase: number): void;
  egress(frames: number): number;
  ingress(datagrams: number): number;
  /** Only where the processor has AVX2. */
  sumsAvx2?(at: number, bytes: number, stride: number, count: number): number;
}

/** V8 counts bits by the processor's own instruction wherever there is one; compilers for x64 want to be told. */
const features = arch === 'x64' ? ['-mpopcnt'] : [];
export const CFLAGS = ['-std=c17', '-O3', '-fPIC', '-shared', '-Wall', '-Wextra', '-Werror', ...features];

const folder = `${root}build/bench`;
const twinFile = `${folder}/twin.node`;
const stagesFile = `${folder}/stages.wasm`;

/** Compiles both where their sources have changed. */
export async function buildTwin(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const header = layoutHeader();
  const stamp = new Stamp(
    `${folder}/stamp`,
    contentHash(['bench/c', 'bench/asm', 'asm', ...compilers], /./, [header, ...CFLAGS]),
  );
  if (stamp.fresh() && existsSync(twinFile) && existsSync(stagesFile)) return;
  writeFileSync(`${folder}/layout.h`, header);
  await step('C twin', () =>
    run(process.env.CC ?? 'cc', [
      ...CFLAGS,
      '-DNAPI_VERSION=9',
      `-I${runtime.folder}/include/node`,
      `-I${folder}`,
      '-o',
      twinFile,
      `${root}bench/c/addon.c`,
    ]),
  );
  await step('stages', () => compileWasm('bench/stages', ['bench/asm/stages.ts']));
  stamp.write();
}

/** The constants of the memory layout for the preprocessor. */
function layoutHeader(): string {
  const verdicts = Object.entries(Verdict).map(([name, value]) => [`VERDICT_${name}`, value]);
  const constants = [burst, flows, memory, packet, pending, tables, trie].flatMap((layout) =>
    Object.entries(layout),
  );
  const lines = [...constants, ...verdicts]
    .filter(([, value]) => typeof value === 'number')
    .map(([name, value]) => `#define ${name} ${value}u`);
  return ['// Generated from asm/layout and asm/verdict.ts.', '#pragma once', ...lines, ''].join('\n');
}

export const loadTwin = (): Twin => createRequire(import.meta.url)(twinFile);

export function instantiateStages(memory: WebAssembly.Memory): Stages & { workerInit(index: number): void } {
  const module = new WebAssembly.Module(readFileSync(stagesFile));
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as ReturnType<
    typeof instantiateStages
  >;
}
