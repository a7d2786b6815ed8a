/**
 * The slots over which the connections to a port are spread: each names a backend, by its place in the list.
 *
 *     hash of a connection ──► slot ──► backend          slots 4 2 0 1 4 3 2 0 …
 *
 * Filled as Maglev fills its table (Eisenbud et al., NSDI 2016, §3.4): every backend goes through the slots in an order
 * of its own and takes the next free one in turn. So the shares differ by one slot, the same backends fill the slots
 * alike on every node, and a backend that comes or goes takes or leaves its share and moves little else.
 */

import { type Address, words } from '../net/address.ts';

/** Primes, so that any step visits every slot; the smallest that gives each backend SLOTS_EACH is taken. */
const SIZES = [1, 1021, 8191, 65_521] as const;
const SLOTS_EACH = 50;
/** A slot is 16 bits wide; more backends than slots would leave some without. */
const MOST_BACKENDS = 65_521;

/** Slots for so many backends: 1 for one, ≥ 50 each up to 1 310 of them, 65 521 in all beyond. */
function slotCount(backends: number): number {
  if (backends <= 1) return backends;
  return SIZES.find((size) => size >= backends * SLOTS_EACH) ?? MOST_BACKENDS;
}

/**
 * @param keys of the backends, each once and in order; those behind the first 65 521 get no slots
 * @returns a backend's index for each slot; empty without backends
 */
export function fillSlots(keys: readonly string[]): Uint16Array {
  const count = Math.min(keys.length, MOST_BACKENDS);
  const size = slotCount(count);
  const slots = new Uint16Array(size);
  if (count <= 1) return slots;
  const next = new Uint32Array(count);
  const step = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const key = keys[i] ?? '';
    next[i] = hash(key, 0) % size;
    step[i] = (hash(key, 1) % (size - 1)) + 1;
  }
  const isTaken = new Uint8Array(size);
  for (let taken = 0, i = 0; taken < size; taken++, i = i + 1 === count ? 0 : i + 1) {
    let slot = next[i] ?? 0;
    const stride = step[i] ?? 1;
    while (isTaken[slot]) slot = (slot + stride) % size;
    isTaken[slot] = 1;
    slots[slot] = i;
    next[i] = (slot + stride) % size;
  }
  return slots;
}

/**
 * The slot of a connection, the same on every node.
 * @param clientPort 0 where all connections of a client go one way
 * @param size of the table
 */
export function slotOf(client: Address, clientPort: number, size: number): number {
  let h = clientPort;
  for (const word of words(client)) h = finish(h ^ word);
  return Math.floor((h * size) / 2 ** 32);
}

/** FNV-1a, 32 bits. */
function hash(text: string, seed: number): number {
  let h = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return finish(h);
}

/** The finish of MurmurHash3, 32 bits: each bit that goes in changes half of those that come out. */
function finish(word: number): number {
  let h = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Slots of each backend. */
export function sharesOf(slots: Uint16Array, backends: number): number[] {
  const shares = new Array<number>(backends).fill(0);
  for (const index of slots) shares[index] = (shares[index] ?? 0) + 1;
  return shares;
}
