/**
 * The slots over which the connections to a port are spread: each names a backend, by its place in the list.
 *
 *     hash of a connection ──► slot ──► backend          slots 4 2 0 1 4 3 2 0 …
 *
 * Filled as Maglev fills its table (Eisenbud et al., NSDI 2016, §3.4): every backend goes through the slots in an order
 * of its own and takes the next free one in turn. So the shares differ by one slot, the same backends fill the slots
 * alike on every node, and a backend that comes or goes takes or leaves its share and moves little else. The orders are
 * pseudo-random, not of equal steps as Maglev's: steps that are small multiples of each other chase the same slots, and
 * in a small table a third of them moved.
 */
import { type Address, words } from '../net/address.ts';

/** The smallest that gives each backend SLOTS_EACH is taken. */
const SIZES = [1 << 10, 1 << 13, 1 << 16] as const;
const SLOTS_EACH = 50;
/** A slot is 16 bits wide; more backends than slots would leave some without. */
const MOST_BACKENDS = 1 << 16;

/** Slots for so many backends: 1 for one, ≥ 50 each up to 1 310 of them, 65 536 in all beyond. */
function slotCount(backends: number): number {
  if (backends <= 1) return backends;
  return SIZES.find((size) => size >= backends * SLOTS_EACH) ?? MOST_BACKENDS;
}

/**
 * @param keys of the backends, each once and in order; those behind the first 65 536 get no slots
 * @returns a backend's index for each slot; empty without backends
 */
export function fillSlots(keys: readonly string[]): Uint16Array {
  const count = Math.min(keys.length, MOST_BACKENDS);
  const size = slotCount(count);
  const slots = new Uint16Array(size);
  if (count <= 1) return slots;
  const seeds = Uint32Array.from(keys.slice(0, count), hash);
  const draws = new Uint32Array(count);
  const isTaken = new Uint8Array(size);
  for (let taken = 0, i = 0; taken < size; taken++, i = i + 1 === count ? 0 : i + 1) {
    let slot = 0;
    // Every 32-bit number comes once in 2³² draws, so every slot does.
    do {
      const draw = draws[i] ?? 0;
      slot = scaled(finish((seeds[i] ?? 0) + Math.imul(draw, GOLDEN)), size);
      draws[i] = draw + 1;
    } while (isTaken[slot]);
    isTaken[slot] = 1;
    slots[slot] = i;
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
  return scaled(h, size);
}

/** From 32 bits to 0 … size − 1. */
const scaled = (h: number, size: number): number => Math.floor((h * size) / 2 ** 32);

/** 2³² by the golden ratio, odd: neighbours go far apart. */
const GOLDEN = 0x9e3779b1;

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let h = 0x811c9dc5;
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
