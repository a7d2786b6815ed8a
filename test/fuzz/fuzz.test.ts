import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CaptureFileError } from '../../src/capture-file/damage.ts';
import { CaptureWriter } from '../../src/capture-file/writer.ts';
import { Inspector } from '../../src/replay/inspector.ts';
import { NodeWay } from '../../src/replay/through-node.ts';
import { readAll } from '../capture-file/bytes.ts';
import { editKinds, mutated } from './mutate.ts';
import { nodeSamples } from './node-samples.ts';
import { fuzzedNode } from './nodes.ts';
import { decodeTwice, takeThrough } from './properties.ts';
import { seeds } from './seeds.ts';

const edits = fc.array(
  fc.record({
    kind: fc.constantFrom(...editKinds),
    at: fc.oneof(fc.nat(80), fc.nat(2047)),
    value: fc.nat(0xffff),
  }),
  { minLength: 1, maxLength: 6 },
);

const real = seeds(false);

describe('any packet', () => {
  it('there are real ones to begin with', () => {
    expect(real.length).toBeGreaterThan(20);
  });

  it('is decoded, whatever stands behind it in memory', () => {
    const inspector = new Inspector();
    void fc.assert(
      fc.property(fc.constantFrom(...real), edits, (sample, changes) => {
        decodeTwice(inspector, mutated(sample, changes));
      }),
      { numRuns: 20_000 },
    );
  });

  it.each(['vxlan', 'geneve', 'ipip'] as const)(
    'is counted once by a node with %s tunnels',
    async (encapsulation) => {
      const node = await fuzzedNode(encapsulation);
      const way = new NodeWay(node);
      const inspector = new Inspector();
      const samples = nodeSamples(node);
      for (const sample of samples) expect(takeThrough(node, way, inspector, sample)).toBeDefined();
      void fc.assert(
        fc.property(fc.constantFrom(...samples), edits, (sample, changes) => {
          takeThrough(node, way, inspector, mutated(sample, changes));
        }),
        { numRuns: 10_000 },
      );
    },
  );
});

describe('any capture file', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'overweft-fuzz-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is read to its end or its damage', () => {
    const whole = join(folder, 'whole');
    {
      using writer = new CaptureWriter(whole, [{ linkType: 1, name: 'eth0' }, { linkType: 101 }]);
      for (const { data } of real.slice(0, 6)) writer.write({ data, time: 1n, comments: ['one'] });
    }
    const bytes = { linkType: 0, data: Uint8Array.from(readFileSync(whole)), original: 0 };
    const file = join(folder, 'mutated');
    void fc.assert(
      fc.property(edits, (changes) => {
        writeFileSync(file, mutated(bytes, changes).data);
        const { error } = readAll(file);
        if (error !== undefined) expect(error).toBeInstanceOf(CaptureFileError);
      }),
      { numRuns: 1_000 },
    );
  });
});
