/** Builds capture files byte by byte, so that the reader is tested against the format and not against our writer. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CapturedPacket } from '../../src/capture-file/packet.ts';
import { readCapture } from '../../src/capture-file/reader.ts';

export type Endian = 'little' | 'big';

const writer = (endian: Endian, size: 2 | 4 | 8) => (value: number | bigint) => {
  const bytes = Buffer.alloc(size);
  if (size === 8)
    endian === 'little' ? bytes.writeBigUInt64LE(BigInt(value)) : bytes.writeBigUInt64BE(BigInt(value));
  else if (endian === 'little') bytes.writeUIntLE(Number(value), 0, size);
  else bytes.writeUIntBE(Number(value), 0, size);
  return bytes;
};

/** Words in one byte order. */
export const words = (endian: Endian) => ({
  u16: writer(endian, 2),
  u32: writer(endian, 4),
  u64: writer(endian, 8),
});

export interface PcapOptions {
  readonly endian?: Endian;
  readonly magic?: number;
  readonly version?: readonly [number, number];
  readonly linkType?: number;
}

export function pcapHeader({
  endian = 'little',
  magic = 0xa1b2c3d4,
  version = [2, 4],
  linkType = 1,
}: PcapOptions = {}): Buffer {
  const { u16, u32 } = words(endian);
  const [major, minor] = version;
  return Buffer.concat([u32(magic), u16(major), u16(minor), u32(0), u32(0), u32(65535), u32(linkType)]);
}

export function pcapRecord(
  data: Uint8Array,
  {
    endian = 'little',
    seconds = 0,
    fraction = 0,
    original = data.length,
  }: { endian?: Endian; seconds?: number; fraction?: number; original?: number } = {},
): Buffer {
  const { u32 } = words(endian);
  return Buffer.concat([u32(seconds), u32(fraction), u32(data.length), u32(original), data]);
}

/** A pcapng block: type, body padded to 4, and the length at both ends. */
export function block(endian: Endian, type: number, ...parts: readonly Uint8Array[]): Buffer {
  const { u32 } = words(endian);
  const body = padded(Buffer.concat(parts));
  return Buffer.concat([u32(type), u32(body.length + 12), body, u32(body.length + 12)]);
}

export function option(endian: Endian, code: number, value: Uint8Array): Buffer {
  const { u16 } = words(endian);
  return Buffer.concat([u16(code), u16(value.length), padded(value)]);
}

export const padded = (bytes: Uint8Array): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);

export const sectionHeader = (endian: Endian, ...options: readonly Uint8Array[]): Buffer => {
  const { u16, u32, u64 } = words(endian);
  return block(endian, 0x0a0d0d0a, u32(0x1a2b3c4d), u16(1), u16(0), u64(0xffffffffffffffffn), ...options);
};

export const interfaceBlock = (
  endian: Endian,
  linkType: number,
  snapLength: number,
  ...options: Uint8Array[]
): Buffer => {
  const { u16, u32 } = words(endian);
  return block(endian, 1, u16(linkType), u16(0), u32(snapLength), ...options);
};

export function enhancedPacket(
  endian: Endian,
  data: Uint8Array,
  { number = 0, ticks = 0n, original = data.length, options = [] as readonly Uint8Array[] } = {},
): Buffer {
  const { u32 } = words(endian);
  const head = [u32(number), u32(ticks >> 32n), u32(ticks & 0xffffffffn), u32(data.length), u32(original)];
  return block(endian, 6, ...head, padded(data), ...options);
}

/** A packet whose bytes are its own. */
type ReadPacket = Omit<CapturedPacket, 'data'> & { readonly data: string };

export interface ReadResult {
  readonly packets: readonly ReadPacket[];
  readonly error: Error | undefined;
}

/** Writes a file and reads it as a capture, up to its end or its damage. */
export function readBytes(...parts: readonly Uint8Array[]): ReadResult {
  const folder = mkdtempSync(join(tmpdir(), 'overweft-capture-'));
  try {
    const file = join(folder, 'capture');
    writeFileSync(file, Buffer.concat(parts));
    return readAll(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function readAll(file: string): ReadResult {
  const packets: ReadPacket[] = [];
  try {
    for (const packet of readCapture(file))
      packets.push({ ...packet, data: Buffer.from(packet.data).toString('hex') });
  } catch (error) {
    return { packets, error: error as Error };
  }
  return { packets, error: undefined };
}
