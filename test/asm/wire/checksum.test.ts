// RFC 1071 (sum) and RFC 1624 (update), against the slow twin in the data path and one in TypeScript.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WORKER_FRAME_ARENA, WORKERS } from '../../../asm/layout/memory.ts';
import { checksum } from '../../support/packets.ts';
import { TestNode } from '../harness.ts';

const node = new TestNode(null);
const at = WORKERS + WORKER_FRAME_ARENA;

/** Folds a sum as it comes out of the module, then swaps it into network order. */
function folded(sum: bigint): number {
  let value = BigInt.asUintN(64, sum);
  while (value > 0xffffn) value = (value & 0xffffn) + (value >> 16n);
  return Number(((value & 0xffn) << 8n) | (value >> 8n));
}

/** Pseudo-random bytes, the same every time. */
function fill(from: number, length: number): void {
  let state = 0x9e3779b9;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    node.bytes[from + i] = state >>> 24;
  }
}

const longer = [4095, 4096, 9000, 16384, 32767, 40001, 61000, 65000, 65533, 65534, 65535];

describe('sum (RFC 1071 §1)', () => {
  it('equals its slow twin at every length from 0 to 2048 and every alignment', () => {
    fill(at, 70_000);
    const wrong: string[] = [];
    for (let alignment = 0; alignment < 16; alignment++) {
      for (let length = 0; length <= 2048; length++) {
        const [fast, slow] = [
          node.wasm.sum(at + alignment, length),
          node.wasm.sumReference(at + alignment, length),
        ];
        if (folded(fast) !== folded(slow)) wrong.push(`${length} bytes at ${alignment}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('equals it up to 65535 bytes, and at 65535 bytes of 0xff, where carries are most', () => {
    for (let alignment = 0; alignment < 16; alignment++) {
      for (const length of longer) {
        expect(folded(node.wasm.sum(at + alignment, length))).toBe(
          folded(node.wasm.sumReference(at + alignment, length)),
        );
      }
    }
    node.bytes.fill(0xff, at, at + 65_600);
    for (const length of longer) {
      expect(folded(node.wasm.sum(at + 3, length))).toBe(folded(node.wasm.sumReference(at + 3, length)));
    }
  });

  it('is the checksum that TypeScript computes', () => {
    const bytes = fc.uint8Array({ maxLength: 600 });
    fc.assert(
      fc.property(bytes, fc.nat(15), (content, alignment) => {
        node.bytes.set(content, at + alignment);
        expect(0xffff - folded(node.wasm.sum(at + alignment, content.length))).toBe(checksum(content));
      }),
    );
  });

  it('is 0 of zeros only (RFC 1624 §3)', () => {
    node.bytes.fill(0, at, at + 64);
    expect(folded(node.wasm.sum(at, 64))).toBe(0);
    node.bytes[at + 62] = 0xff;
    node.bytes[at + 63] = 0xff;
    expect(folded(node.wasm.sum(at, 64))).toBe(0xffff);
  });
});

describe('updates (RFC 1624 eqn. 3)', () => {
  const swap = (value: number) => ((value & 0xff) << 8) | (value >> 8);
  const u16 = fc.oneof(fc.constantFrom(0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff), fc.nat(0xffff));

  /** Header words with a field that makes them add up. */
  const ofWords = (list: readonly number[]) =>
    checksum(Uint8Array.from(list.flatMap((w) => [w >> 8, w & 0xff])));

  it('gives what a full sum gives after one word has changed', () => {
    fc.assert(
      fc.property(fc.array(u16, { minLength: 1, maxLength: 12 }), u16, (list, after) => {
        // A header with nothing but zeros does not exist, and its two zeros could not be told apart.
        fc.pre(list.slice(1).some((word) => word !== 0));
        const before = list[0] as number;
        const updated = node.wasm.updated16(swap(ofWords(list)), swap(before), swap(after));
        expect(swap(updated)).toBe(ofWords([after, ...list.slice(1)]));
      }),
      { numRuns: 2000 },
    );
  });

  it('gives it after two words have changed at once', () => {
    const little = (high: number, low: number) => (swap(high) | (swap(low) << 16)) >>> 0;
    fc.assert(
      fc.property(fc.array(u16, { minLength: 2, maxLength: 12 }), u16, u16, (list, high, low) => {
        fc.pre(list.slice(2).some((word) => word !== 0));
        const [first = 0, second = 0] = list;
        const updated = node.wasm.updated32(swap(ofWords(list)), little(first, second), little(high, low));
        expect(swap(updated)).toBe(ofWords([high, low, ...list.slice(2)]));
      }),
      { numRuns: 2000 },
    );
  });

  it('does not make 0x0000 of 0xffff (the case that RFC 1141 got wrong, RFC 1624 §4)', () => {
    // HC 0xdd2f, m 0x5555, m' 0x3285: the answer is 0x0000, RFC 1141 gave 0xffff.
    expect(swap(node.wasm.updated16(swap(0xdd2f), swap(0x5555), swap(0x3285)))).toBe(0x0000);
  });
});
