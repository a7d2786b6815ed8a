import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CaptureFileError } from '../../src/capture-file/damage.ts';
import { ByteSource } from '../../src/capture-file/source.ts';
import { type Endian, pcapHeader, pcapRecord, readBytes, words } from './bytes.ts';

const data = Buffer.from('0102030405', 'hex');

describe.each<Endian>(['little', 'big'])('pcap, %s-endian', (endian) => {
  it('has microseconds', () => {
    const record = pcapRecord(data, { endian, seconds: 5, fraction: 7, original: 60 });
    expect(readBytes(pcapHeader({ endian, linkType: 101 }), record)).toEqual({
      packets: [{ linkType: 101, data: '0102030405', original: 60, time: 5_000_007_000n, comments: [] }],
      error: undefined,
    });
  });

  it('has nanoseconds', () => {
    const header = pcapHeader({ endian, magic: 0xa1b23c4d });
    const { packets } = readBytes(header, pcapRecord(data, { endian, seconds: 5, fraction: 7 }));
    expect(packets.map(({ time }) => time)).toEqual([5_000_000_007n]);
  });

  it('may have the longer record header of a patched libpcap', () => {
    const record = pcapRecord(Buffer.concat([Buffer.alloc(8), data]), { endian });
    words(endian).u32(data.length).copy(record, 8);
    const { packets, error } = readBytes(pcapHeader({ endian, magic: 0xa1b2cd34 }), record, record);
    expect([packets.map((packet) => packet.data), error]).toEqual([['0102030405', '0102030405'], undefined]);
  });

  it('had its lengths the other way round before version 2.3', () => {
    const { u32 } = words(endian);
    const record = Buffer.concat([u32(0), u32(0), u32(60), u32(data.length), data]);
    const { packets } = readBytes(pcapHeader({ endian, version: [2, 2] }), record);
    expect(packets).toMatchObject([{ data: '0102030405', original: 60 }]);
  });
});

describe('pcap', () => {
  it('without packets is whole', () => {
    expect(readBytes(pcapHeader())).toEqual({ packets: [], error: undefined });
  });

  it('leaves the length of a frame check sequence out of the link type', () => {
    const { packets } = readBytes(pcapHeader({ linkType: 0x44000001 }), pcapRecord(data));
    expect(packets).toMatchObject([{ linkType: 1 }]);
  });

  it('is refused where it is too large to be decompressed in memory', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'overweft-gzip-')), 'large.pcap.gz');
    writeFileSync(file, gzipSync(Buffer.alloc(1 << 20)));
    try {
      expect(() => new ByteSource(file, 1 << 16)).toThrow(
        `${file}: byte 0: more than 65536 bytes when decompressed: let zcat read it, and name - instead`,
      );
    } finally {
      rmSync(dirname(file), { recursive: true });
    }
  });

  it('is read through gzip', () => {
    const { packets } = readBytes(gzipSync(Buffer.concat([pcapHeader(), pcapRecord(data)])));
    expect(packets).toHaveLength(1);
  });

  it('is read across the reader’s buffer', () => {
    const large = Buffer.alloc(200_000, 0xa5);
    const { packets, error } = readBytes(
      pcapHeader(),
      ...Array.from({ length: 12 }, () => pcapRecord(large)),
      pcapRecord(data),
    );
    expect(error).toBeUndefined();
    expect(packets).toHaveLength(13);
    expect(packets.slice(0, 12).every((packet) => packet.data === large.toString('hex'))).toBe(true);
    expect(packets.at(-1)?.data).toBe('0102030405');
  });

  const whole = Buffer.concat([pcapHeader(), pcapRecord(data)]);
  it.each<[string, Buffer, number, number, string]>([
    ['an empty file', Buffer.alloc(0), 0, 0, '0 bytes are no capture file'],
    ['another kind of file', Buffer.from('#!/bin/sh'), 0, 0, '23212f62 opens no capture file'],
    ['a header cut short', pcapHeader().subarray(0, 20), 0, 0, 'file header cut short: 20 of 24 bytes'],
    ['an unknown version', pcapHeader({ version: [1, 4] }), 0, 4, 'version 1.4'],
    [
      'reserved bits of the link type',
      pcapHeader({ linkType: 0x00200001 }),
      0,
      20,
      'reserved bits set in link type 0x00200001',
    ],
    [
      'a packet header cut short',
      Buffer.concat([whole, Buffer.alloc(7)]),
      1,
      45,
      'packet header cut short: 7 of 16 bytes',
    ],
    [
      'a packet cut short',
      Buffer.concat([whole, pcapRecord(data).subarray(0, 18)]),
      1,
      45,
      'packet cut short: 2 of 5 bytes',
    ],
    [
      'an impossible length',
      Buffer.concat([whole, Buffer.alloc(8), words('little').u32(262145), Buffer.alloc(8)]),
      1,
      45,
      'packet of 262145 bytes; at most 262144 can be right',
    ],
  ])('%s is reported with its place, behind what can be read', (_, bytes, packets, position, fault) => {
    const result = readBytes(bytes);
    expect(result.packets).toHaveLength(packets);
    expect(result.error).toBeInstanceOf(CaptureFileError);
    expect(result.error).toMatchObject({ position });
    expect(result.error?.message).toContain(`byte ${position}: `);
    expect(result.error?.message).toContain(fault);
  });

  it('compressed and cut short gives what can be read', () => {
    const packed = gzipSync(
      Buffer.concat([
        pcapHeader(),
        ...Array.from({ length: 500 }, (_, i) => pcapRecord(Buffer.from(`${i * 7919} packet`))),
      ]),
    );
    const { packets, error } = readBytes(packed.subarray(0, packed.length / 2));
    expect(packets.length).toBeGreaterThan(50);
    expect(error).toBeInstanceOf(CaptureFileError);
  });
});
