import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { locked } from '../../src/setup/lock.mjs';
import { run } from '../support/run.ts';

const folder = mkdtempSync(`${tmpdir()}/overweft-lock-`);
const lockFile = `${folder}/lock`;
afterAll(() => rmSync(folder, { recursive: true }));

describe('build lock', () => {
  it('lets one in at a time', async () => {
    const order: string[] = [];
    const holder = (name: string) => async () => {
      order.push(`${name} in`);
      await sleep(50);
      order.push(`${name} out`);
    };
    await Promise.all([locked(holder('a'), lockFile), locked(holder('b'), lockFile)]);
    expect(order).toEqual(['a in', 'a out', 'b in', 'b out']);
  });

  it('is given back after a failure', async () => {
    await expect(locked(() => Promise.reject(new Error('broken')), lockFile)).rejects.toThrow('broken');
    expect(existsSync(lockFile)).toBe(false);
  });

  it('is taken over from a process that died', async () => {
    const { stdout } = await run(process.execPath, ['-p', 'process.pid']);
    writeFileSync(lockFile, stdout.trim());
    expect(await locked(async () => 'built', lockFile)).toBe('built');
  });
});
