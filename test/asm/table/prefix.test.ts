// Longest-prefix match: tries that the control thread builds, read by the data path, beside a naive search.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TABLES_CIDRS4, TABLES_CIDRS6, TABLES_ROUTES4, TABLES_ROUTES6 } from '../../../asm/layout/tables.ts';
import {
  TRIE_AT,
  TRIE_BYTES_PER_PREFIX,
  TRIE_CHILDREN,
  TRIE_NODE_SIZE,
  TRIE_SLOT_PAIR,
  TRIE_SLOTS,
} from '../../../asm/layout/trie.ts';
import { type TrieEntry, trieOf } from '../../../src/dataplane/trie.ts';
import { type Address, address, fromBytes } from '../../../src/net/address.ts';
import { contains, parsePrefix, prefix } from '../../../src/net/prefix.ts';
import { AREA_SIZE, TestNode } from '../harness.ts';

const node = new TestNode(null);
const area = node.view.getUint32(0x1014, true);
const bases = {
  route: { 4: TABLES_ROUTES4, 6: TABLES_ROUTES6 },
  cidr: { 4: TABLES_CIDRS4, 6: TABLES_CIDRS6 },
} as const;

const entry = (text: string, value: number): TrieEntry => ({ prefix: prefix(text), value });

function put(table: 'route' | 'cidr', entries: readonly TrieEntry[]): void {
  node.wasm.tablesBegin(area, AREA_SIZE, 1, 16, 16, 1, 4);
  node.writeTries(area, entries, bases[table]);
}

function find(table: 'route' | 'cidr', at: Address | string): number {
  node.bytes.set((typeof at === 'string' ? address(at) : at).bytes, node.scratch);
  return node.wasm[`${table}Find`](area, node.scratch) >>> 0;
}

/** Of equal prefixes the last one counts. */
function naive(entries: readonly TrieEntry[], at: Address): number {
  let longest: TrieEntry | undefined;
  for (const one of entries)
    if (contains(one.prefix, at) && one.prefix.bits >= (longest?.prefix.bits ?? 0)) longest = one;
  return longest?.value ?? 0;
}

// Few different bytes, so that prefixes nest and addresses hit them.
const byte = fc.constantFrom(0, 0x80, 0xff, 1, 0xfe, 0x0a, 0xf4, 0x3f, 0x40, 0xbf, 0xc0);
const bytes = (count: number) => fc.array(byte, { minLength: count, maxLength: count });
const v4 = bytes(4).map((b) => address(b.join('.')));
const v6 = bytes(16)
  .map((b) => fromBytes(Uint8Array.from(b)))
  .filter(({ family }) => family === 6);
const anyAddress = fc.oneof(v4, v6);
const anyEntry = fc
  .oneof(fc.tuple(v4, fc.integer({ min: 0, max: 32 })), fc.tuple(v6, fc.integer({ min: 0, max: 128 })))
  .chain(([{ text }, length]) =>
    fc.integer({ min: 0, max: 9 }).map((value) => entry(`${text}/${length}`, value)),
  );

/** The last address of a block. */
function last({ prefix: block }: TrieEntry): Address {
  const all = block.address.bytes.map(
    (value, i) => value | (0xff >> Math.min(8, Math.max(0, block.bits - i * 8))),
  );
  return fromBytes(all);
}

describe.each(['route', 'cidr'] as const)('longest prefix: %s', (table) => {
  it('is what a naive search finds, both families, every length, also after some are gone', () => {
    fc.assert(
      fc.property(
        fc.array(anyEntry, { maxLength: 60 }),
        fc.array(anyAddress, { minLength: 1, maxLength: 20 }),
        fc.nat(),
        (entries, others, seed) => {
          const probes = [...others, ...entries.flatMap((one) => [one.prefix.address, last(one)])];
          for (const left of [entries, entries.filter((_, i) => (seed >> (i % 30)) & 1)]) {
            put(table, left);
            for (const at of probes.filter(({ bytes }) => bytes.length === 16))
              expect(find(table, fromBytes(at.bytes))).toBe(naive(left, fromBytes(at.bytes)));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('keeps the families apart: neither default route serves the other', () => {
    put(table, [entry('0.0.0.0/0', 4)]);
    expect(find(table, '1.2.3.4')).toBe(4);
    expect(find(table, '2001:db8::1')).toBe(0);
    put(table, [entry('0.0.0.0/0', 4), entry('::/0', 6), entry('::/64', 7)]);
    expect(find(table, '1.2.3.4')).toBe(4);
    expect(find(table, '2001:db8::1')).toBe(6);
    expect(find(table, '::')).toBe(7);
  });

  it.each([
    ['255.255.255.255', 32],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 128],
  ])('holds every length of %s at once', (all, bits) => {
    const lengths = Array.from({ length: bits + 1 }, (_, length) => length);
    put(
      table,
      lengths.map((length) => entry(`${all}/${length}`, length + 1)),
    );
    for (const length of lengths) {
      const at = address(all).bytes.slice();
      const bit = 128 - bits + length;
      if (length < bits) at[bit >> 3] = (at[bit >> 3] ?? 0) & ~(0x80 >> (bit & 7));
      expect(find(table, fromBytes(at))).toBe(length + 1);
    }
  });
});

it('a smaller block of no class hides a larger one', () => {
  put('cidr', [entry('10.0.0.0/8', 3), entry('10.1.0.0/16', 0)]);
  expect(find('cidr', '10.2.0.1')).toBe(3);
  expect(find('cidr', '10.1.0.1')).toBe(0);
});

// ---- what a look-up costs, in nodes, so that no clock is needed -------------------------------------

/** Most nodes that any look-up in this trie reads; each decides by a byte further on than the one before. */
function levels(trie: Uint8Array, at = 0, before = -1): number {
  const view = new DataView(trie.buffer, trie.byteOffset, trie.byteLength);
  const decides = view.getUint32(at + TRIE_AT, true);
  expect(decides).toBeGreaterThan(before);
  let children = 0;
  for (let word = 0; word < 4; word++)
    for (
      let bits = view.getBigUint64(at + TRIE_SLOTS + word * TRIE_SLOT_PAIR, true);
      bits > 0n;
      bits &= bits - 1n
    )
      children++;
  const first = view.getUint32(at + TRIE_CHILDREN, true);
  const below = Array.from({ length: children }, (_, i) => levels(trie, first + i * TRIE_NODE_SIZE, decides));
  return 1 + Math.max(0, ...below);
}

/** Numbers that look random and are the same in every run (xorshift). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

function blocks(family: 4 | 6, count: number): TrieEntry[] {
  const next = random(count + family);
  const widths = family === 4 ? { from: 9, to: 32 } : { from: 20, to: 128 };
  return Array.from({ length: count }, (_, i) => {
    const parts = Array.from({ length: family === 4 ? 4 : 8 }, () => next() & (family === 4 ? 255 : 65_535));
    const text = family === 4 ? parts.join('.') : parts.map((part) => part.toString(16)).join(':');
    const length = widths.from + (next() % (widths.to - widths.from + 1));
    return { prefix: parsePrefix(`${text}/${length}`) ?? prefix('::/0'), value: i + 1 };
  });
}

describe('cost of a look-up', { timeout: 60_000 }, () => {
  it.each([10, 1_000, 100_000])('%i IPv4 blocks: four nodes at most', (count) => {
    expect(levels(trieOf(blocks(4, count)))).toBeLessThanOrEqual(4);
  });

  it.each([10, 1_000, 100_000])(
    '%i IPv6 blocks: sixteen nodes at most, and where they are far apart four',
    (count) => {
      expect(levels(trieOf(blocks(6, count)))).toBeLessThanOrEqual(4);
      const nested = Array.from({ length: 129 }, (_, length) => entry(`2001:db8::/${length}`, 1));
      expect(levels(trieOf([...blocks(6, count), ...nested]))).toBeLessThanOrEqual(16);
    },
  );

  it.each([1, 2, 10, 1_000, 100_000])('%i blocks take the room that is planned for them', (count) => {
    for (const family of [4, 6] as const)
      expect(trieOf(blocks(family, count)).length).toBeLessThanOrEqual(count * TRIE_BYTES_PER_PREFIX);
  });
});
