import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { constants, gunzipSync } from 'node:zlib';
import { CaptureFileError } from './damage.ts';

const CHUNK = 1 << 20;
const GZIP_MAGIC = 0x1f8b;
/** Bytes that a compressed file may hold: it is decompressed in memory, which takes twice as many. */
const MOST_DECOMPRESSED = 2 ** 30;
/** Stands for the standard input, as tcpdump and tshark have it. */
const STDIN = '-';
const STDIN_DESCRIPTOR = 0;

/**
 * Bytes of a file, or of the standard input, in order, through one buffer that grows to the longest record asked for. Files compressed with gzip
 * are read as what they contain.
 */
export class ByteSource implements Disposable {
  readonly file: string;
  /** Offset in the file of the next byte. */
  position = 0;
  #descriptor: number | undefined;
  #bytes = Buffer.allocUnsafeSlow(CHUNK);
  #next = 0;
  #end = 0;

  /**
   * @param mostDecompressed bytes that it may hold if it is compressed
   * @throws the system's error when the file cannot be opened or read; CaptureFileError where it cannot be decompressed
   */
  constructor(file: string, mostDecompressed = MOST_DECOMPRESSED) {
    this.file = file;
    this.#descriptor = file === STDIN ? STDIN_DESCRIPTOR : openSync(file, 'r');
    try {
      if (fstatSync(this.#descriptor).isDirectory())
        throw Object.assign(new Error('is a directory: name the captures in it'), { code: 'EISDIR' });
      if (this.#fill(2) && this.#bytes.readUInt16BE(0) === GZIP_MAGIC) this.#decompress(mostDecompressed);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Bytes at hand, at most `wanted`: fewer only at the end of the file. */
  available(wanted: number): number {
    this.#fill(wanted);
    return Math.min(wanted, this.#end - this.#next);
  }

  /** The next `length` bytes, which available() has found; valid until the next call of available(). */
  take(length: number): Buffer {
    const bytes = this.peek(length);
    this.#next += length;
    this.position += length;
    return bytes;
  }

  /** The same without moving on. */
  peek(length: number): Buffer {
    return this.#bytes.subarray(this.#next, this.#next + length);
  }

  /** The error for damage at `position`. */
  damage(position: number, fault: string): CaptureFileError {
    return new CaptureFileError(this.file, position, fault);
  }

  [Symbol.dispose](): void {
    if (this.#descriptor !== undefined && this.file !== STDIN) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #fill(wanted: number): boolean {
    while (this.#end - this.#next < wanted) {
      if (this.#descriptor === undefined) return false;
      if (this.#bytes.length - this.#next < Math.max(wanted, CHUNK / 2)) this.#makeRoom(wanted);
      const read = readSync(this.#descriptor, this.#bytes, this.#end, this.#bytes.length - this.#end, null);
      if (read === 0) return false;
      this.#end += read;
    }
    return true;
  }

  #makeRoom(wanted: number): void {
    const left = this.#bytes.subarray(this.#next, this.#end);
    const room = wanted > this.#bytes.length ? Buffer.allocUnsafeSlow(2 * wanted) : this.#bytes;
    left.copy(room);
    this.#bytes = room;
    this.#end -= this.#next;
    this.#next = 0;
  }

  /** What was cut off or damaged at the end of the compressed data shows as a capture cut short. */
  #decompress(most: number): void {
    for (let size = 2 * CHUNK; this.#fill(size); size *= 2) {}
    const compressed = this.#bytes.subarray(this.#next, this.#end);
    this[Symbol.dispose]();
    try {
      this.#bytes = gunzipSync(compressed, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: most });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const isTooLarge = code === 'ERR_BUFFER_TOO_LARGE';
      throw this.damage(
        0,
        isTooLarge
          ? `more than ${most} bytes when decompressed: let zcat read it, and name ${STDIN} instead`
          : `compressed data cannot be read: ${message}`,
      );
    }
    this.#next = 0;
    this.#end = this.#bytes.length;
  }
}
