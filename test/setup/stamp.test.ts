import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { root } from '../../src/setup/runtime.mjs';
import { contentHash, filesBelow, Stamp } from '../../src/setup/stamp.mjs';

mkdirSync(`${root}build`, { recursive: true });
const folder = mkdtempSync(`${root}build/stamp-`);
const below = relative(root, folder);
afterAll(() => rmSync(folder, { recursive: true }));

describe('content stamp', () => {
  beforeEach(() => {
    rmSync(folder, { recursive: true });
    mkdirSync(`${folder}/inner`, { recursive: true });
    writeFileSync(`${folder}/a.ts`, 'one');
    writeFileSync(`${folder}/inner/b.ts`, 'two');
  });

  it('lists files below a folder in a fixed order', () => {
    expect(filesBelow(below, /\.ts$/)).toEqual([`${below}/a.ts`, `${below}/inner/b.ts`]);
    expect(filesBelow(below, /^b/)).toEqual([`${below}/inner/b.ts`]);
    expect(filesBelow(`${below}/none`, /./)).toEqual([]);
  });

  it('changes with content, name and version, and with nothing else', () => {
    const before = contentHash([below], /./, ['24']);
    writeFileSync(`${folder}/a.ts`, 'one');
    expect(contentHash([below], /./, ['24'])).toBe(before);
    expect(contentHash([below], /./, ['25'])).not.toBe(before);
    writeFileSync(`${folder}/inner/b.ts`, 'three');
    expect(contentHash([below], /./, ['24'])).not.toBe(before);
    writeFileSync(`${folder}/inner/b.ts`, 'two');
    writeFileSync(`${folder}/inner/c.ts`, '');
    expect(contentHash([below], /./, ['24'])).not.toBe(before);
  });

  it('is fresh only after it was written with the same value', () => {
    const file = `${folder}/stamps/x`;
    expect(new Stamp(file, 'v1').fresh()).toBe(false);
    new Stamp(file, 'v1').write();
    expect(new Stamp(file, 'v1').fresh()).toBe(true);
    expect(new Stamp(file, 'v2').fresh()).toBe(false);
  });
});
