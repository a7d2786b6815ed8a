// Bytes of one table area: where they go, and how a word is written.
import { TABLES_FREE } from '../../asm/layout/tables.ts';
import type { Memory } from './memory.ts';

/** Descriptors, rows and tries begin at multiples of it. */
export const ALIGNMENT = 64;

export class AreaWriter {
  /** Absolute. */
  readonly area: number;
  readonly #memory: Memory;

  constructor(memory: Memory, area: number) {
    this.#memory = memory;
    this.area = area;
  }

  /** First byte behind what is written so far, absolute. */
  get free(): number {
    return this.#memory.view.getUint32(this.area + TABLES_FREE, true);
  }

  set free(at: number) {
    this.u32(this.area + TABLES_FREE, at);
  }

  aligned(at: number, alignment = ALIGNMENT): number {
    return Math.ceil(at / alignment) * alignment;
  }

  /** Room for so many bytes, whatever they hold: its absolute offset. */
  reserve(bytes: number, alignment = ALIGNMENT): number {
    const at = this.aligned(this.free, alignment);
    this.free = at + bytes;
    return at;
  }

  u8(at: number, value: number): void {
    this.#memory.view.setUint8(at, value);
  }

  u16(at: number, value: number): void {
    this.#memory.view.setUint16(at, value, true);
  }

  u32(at: number, value: number): void {
    this.#memory.view.setUint32(at, value, true);
  }

  bytes(at: number, list: Uint8Array | Uint16Array | Uint32Array): void {
    this.#memory.bytes.set(new Uint8Array(list.buffer, list.byteOffset, list.byteLength), at);
  }

  zero(at: number, length: number): void {
    this.#memory.bytes.fill(0, at, at + length);
  }
}
