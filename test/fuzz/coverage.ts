/**
 * Edge coverage of the data path: a copy of the module that counts how often each of its branches is taken.
 *
 * In the text form, one instruction a line, a counter is put behind every line that begins a branch. Counters are
 * bytes in the null page (asm/layout/memory.ts), which nothing else uses.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import binaryen from 'binaryen';

/** First counter; the page ends at 0x1000. */
const FIRST = 0x40;
const END = 0x1000;

const branch = /^\s*(?:if|else|loop|block|br_if)\b/;

export interface Instrumented {
  readonly module: WebAssembly.Module;
  /** Counters in a memory of the module. */
  readonly counters: (memory: WebAssembly.Memory) => Uint8Array;
}

export function instrument(): Instrumented {
  const original = binaryen.readBinary(
    readFileSync(fileURLToPath(import.meta.resolve('#build/overweft.wasm'))),
  );
  original.setFeatures(binaryen.Features.All);
  let next = FIRST;
  const lines = original
    .emitStackIR()
    .split('\n')
    .flatMap((line) => (branch.test(line) ? [line, ...counter(next++)] : [line]));
  original.dispose();
  if (next > END) throw new Error(`${next - FIRST} branches: the null page has room for ${END - FIRST}`);
  const counted = binaryen.parseText(lines.join('\n'));
  counted.setFeatures(binaryen.Features.All);
  const bytes = counted.emitBinary();
  counted.dispose();
  return {
    module: new WebAssembly.Module(Uint8Array.from(bytes)),
    counters: ({ buffer }) => new Uint8Array(buffer, FIRST, next - FIRST),
  };
}

/** Adds one to the byte at `at`. */
const counter = (at: number): string[] => [
  `i32.const ${at}`,
  `i32.const ${at}`,
  'i32.load8_u',
  'i32.const 1',
  'i32.add',
  'i32.store8',
];

/** What has been seen of the counters so far: for each branch the classes 1, 2, 3, 4–7, 8–15, … of how often. */
export class Coverage {
  readonly #seen = new Map<Uint8Array, Uint8Array>();
  /** Branches and classes in all. */
  size = 0;

  /** Takes the counters of one run and zeroes them. @returns whether they show anything new */
  take(counters: Uint8Array): boolean {
    const seen = this.#seen.get(counters) ?? new Uint8Array(counters.length);
    this.#seen.set(counters, seen);
    let isNew = false;
    for (let i = 0; i < counters.length; i++) {
      const count = counters[i] as number;
      if (count === 0) continue;
      const bit = 1 << (count < 4 ? count - 1 : Math.min(7, 29 - Math.clz32(count) + 2));
      if (((seen[i] as number) & bit) === 0) {
        seen[i] = (seen[i] as number) | bit;
        this.size++;
        isNew = true;
      }
    }
    counters.fill(0);
    return isNew;
  }
}
