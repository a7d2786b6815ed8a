import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';

const wasm = readFileSync(createRequire(import.meta.url).resolve('#build/overweft.wasm'));

/** Section ids in order of a module, WebAssembly core specification §5.5: id byte, then LEB128 size. */
function sectionIds(bytes: Uint8Array): number[] {
  const ids: number[] = [];
  for (let at = 8; at < bytes.length; ) {
    ids.push(bytes[at++] as number);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] as number;
      size |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    at += size;
  }
  return ids;
}

const startSection = 8;
const dataSection = 11;

// A second instance over the shared memory runs start function and data segments again: they would wipe live tables.
describe('data path module', () => {
  it('imports the memory and nothing else', () => {
    expect(WebAssembly.Module.imports(new WebAssembly.Module(wasm))).toEqual([
      { module: 'env', name: 'memory', kind: 'memory' },
    ]);
  });

  it('has no data segments and no start function', () => {
    const ids = sectionIds(wasm);
    expect(ids).not.toContain(startSection);
    expect(ids).not.toContain(dataSection);
  });
});
