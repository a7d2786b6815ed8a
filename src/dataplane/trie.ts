// From prefixes to the bytes of a trie (asm/layout/trie.ts draws it). Pure.
import {
  TRIE_AT,
  TRIE_CHILDREN,
  TRIE_CHILDREN_BEFORE,
  TRIE_KEY,
  TRIE_LEAVES,
  TRIE_LEAVES_BEFORE,
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
  readonly #leaves: number[] = [];
  #nodes = 0;

  constructor(entries: readonly TrieEntry[]) {
    this.#entries = entries;
    this.#bytes = new Uint8Array(2 * entries.length * TRIE_NODE_SIZE);
    this.#view = new DataView(this.#bytes.buffer);
  }

  build(): Uint8Array {
    this.#write(this.#add(1), { from: 0, to: this.#entries.length, at: 0, around: TRIE_NOTHING });
    const nodes = this.#bytes.subarray(0, this.#nodes * TRIE_NODE_SIZE);
    for (let node = 0; node < nodes.length; node += TRIE_NODE_SIZE)
      this.#set(node + TRIE_LEAVES, this.#view.getUint32(node + TRIE_LEAVES, true) + nodes.length);
    const leaves = new Uint8Array(Uint32Array.from(this.#leaves).buffer);
    const trie = new Uint8Array(nodes.length + leaves.length);
    trie.set(nodes);
    trie.set(leaves, nodes.length);
    return trie;
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
    const { values, children } = this.#divide(below, at);
    this.#writeSlots(node, values, children);
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

  /** The value of each slot where prefixes end at or before it, and what lies below it, in order of the slots. */
  #divide({ from, to, around }: Below, at: number): { values: Uint32Array; children: Map<number, Below> } {
    const values = new Uint32Array(SLOTS).fill(around);
    const children = new Map<number, Below>();
    for (let i = from; i < to; ) {
      const { prefix, value } = this.#at(i);
      const slot = this.#byte(i, at);
      const left = (at + 1) * BYTE_BITS - prefix.bits;
      if (left >= 0) {
        values.fill(value, slot, slot + 2 ** Math.min(left, BYTE_BITS));
        i++;
        continue;
      }
      let end = i + 1;
      while (end < to && this.#byte(end, at) === slot) end++;
      children.set(slot, { from: i, to: end, at: at + 1, around: values[slot] ?? around });
      i = end;
    }
    return { values, children };
  }

  /** Until all nodes are there, offsets of leaves count from the first leaf. */
  #writeSlots(node: number, values: Uint32Array, children: ReadonlyMap<number, Below>): void {
    this.#set(node + TRIE_LEAVES, this.#leaves.length * Uint32Array.BYTES_PER_ELEMENT);
    let before = 0;
    let leaves = 0;
    let run: number | undefined;
    for (let slot = 0; slot < SLOTS; slot++) {
      const word = slot >> 6;
      if ((slot & 63) === 0) {
        this.#bytes[node + TRIE_CHILDREN_BEFORE + word] = before;
        this.#bytes[node + TRIE_LEAVES_BEFORE + word] = leaves;
      }
      const value = values[slot] ?? TRIE_NOTHING;
      const isChild = children.has(slot);
      if (!isChild && value === run) continue;
      if (isChild) before++;
      else {
        this.#leaves.push(value);
        run = value;
        leaves++;
      }
      const bits = node + TRIE_SLOTS + word * TRIE_SLOT_PAIR + (isChild ? 0 : 8) + ((slot & 63) >> 3);
      this.#bytes[bits] = (this.#bytes[bits] ?? 0) | (1 << (slot & 7));
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
