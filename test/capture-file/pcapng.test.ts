import { describe, expect, it } from 'vitest';
import { CaptureFileError } from '../../src/capture-file/damage.ts';
import {
  block,
  type Endian,
  enhancedPacket,
  interfaceBlock,
  option,
  padded,
  readBytes,
  sectionHeader,
  words,
} from './bytes.ts';

const data = Buffer.from('0102030405', 'hex');
const SIMPLE = 3;
const OBSOLETE = 2;
const NAME_RESOLUTION = 4;
const CUSTOM = 0xbad;

describe.each<Endian>(['little', 'big'])('pcapng, %s-endian', (endian) => {
  const { u16, u32, u64 } = words(endian);
  const section = sectionHeader(endian);

  it('has enhanced packets of several interfaces', () => {
    const { packets, error } = readBytes(
      section,
      interfaceBlock(endian, 1, 0),
      interfaceBlock(endian, 101, 0),
      enhancedPacket(endian, data, { number: 1, ticks: 5_000_007n, original: 60 }),
      enhancedPacket(endian, data.subarray(0, 4)),
    );
    expect(error).toBeUndefined();
    expect(packets).toEqual([
      { linkType: 101, data: '0102030405', original: 60, time: 5_000_007_000n, comments: [] },
      { linkType: 1, data: '01020304', original: 4, time: 0n, comments: [] },
    ]);
  });

  it('has comments, in order, among other options', () => {
    const options = [
      option(endian, 1, Buffer.from('grüß')),
      option(endian, 2, u32(1)),
      option(endian, 1, Buffer.from('two')),
      option(endian, 0, Buffer.alloc(0)),
    ];
    const { packets } = readBytes(
      section,
      interfaceBlock(endian, 1, 0),
      enhancedPacket(endian, data, { options }),
    );
    expect(packets.map(({ comments }) => comments)).toEqual([['grüß', 'two']]);
  });

  it.each([
    ['milliseconds', 3, 5_007n, 5_007_000_000n],
    ['nanoseconds', 9, 5_000_000_007n, 5_000_000_007n],
    ['picoseconds', 12, 5_000_000_007_000n, 5_000_000_007n],
    ['2⁻¹⁰ seconds', 0x8a, 5_120n, 5_000_000_000n],
  ])('counts time in %s', (_, resolution, ticks, time) => {
    const tsresol = option(endian, 9, Buffer.of(resolution));
    const { packets } = readBytes(
      section,
      interfaceBlock(endian, 1, 0, tsresol),
      enhancedPacket(endian, data, { ticks }),
    );
    expect(packets.map((packet) => packet.time)).toEqual([time]);
  });

  it('counts time from an offset', () => {
    const { packets } = readBytes(
      section,
      interfaceBlock(endian, 1, 0, option(endian, 14, u64(100n))),
      enhancedPacket(endian, data, { ticks: 1n }),
    );
    expect(packets.map(({ time }) => time)).toEqual([100_000_001_000n]);
  });

  it('has simple packets, cut at the snap length', () => {
    const simple = block(endian, SIMPLE, u32(60), data.subarray(0, 4));
    expect(readBytes(section, interfaceBlock(endian, 1, 4), simple).packets).toEqual([
      { linkType: 1, data: '01020304', original: 60, time: null, comments: [] },
    ]);
  });

  it('has obsolete packet blocks', () => {
    const packet = block(
      endian,
      OBSOLETE,
      u16(0),
      u16(3),
      u32(0),
      u32(7),
      u32(data.length),
      u32(60),
      padded(data),
    );
    expect(readBytes(section, interfaceBlock(endian, 1, 0), packet).packets).toEqual([
      { linkType: 1, data: '0102030405', original: 60, time: 7_000n, comments: [] },
    ]);
  });

  it('may have blocks of other kinds', () => {
    const { packets, error } = readBytes(
      section,
      block(endian, NAME_RESOLUTION, Buffer.alloc(8)),
      interfaceBlock(endian, 1, 0),
      block(endian, CUSTOM, Buffer.from('what ever')),
      enhancedPacket(endian, data),
      block(endian, 5, u32(0), u64(0)),
    );
    expect([packets.length, error]).toEqual([1, undefined]);
  });

  it('may go on in a section of the other byte order, with interfaces of its own', () => {
    const other = endian === 'little' ? 'big' : 'little';
    const { packets, error } = readBytes(
      section,
      interfaceBlock(endian, 1, 0),
      enhancedPacket(endian, data),
      sectionHeader(other),
      interfaceBlock(other, 113, 0),
      enhancedPacket(other, data),
    );
    expect(error).toBeUndefined();
    expect(packets.map(({ linkType }) => linkType)).toEqual([1, 113]);
  });

  const start = Buffer.concat([section, interfaceBlock(endian, 1, 0), enhancedPacket(endian, data)]);
  const end = start.length;
  const mismatched = Buffer.from(enhancedPacket(endian, data));
  mismatched.set(u32(44), mismatched.length - 4);
  it.each<[string, Buffer, number, string]>([
    ['a block cut short', enhancedPacket(endian, data).subarray(0, 20), 0, 'block cut short: 20 of 40 bytes'],
    ['a block header cut short', Buffer.alloc(5), 0, 'block cut short: 5 bytes'],
    [
      'a block length too small',
      Buffer.concat([u32(6), u32(8), u32(8)]),
      0,
      'block length 8; right are 12 to 16777216',
    ],
    ['two lengths that differ', mismatched, 0, 'block length 40 at its start, 44 at its end'],
    [
      'an interface that is not described',
      enhancedPacket(endian, data, { number: 1 }),
      8,
      'packet of interface 1; 1 described',
    ],
    [
      'a packet longer than its block',
      block(endian, 6, u32(0), u32(0), u32(0), u32(100), u32(100), data),
      8,
      'packet of 100 bytes in a block with room for 8',
    ],
    [
      'an option longer than its block',
      enhancedPacket(endian, data, { options: [Buffer.concat([u16(1), u16(400), u32(0)])] }),
      36,
      'option 1 of 400 bytes where 4 are left',
    ],
    [
      'a section of an unknown version',
      block(endian, 0x0a0d0d0a, u32(0x1a2b3c4d), u16(2), u16(0), u64(0)),
      12,
      'version 2.0',
    ],
    [
      'a wrong byte-order magic',
      block(endian, 0x0a0d0d0a, u32(0x11223344), u16(1), u16(0), u64(0)),
      8,
      'byte-order magic',
    ],
    [
      'an interface block too short',
      block(endian, 1, u16(1), u16(0)),
      8,
      'interface description of 4 bytes; it has at least 8',
    ],
  ])('%s is reported with its place, behind what can be read', (_, bytes, offset, fault) => {
    const { packets, error } = readBytes(start, bytes);
    expect(packets).toHaveLength(1);
    expect(error).toBeInstanceOf(CaptureFileError);
    expect(error).toMatchObject({ position: end + offset });
    expect(error?.message).toContain(fault);
  });
});
