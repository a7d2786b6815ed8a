import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CaptureWriter } from '../../src/capture-file/writer.ts';
import { command, describeWith, root } from '../support/requires.ts';
import { must } from '../support/run.ts';
import { readAll } from './bytes.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'overweft-writer-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const time = 1_700_000_000_123_456_789n;

function write(name: string): string {
  const file = join(folder, name);
  using writer = new CaptureWriter(file, [
    { linkType: 1, name: 'eth0' },
    { linkType: 101, snapLength: 65535 },
  ]);
  for (const length of [14, 15, 16, 17])
    writer.write({
      data: Buffer.alloc(length, length),
      time,
      comments: ['drop ipv4-length', `of ${length}`],
    });
  writer.write({ interface: 1, data: Buffer.of(0x45), original: 20, time: time + 1n });
  return file;
}

describe('a written capture', () => {
  it('reads back as it was', () => {
    const { packets, error } = readAll(write('whole'));
    expect(error).toBeUndefined();
    expect(packets).toHaveLength(5);
    expect(packets[1]).toEqual({
      linkType: 1,
      data: '0f'.repeat(15),
      original: 15,
      time,
      comments: ['drop ipv4-length', 'of 15'],
    });
    expect(packets[4]).toEqual({ linkType: 101, data: '45', original: 20, time: time + 1n, comments: [] });
  });

  it('is whole whenever it was flushed', () => {
    const file = join(folder, 'flushed');
    using writer = new CaptureWriter(file, [{ linkType: 1 }]);
    writer.flush();
    expect(readAll(file)).toEqual({ packets: [], error: undefined });
    writer.write({ data: Buffer.of(1), time });
    writer.flush();
    expect(readAll(file).packets).toHaveLength(1);
  });
});

describeWith([command('tshark')], 'tshark', () => {
  it('reads what was written', async () => {
    const fields = ['frame.number', 'frame.interface_name', 'frame.len', 'frame.time_epoch', 'frame.comment'];
    const text = await must('tshark', [
      '-r',
      write('tshark'),
      '-T',
      'fields',
      ...fields.flatMap((name) => ['-e', name]),
    ]);
    expect(text.split('\n').slice(0, 5)).toEqual([
      '1\teth0\t14\t1700000000.123456789\tdrop ipv4-length,of 14',
      '2\teth0\t15\t1700000000.123456789\tdrop ipv4-length,of 15',
      '3\teth0\t16\t1700000000.123456789\tdrop ipv4-length,of 16',
      '4\teth0\t17\t1700000000.123456789\tdrop ipv4-length,of 17',
      '5\tunknown\t20\t1700000000.123456790\t',
    ]);
  });
});

describeWith([root], 'a full disk', () => {
  it('leaves whole packets, and an error that names the file', async () => {
    const place = join(folder, 'full');
    mkdirSync(place);
    const program = `
      import { CaptureWriter } from '${fileURLToPath(new URL('../../src/capture-file/writer.ts', import.meta.url))}';
      using writer = new CaptureWriter('${place}/file', [{ linkType: 1 }]);
      try {
        for (;;) {
          writer.write({ data: Buffer.alloc(1000), time: 0n });
          writer.flush();
        }
      } catch ({ message }) {
        console.log(message);
      }`;
    const script =
      'mount -t tmpfs -o size=64k none "$1" && "$2" --input-type=module --eval "$3" && cp "$1/file" "$4"';
    const copy = join(folder, 'copy');
    const words = ['--mount', 'sh', '-c', script, 'sh', place, process.execPath, program, copy];
    expect(await must('unshare', words)).toMatch(`${place}/file: ENOSPC`);
    const { packets, error } = readAll(copy);
    expect(error).toBeUndefined();
    expect(packets.length).toBeGreaterThan(50);
  });
});
