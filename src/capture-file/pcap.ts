import { type CapturedPacket, MAX_CAPTURED } from './packet.ts';
import type { ByteSource } from './source.ts';

/*
 * The pcap file format, draft-ietf-opsawg-pcap, in the writer's byte order:
 *
 *      0        4       6       8           16        20          24
 *      ├ magic ─┼ major ┼ minor ┼ (unused) ─┼ snaplen ┼ link type ┤
 *      0         4          8          12         16
 *      ├ seconds ┼ fraction ┼ captured ┼ original ┼ data …          for each packet
 */
const FILE_HEADER = 24;
const RECORD_HEADER = 16;

interface Dialect {
  /** Nanoseconds in a unit of the fraction. */
  readonly unit: bigint;
  /** Bytes that the record header has behind the four words. */
  readonly extra: number;
}

const dialects: ReadonlyMap<number, Dialect> = new Map([
  [0xa1b2c3d4, { unit: 1000n, extra: 0 }],
  [0xa1b23c4d, { unit: 1n, extra: 0 }],
  // Alexey Kuznetsov's patched libpcap: interface index, protocol and packet type behind each header.
  [0xa1b2cd34, { unit: 1000n, extra: 8 }],
]);

/** Whether the first word of a file, read big-endian, opens a pcap file. */
export const isPcap = (magic: number): boolean => dialects.has(magic) || dialects.has(swap(magic));

/**
 * The packets of a pcap file: microseconds or nanoseconds, either byte order.
 * @throws CaptureFileError at the first damage, after every packet before it
 */
export function* readPcap(source: ByteSource): Generator<CapturedPacket, void, undefined> {
  if (source.available(FILE_HEADER) < FILE_HEADER)
    throw source.damage(0, `file header cut short: ${source.available(FILE_HEADER)} of ${FILE_HEADER} bytes`);
  const header = source.take(FILE_HEADER);
  const magic = header.readUInt32BE(0);
  const little = !dialects.has(magic);
  const dialect = dialects.get(little ? swap(magic) : magic) as Dialect;
  const u16 = (at: number) => (little ? header.readUInt16LE(at) : header.readUInt16BE(at));
  const network = little ? header.readUInt32LE(20) : header.readUInt32BE(20);
  const major = u16(4);
  const minor = u16(6);
  if (major !== 2) throw source.damage(4, `version ${major}.${minor} of the pcap format; only 2.x is known`);
  if (network & 0x03ff0000) throw source.damage(20, `reserved bits set in link type ${hex(network)}`);
  const linkType = network & 0xffff;
  const recordHeader = RECORD_HEADER + dialect.extra;

  for (;;) {
    const at = source.position;
    const found = source.available(recordHeader);
    if (found === 0) return;
    if (found < recordHeader)
      throw source.damage(at, `packet header cut short: ${found} of ${recordHeader} bytes`);
    const record = source.take(recordHeader);
    const seconds = little ? record.readUInt32LE(0) : record.readUInt32BE(0);
    const fraction = little ? record.readUInt32LE(4) : record.readUInt32BE(4);
    let captured = little ? record.readUInt32LE(8) : record.readUInt32BE(8);
    let original = little ? record.readUInt32LE(12) : record.readUInt32BE(12);
    // libpcap before 0.4 wrote the two lengths the other way round, and 2.3 stands for both orders.
    if (minor < 3 || (minor === 3 && captured > original)) [captured, original] = [original, captured];
    if (captured > MAX_CAPTURED)
      throw source.damage(at, `packet of ${captured} bytes; at most ${MAX_CAPTURED} can be right`);
    const present = source.available(captured);
    if (present < captured) throw source.damage(at, `packet cut short: ${present} of ${captured} bytes`);
    yield {
      linkType,
      data: source.take(captured),
      original,
      time: BigInt(seconds) * 1_000_000_000n + BigInt(fraction) * dialect.unit,
      comments: [],
    };
  }
}

const swap = (word: number): number =>
  ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;

const hex = (word: number): string => `0x${word.toString(16).padStart(8, '0')}`;
