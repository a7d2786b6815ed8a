// Blocks of a table area that come and go.
import { ALIGNMENT } from './area-writer.ts';

/**
 * Hands out blocks of whole cache lines. A block given back is handed out again for one of the same size; where only
 * others are left, there is no room, and the owner writes everything anew.
 */
export class Heap {
  readonly #begin: number;
  readonly #end: number;
  #next: number;
  #used = 0;
  /** Offsets of free blocks by size. */
  readonly #free = new Map<number, number[]>();

  /** @param begin absolute */
  constructor(begin: number, bytes: number) {
    this.#begin = begin;
    this.#end = begin + bytes;
    this.#next = begin;
  }

  /** Bytes handed out. */
  get used(): number {
    return this.#used;
  }

  /** @returns absolute offset; undefined: there is no room */
  take(bytes: number): number | undefined {
    const size = roundUp(bytes);
    const at = this.#free.get(size)?.pop() ?? this.#append(size);
    if (at !== undefined) this.#used += size;
    return at;
  }

  /** @param bytes as it was taken */
  give(at: number, bytes: number): void {
    const size = roundUp(bytes);
    this.#used -= size;
    const list = this.#free.get(size);
    if (list) list.push(at);
    else this.#free.set(size, [at]);
  }

  clear(): void {
    this.#next = this.#begin;
    this.#used = 0;
    this.#free.clear();
  }

  #append(size: number): number | undefined {
    if (this.#next + size > this.#end) return undefined;
    const at = this.#next;
    this.#next += size;
    return at;
  }
}

const roundUp = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
