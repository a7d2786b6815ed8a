import { type CapturedPacket, MAX_CAPTURED } from './packet.ts';
import type { ByteSource } from './source.ts';

/*
 * The pcapng file format, draft-ietf-opsawg-pcapng: blocks, each in the byte order of its section.
 *
 *      0      4        8                  length − 4
 *      ├ type ┼ length ┼ body, options … ─┼ length ┤      length a multiple of 4
 *
 *      options: ├ code ─┼ length ┼ value, padded to 4 …  until code 0 or the end of the body
 */
const BLOCK_OVERHEAD = 12;
/** Longer blocks are taken for a damaged length, as Wireshark does. */
const MAX_BLOCK = 16 * 1024 * 1024;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

export const SECTION_HEADER = 0x0a0d0d0a;
export const INTERFACE_DESCRIPTION = 1;
const OBSOLETE_PACKET = 2;
const SIMPLE_PACKET = 3;
export const ENHANCED_PACKET = 6;

const END_OF_OPTIONS = 0;
export const COMMENT = 1;
const IF_TSRESOL = 9;
const IF_TSOFFSET = 14;

/** Where the fixed part of each block's body ends and its options, or the packet, begin. */
const SECTION_FIXED = 16;
const INTERFACE_FIXED = 8;
const SIMPLE_FIXED = 4;
const PACKET_FIXED = 20;

const utf8 = new TextDecoder();

interface Interface {
  readonly linkType: number;
  /** 0: no limit. */
  readonly snapLength: number;
  /** Time stamps count units of 1/unitsPerSecond. */
  readonly unitsPerSecond: bigint;
  /** Seconds to add to them. */
  readonly offset: bigint;
}

/** Body of a block with the byte order of its section; `at` is its place in the file. */
interface Body {
  readonly bytes: Buffer;
  readonly at: number;
  readonly little: boolean;
}

/** Whether the first word of a file, read big-endian, opens a pcapng file. */
export const isPcapng = (magic: number): boolean => magic === SECTION_HEADER;

/**
 * The packets of a pcapng file, of every section and interface; blocks of other kinds are skipped.
 * @throws CaptureFileError at the first damage, after every packet before it
 */
export function* readPcapng(source: ByteSource): Generator<CapturedPacket, void, undefined> {
  let little = false;
  let interfaces: Interface[] = [];

  for (;;) {
    const at = source.position;
    const found = source.available(BLOCK_OVERHEAD);
    if (found === 0) return;
    if (found < BLOCK_OVERHEAD) throw source.damage(at, `block cut short: ${found} bytes`);
    const head = source.peek(BLOCK_OVERHEAD);
    if (head.readUInt32BE(0) === SECTION_HEADER) {
      if (head.readUInt32LE(8) === BYTE_ORDER_MAGIC) little = true;
      else if (head.readUInt32BE(8) === BYTE_ORDER_MAGIC) little = false;
      else throw source.damage(at + 8, `byte-order magic ${head.subarray(8, 12).toString('hex')}`);
      interfaces = [];
    }
    const type = little ? head.readUInt32LE(0) : head.readUInt32BE(0);
    const body = takeBlock(source, at, little);
    switch (type) {
      case SECTION_HEADER:
        checkSection(source, body);
        break;
      case INTERFACE_DESCRIPTION:
        interfaces.push(readInterface(source, body));
        break;
      case ENHANCED_PACKET:
      case OBSOLETE_PACKET:
        yield readPacket(source, body, interfaces, type === OBSOLETE_PACKET);
        break;
      case SIMPLE_PACKET:
        yield readSimplePacket(source, body, interfaces);
        break;
    }
  }
}

function takeBlock(source: ByteSource, at: number, little: boolean): Body {
  const head = source.peek(BLOCK_OVERHEAD);
  const length = little ? head.readUInt32LE(4) : head.readUInt32BE(4);
  if (length < BLOCK_OVERHEAD || length > MAX_BLOCK)
    throw source.damage(at, `block length ${length}; right are ${BLOCK_OVERHEAD} to ${MAX_BLOCK}`);
  // Some writers leave a block's length unpadded and pad the block nevertheless.
  const padded = (length + 3) & ~3;
  const present = source.available(padded);
  if (present < padded) throw source.damage(at, `block cut short: ${present} of ${padded} bytes`);
  const block = source.take(padded);
  const trailer = little ? block.readUInt32LE(padded - 4) : block.readUInt32BE(padded - 4);
  if (trailer !== length)
    throw source.damage(at, `block length ${length} at its start, ${trailer} at its end`);
  return { bytes: block.subarray(8, length - 4), at: at + 8, little };
}

function checkSection(source: ByteSource, body: Body): void {
  need(source, body, SECTION_FIXED, 'section header');
  const major = u16(body, 4);
  if (major !== 1)
    throw source.damage(
      body.at + 4,
      `version ${major}.${u16(body, 6)} of the pcapng format; only 1.x is known`,
    );
  for (const _ of options(source, body, SECTION_FIXED)) {
  }
}

function readInterface(source: ByteSource, body: Body): Interface {
  need(source, body, INTERFACE_FIXED, 'interface description');
  let unitsPerSecond = 1_000_000n;
  let offset = 0n;
  for (const { code, value } of options(source, body, INTERFACE_FIXED)) {
    if (code === IF_TSRESOL && value.length >= 1) {
      const resolution = value.readUInt8(0);
      unitsPerSecond = resolution & 0x80 ? 2n ** BigInt(resolution & 0x7f) : 10n ** BigInt(resolution);
    } else if (code === IF_TSOFFSET && value.length >= 8) {
      offset = body.little ? value.readBigInt64LE(0) : value.readBigInt64BE(0);
    }
  }
  return { linkType: u16(body, 0), snapLength: u32(body, 4), unitsPerSecond, offset };
}

/** Enhanced packet block, and the obsolete packet block: the same but for the width of the interface number. */
function readPacket(
  source: ByteSource,
  body: Body,
  interfaces: readonly Interface[],
  obsolete: boolean,
): CapturedPacket {
  need(source, body, PACKET_FIXED, 'packet block');
  const number = obsolete ? u16(body, 0) : u32(body, 0);
  const from = interfaces[number];
  if (from === undefined)
    throw source.damage(body.at, `packet of interface ${number}; ${interfaces.length} described`);
  const captured = u32(body, 12);
  const data = packetBytes(source, body, PACKET_FIXED, captured);
  const comments: string[] = [];
  for (const { code, value } of options(source, body, PACKET_FIXED + ((captured + 3) & ~3)))
    if (code === COMMENT) comments.push(utf8.decode(value));
  const ticks = (BigInt(u32(body, 4)) << 32n) | BigInt(u32(body, 8));
  return {
    linkType: from.linkType,
    data,
    original: u32(body, 16),
    time: from.offset * 1_000_000_000n + (ticks * 1_000_000_000n) / from.unitsPerSecond,
    comments,
  };
}

function readSimplePacket(source: ByteSource, body: Body, interfaces: readonly Interface[]): CapturedPacket {
  need(source, body, SIMPLE_FIXED, 'simple packet block');
  const from = interfaces[0];
  if (from === undefined)
    throw source.damage(body.at, 'simple packet block before any interface description');
  const original = u32(body, 0);
  const captured = from.snapLength === 0 ? original : Math.min(original, from.snapLength);
  return {
    linkType: from.linkType,
    data: packetBytes(source, body, SIMPLE_FIXED, captured),
    original,
    time: null,
    comments: [],
  };
}

function packetBytes(source: ByteSource, body: Body, start: number, captured: number): Buffer {
  if (captured > MAX_CAPTURED)
    throw source.damage(body.at, `packet of ${captured} bytes; at most ${MAX_CAPTURED} can be right`);
  if (captured > body.bytes.length - start)
    throw source.damage(
      body.at,
      `packet of ${captured} bytes in a block with room for ${body.bytes.length - start}`,
    );
  return body.bytes.subarray(start, start + captured);
}

/** The options of a block from `start` of its body on. */
function* options(source: ByteSource, body: Body, start: number): Generator<{ code: number; value: Buffer }> {
  for (let at = start; at + 4 <= body.bytes.length; ) {
    const code = u16(body, at);
    const length = u16(body, at + 2);
    if (code === END_OF_OPTIONS) return;
    if (length > body.bytes.length - at - 4)
      throw source.damage(
        body.at + at,
        `option ${code} of ${length} bytes where ${body.bytes.length - at - 4} are left`,
      );
    yield { code, value: body.bytes.subarray(at + 4, at + 4 + length) };
    at += 4 + ((length + 3) & ~3);
  }
}

function need(source: ByteSource, body: Body, length: number, what: string): void {
  if (body.bytes.length < length)
    throw source.damage(body.at, `${what} of ${body.bytes.length} bytes; it has at least ${length}`);
}

const u16 = ({ bytes, little }: Body, at: number): number =>
  little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
const u32 = ({ bytes, little }: Body, at: number): number =>
  little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
