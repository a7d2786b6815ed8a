import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { COMMENT, ENHANCED_PACKET, INTERFACE_DESCRIPTION, SECTION_HEADER } from './pcapng.ts';

const FLUSH_AT = 1 << 18;
const NANOSECONDS = 9;
const IF_NAME = 2;
const IF_TSRESOL = 9;

/** An interface of a file being written. */
export interface CaptureInterface {
  readonly linkType: number;
  readonly name?: string;
  /** Longest packet that is captured whole; 0: no limit. */
  readonly snapLength?: number;
}

/** A packet to be written. */
export interface PacketRecord {
  /** Index among the writer's interfaces; the first unless given. */
  readonly interface?: number;
  readonly data: Uint8Array;
  /** Length on the wire; that of `data` unless given. */
  readonly original?: number;
  /** Nanoseconds since 1970-01-01 UTC. */
  readonly time: bigint;
  readonly comments?: readonly string[];
}

/**
 * Writes a pcapng file of one section, little-endian, times in nanoseconds. What is written so far is a complete file
 * after flush() and at the end, and where a flush has failed: what it began is cut off again.
 */
export class CaptureWriter implements Disposable {
  readonly #file: string;
  readonly #descriptor: number;
  /** Bytes of what was flushed whole. */
  #size = 0;
  #blocks: Buffer[] = [];
  #pending = 0;

  /** @throws the system's error when the file cannot be written */
  constructor(file: string, interfaces: readonly CaptureInterface[]) {
    this.#file = file;
    this.#descriptor = openSync(file, 'w', 0o644);
    const section = Buffer.alloc(16);
    section.writeUInt32LE(0x1a2b3c4d, 0);
    section.writeUInt16LE(1, 4);
    section.writeBigInt64LE(-1n, 8);
    this.#put(SECTION_HEADER, [section]);
    for (const { linkType, name, snapLength } of interfaces) {
      const fixed = Buffer.alloc(8);
      fixed.writeUInt16LE(linkType, 0);
      fixed.writeUInt32LE(snapLength ?? 0, 4);
      const described = name === undefined ? [] : [option(IF_NAME, Buffer.from(name))];
      this.#put(INTERFACE_DESCRIPTION, [
        fixed,
        ...described,
        option(IF_TSRESOL, Buffer.of(NANOSECONDS)),
        endOfOptions,
      ]);
    }
  }

  write(packet: PacketRecord): void {
    const { data, time, comments = [] } = packet;
    const fixed = Buffer.alloc(20);
    fixed.writeUInt32LE(packet.interface ?? 0, 0);
    fixed.writeUInt32LE(Number(time >> 32n), 4);
    fixed.writeUInt32LE(Number(time & 0xffffffffn), 8);
    fixed.writeUInt32LE(data.length, 12);
    fixed.writeUInt32LE(packet.original ?? data.length, 16);
    // A copy: the caller's buffer is used again before the block is flushed.
    const options = comments.map((comment) => option(COMMENT, Buffer.from(comment)));
    this.#put(ENHANCED_PACKET, [
      fixed,
      padded(Buffer.from(data)),
      ...options,
      ...(options.length > 0 ? [endOfOptions] : []),
    ]);
  }

  /**
   * Hands everything written so far to the kernel.
   * @throws Error that names the file, where it takes no more
   */
  flush(): void {
    const bytes = Buffer.concat(this.#blocks);
    this.#blocks = [];
    this.#pending = 0;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor, bytes, at);
      this.#size += bytes.length;
    } catch (error) {
      this.#cut();
      throw new Error(`${this.#file}: ${(error as Error).message}`);
    }
  }

  #cut(): void {
    try {
      ftruncateSync(this.#descriptor, this.#size);
    } catch {
      // A pipe or a device: nothing of it is kept.
    }
  }

  [Symbol.dispose](): void {
    try {
      this.flush();
    } finally {
      closeSync(this.#descriptor);
    }
  }

  #put(type: number, parts: readonly Buffer[]): void {
    const length = parts.reduce((sum, part) => sum + part.length, 12);
    const head = Buffer.alloc(8);
    head.writeUInt32LE(type, 0);
    head.writeUInt32LE(length, 4);
    this.#blocks.push(head, ...parts, head.subarray(4));
    this.#pending += length;
    if (this.#pending >= FLUSH_AT) this.flush();
  }
}

const endOfOptions = Buffer.alloc(4);

function option(code: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(code, 0);
  head.writeUInt16LE(value.length, 2);
  return Buffer.concat([head, padded(value)]);
}

const padded = (bytes: Buffer): Buffer =>
  bytes.length % 4 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - (bytes.length % 4))]);
