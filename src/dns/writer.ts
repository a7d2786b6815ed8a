/**
 * Where the library writes records: bytes, in a buffer that grows.
 *
 * Its own keeps a list of bits, and copies the message once for each record: a reply with a thousand addresses takes a
 * quarter of a second with it, and a millisecond with this.
 */
import type { Packet } from 'dns2';

type Writer = InstanceType<typeof Packet.Writer>;

export class ByteWriter implements Omit<Writer, 'buffer' | 'writeBuffer'> {
  /** Offsets of names that later ones may point to; the library fills it (RFC 1035 §4.1.4). */
  readonly names = new Map<string, number>();
  #bytes: Buffer;
  #length: number;

  /** @param length bytes that are left free at the beginning */
  constructor(length: number) {
    this.#bytes = Buffer.alloc(512);
    this.#length = length;
  }

  /** This as the library's type, which has more members than the library uses of it. */
  get own(): Writer {
    return this as unknown as Writer;
  }

  /** @param bits 8, 16 or 32, in network byte order */
  write(value: number, bits: number): void {
    const at = this.#length;
    this.#length += bits / 8;
    if (this.#length > this.#bytes.length)
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
    this.#set(value, at, bits);
  }

  /** @param at in bits */
  patch(at: number, value: number, bits: number): void {
    this.#set(value, at / 8, bits);
  }

  bitLength(): number {
    return this.#length * 8;
  }

  byteLength(): number {
    return this.#length;
  }

  /** What has been written, not copied. */
  toBuffer(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #set(value: number, at: number, bits: number): void {
    switch (bits) {
      case 8:
        this.#bytes[at] = value;
        break;
      case 16:
        this.#bytes.writeUInt16BE(value & 0xffff, at);
        break;
      case 32:
        this.#bytes.writeUInt32BE(value >>> 0, at);
        break;
      default:
        throw new RangeError(`${bits} bits are no whole number`);
    }
  }
}
