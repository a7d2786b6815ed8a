// From prefixes to the bytes of a trie (asm/layout/trie.ts draws it). Pure.
import {
  TRIE_AT,
  TRIE_BUCKET_AROUND,
  TRIE_BUCKET_BITS,
  TRIE_BUCKET_KEYS,
  TRIE_BUCKET_PREFIXES,
  TRIE_BUCKET_SIZE,
  TRIE_BUCKET_VALUES,
  TRIE_BYTES_PER_PREFIX,
  TRIE_CHILDREN,
  TRIE_CHILDREN_BEFORE,
  TRIE_IS_BUCKET,
  TRIE_KEY,
  TRIE_LEAVES,
  TRIE_LEAVES_BEFORE,
  TRIE_NO_BITS,
  TRIE_NODE_SIZE,
  TRIE_NOTHING,
  TRIE_OUTSIDE,
  TRIE_SLOT_PAIR,
  TRIE_SLOTS,
} from '../../asm/layout/trie.ts';
import type { Prefix } from '../net/prefix.ts';

/** What stands for the addresses whose longest prefix this is. */
export interface TrieEntry {
  readonly prefix: Prefix;
  readonly value: number;
}

const BYTE_BITS = 8;
const SLOTS = 256;
const WORD = 4;

/** The trie of these prefixes, of one family; of equal ones the last counts. No bytes where there are none. */
export function trieOf(entries: readonly TrieEntry[]): Uint8Array {
  return entries.length === 0 ? new Uint8Array() : new Builder(distinct(entries)).build();
}

/** In order of their addresses, a prefix before those that lie in it. */
function distinct(entries: readonly TrieEntry[]): TrieEntry[] {
  const keyed = entries.map((entry) => {
    const { bytes } = entry.prefix.address;
    const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
    return { entry, high: view.getBigUint64(0), low: view.getBigUint64(8) };
  });
  const difference = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);
  keyed.sort(
    (a, b) =>
      difference(a.high, b.high) || difference(a.low, b.low) || a.entry.prefix.bits - b.entry.prefix.bits,
  );
  return keyed
    .filter(({ entry: { prefix }, high, low }, i) => {
      const next = keyed[i + 1];
      return !next || next.high !== high || next.low !== low || next.entry.prefix.bits !== prefix.bits;
    })
    .map(({ entry }) => entry);
}

/** Prefixes `from` ≤ i < `to`, which agree in the bytes before `at` and are longer than these. */
interface Below {
  readonly from: number;
  readonly to: number;
  readonly at: number;
  /** Value of the longest prefix that holds them all. */
  readonly around: number;
}

class Builder {
  readonly #entries: readonly TrieEntry[];
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Values, and numbers of buckets. */
  readonly #leaves: number[] = [];
  readonly #buckets: Below[] = [];
  #nodes = 0;

  constructor(entries: readonly TrieEntry[]) {
    this.#entries = entries;
    this.#bytes = new Uint8Array(entries.length * TRIE_BYTES_PER_PREFIX);
    this.#view = new DataView(this.#bytes.buffer);
  }

  build(): Uint8Array {
    this.#write(this.#add(1), { from: 0, to: this.#entries.length, at: 0, around: TRIE_NOTHING });
    const bucketsAt = this.#nodes * TRIE_NODE_SIZE;
    for (const [i, below] of this.#buckets.entries())
      this.#writeBucket(bucketsAt + i * TRIE_BUCKET_SIZE, below);
    const leavesAt = bucketsAt + this.#buckets.length * TRIE_BUCKET_SIZE;
    for (let node = 0; node < bucketsAt; node += TRIE_NODE_SIZE)
      this.#set(node + TRIE_LEAVES, this.#view.getUint32(node + TRIE_LEAVES, true) + leavesAt);
    for (const [i, leaf] of this.#leaves.entries()) {
      const number = leaf & ~TRIE_IS_BUCKET;
      const value = leaf & TRIE_IS_BUCKET ? TRIE_IS_BUCKET | (bucketsAt + number * TRIE_BUCKET_SIZE) : leaf;
      this.#set(leavesAt + i * WORD, value);
    }
    return this.#bytes.slice(0, leavesAt + this.#leaves.length * WORD);
  }

  /** @returns offset of the first of `count` new nodes */
  #add(count: number): number {
    const first = this.#nodes * TRIE_NODE_SIZE;
    this.#nodes += count;
    return first;
  }

  #write(node: number, below: Below): void {
    const at = this.#decides(below);
    this.#bytes.set(this.#at(below.from).prefix.address.bytes, node + TRIE_KEY);
    this.#set(node + TRIE_AT, at);
    this.#set(node + TRIE_OUTSIDE, below.around);
    const { leaves, children } = this.#divide(below, at);
    this.#writeSlots(node, leaves, children);
    let child = this.#add(children.size);
    this.#set(node + TRIE_CHILDREN, child);
    for (const part of children.values()) {
      this.#write(child, part);
      child += TRIE_NODE_SIZE;
    }
  }

  /** The first byte in which these prefixes differ, or in which one of them ends. */
  #decides({ from, to, at }: Below): number {
    const first = this.#at(from).prefix.address.bytes;
    const last = this.#at(to - 1).prefix.address.bytes;
    // One of /0 ends before the first byte, which its value then fills.
    let end = (first.length - 1) * BYTE_BITS;
    for (let i = from; i < to; i++) end = Math.min(end, this.#at(i).prefix.bits - 1);
    let decides = at;
    while ((decides + 1) * BYTE_BITS <= end && first[decides] === last[decides]) decides++;
    return decides;
  }

  /** The leaf of each slot, and what needs a node below it, in order of the slots. */
  #divide({ from, to, around }: Below, at: number): { leaves: Uint32Array; children: Map<number, Below> } {
    const leaves = new Uint32Array(SLOTS).fill(around);
    const children = new Map<number, Below>();
    for (let i = from; i < to; ) {
      const { prefix, value } = this.#at(i);
      const slot = this.#byte(i, at);
      const left = (at + 1) * BYTE_BITS - prefix.bits;
      if (left >= 0) {
        leaves.fill(value, slot, slot + 2 ** Math.min(left, BYTE_BITS));
        i++;
        continue;
      }
      let end = i + 1;
      while (end < to && this.#byte(end, at) === slot) end++;
      const below = { from: i, to: end, at: at + 1, around: leaves[slot] ?? around };
      if (end - i > TRIE_BUCKET_PREFIXES) children.set(slot, below);
      else leaves[slot] = TRIE_IS_BUCKET | (this.#buckets.push(below) - 1);
      i = end;
    }
    return { leaves, children };
  }

  /** Until all nodes are there, offsets of leaves count from the first leaf. */
  #writeSlots(node: number, leaves: Uint32Array, children: ReadonlyMap<number, Below>): void {
    this.#set(node + TRIE_LEAVES, this.#leaves.length * WORD);
    let before = 0;
    let begun = 0;
    let run: number | undefined;
    for (let slot = 0; slot < SLOTS; slot++) {
      const word = slot >> 6;
      if ((slot & 63) === 0) {
        this.#bytes[node + TRIE_CHILDREN_BEFORE + word] = before;
        this.#bytes[node + TRIE_LEAVES_BEFORE + word] = begun;
      }
      const leaf = leaves[slot] ?? TRIE_NOTHING;
      const isChild = children.has(slot);
      if (!isChild && leaf === run) continue;
      if (isChild) before++;
      else {
        this.#leaves.push(leaf);
        run = leaf;
        begun++;
      }
      const bits = node + TRIE_SLOTS + word * TRIE_SLOT_PAIR + (isChild ? 0 : 8) + ((slot & 63) >> 3);
      this.#bytes[bits] = (this.#bytes[bits] ?? 0) | (1 << (slot & 7));
    }
  }

  /** In the entries' order a prefix stands before those that lie in it: the last is the first to be asked. */
  #writeBucket(at: number, { from, to, around }: Below): void {
    this.#set(at + TRIE_BUCKET_AROUND, around);
    for (let i = 0; i < TRIE_BUCKET_PREFIXES; i++) {
      const { prefix, value } = this.#at(Math.max(from, to - 1 - i));
      this.#bytes.set(prefix.address.bytes, at + TRIE_BUCKET_KEYS + i * prefix.address.bytes.length);
      this.#set(at + TRIE_BUCKET_BITS + i * WORD, i < to - from ? prefix.bits : TRIE_NO_BITS);
      this.#set(at + TRIE_BUCKET_VALUES + i * WORD, value);
    }
  }

  #at(i: number): TrieEntry {
    const entry = this.#entries[i];
    if (!entry) throw new RangeError(`there is no prefix ${i}`);
    return entry;
  }

  #byte(i: number, at: number): number {
    return this.#at(i).prefix.address.bytes[at] ?? 0;
  }

  #set(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }
}
