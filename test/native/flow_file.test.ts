import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { addon, bytes, MEMORY_SIZE, pattern } from './burst.ts';

const folder = mkdtempSync(join(tmpdir(), 'overweft-flows-'));
const LENGTH = 0x10000;

/** Another process that maps `path`, writes a byte pattern through its memory and stays until it is killed. */
async function predecessor(path: string) {
  const script = `
    const addon = require(${JSON.stringify(createRequire(import.meta.url).resolve('#build/overweft.node'))});
    const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
    const bytes = new Uint8Array(memory.buffer);
    addon.attachMemory(bytes);
    addon.mapFile(${LENGTH}, ${LENGTH}, ${JSON.stringify(path)});
    for (let index = 0; index < ${LENGTH}; index++) bytes[${LENGTH} + index] = (index * 7 + 3) & 0xff;
    console.log('written');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

describe('the flow file', () => {
  afterAll(() => rmSync(folder, { recursive: true }));

  it('keeps what a killed process wrote, and is nobody else’s while that lives', async () => {
    const path = join(folder, 'flows');
    const child = await predecessor(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(() => addon.mapFile(0x300000, LENGTH, path)).toThrow(
      expect.objectContaining({ code: 'EAGAIN', syscall: 'flock', message: expect.stringContaining(path) }),
    );
    child.kill('SIGKILL');
    await once(child, 'exit');

    bytes.fill(0xee, 0x300000 - 16, 0x300000 + LENGTH + 16);
    expect(addon.mapFile(0x300000, LENGTH, path)).toEqual({ previousSize: LENGTH });
    expect(bytes.slice(0x300000, 0x300000 + LENGTH)).toEqual(pattern(LENGTH, 3));
    expect(bytes[0x300000 - 1]).toBe(0xee);
    expect(bytes[0x300000 + LENGTH]).toBe(0xee);
    bytes[0x300000] = 77;
    expect(readFileSync(path)[0]).toBe(77);
  });

  it('is new and zero at first, and takes the size that is asked for', () => {
    const path = join(folder, 'new');
    bytes.fill(0xee, 0x400000, 0x400000 + LENGTH);
    expect(addon.mapFile(0x400000, LENGTH, path)).toEqual({ previousSize: 0 });
    expect(bytes.subarray(0x400000, 0x400000 + LENGTH).every((byte) => byte === 0)).toBe(true);
    expect(statSync(path)).toMatchObject({ size: LENGTH });
  });

  it('refuses what is no region of whole pages, and what is no file', () => {
    const path = join(folder, 'refused');
    for (const [offset, length] of [
      [0x300001, LENGTH],
      [0x300000, 100],
      [0x300000, 0],
      [MEMORY_SIZE, LENGTH],
      [MEMORY_SIZE - 0x8000, LENGTH],
      [0xfffff000, 0xfffff000],
    ] as const) {
      expect(() => addon.mapFile(offset, length, path)).toThrow(RangeError);
    }
    expect(() => statSync(path)).toThrow('ENOENT');
    symlinkSync(path, join(folder, 'link'));
    expect(() => addon.mapFile(0x300000, LENGTH, join(folder, 'link'))).toThrow(
      expect.objectContaining({ code: 'ELOOP' }),
    );
    expect(() => addon.mapFile(0x300000, LENGTH, folder)).toThrow(
      expect.objectContaining({ code: 'EISDIR' }),
    );
    expect(() => addon.mapFile(0x300000, LENGTH, join(folder, 'no', 'flows'))).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    );
  });
});
