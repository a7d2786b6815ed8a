import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CaptureWriter } from '../../src/capture-file/writer.ts';
import { Inspector } from '../../src/replay/inspector.ts';
import { command, corpus, corpusFolder, describeWith } from '../support/requires.ts';
import { compare, complaints } from './compare.ts';
import { disagreements } from './disagreements.ts';

const fixtures = join(import.meta.dirname, '../fixtures');
/** tshark runs at a time: as many as the smallest machine has cores. */
const PARALLEL = 2;
const ETHERNET = 1;
const RAW = 101;

/** Files below a folder that may be captures, whatever they are called. */
const captures = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(json|md|tsv|ts)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

/** Compares captures; what neither agrees nor is listed, by capture. */
async function review(files: readonly string[], base: string): Promise<Record<string, string[]>> {
  const inspector = new Inspector();
  const found: Record<string, string[]> = {};
  const waiting = [...files];
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const name = relative(base, file);
      const differences = await compare(file, inspector);
      const listed = disagreements.filter(({ capture }) => capture === name);
      const said = complaints(differences, listed);
      if (said.length > 0) found[name] = said;
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return found;
}

const tshark = command('tshark');
const minutes = (n: number) => n * 60_000;

describeWith([tshark, corpus], 'replay agrees with tshark on the corpus', () => {
  const pcap = join(corpusFolder, 'pcap');
  const sources = corpus.met() ? readdirSync(pcap) : [];

  it.each(sources)(
    '%s',
    async (source) => {
      expect(await review(captures(join(pcap, source)), corpusFolder)).toEqual({});
    },
    minutes(5),
  );

  it(
    'captures of test vectors',
    async () => {
      expect(await review(captures(join(corpusFolder, 'vectors')), corpusFolder)).toEqual({});
    },
    minutes(1),
  );

  it('lists no capture that is not there', () => {
    const present = new Set(captures(corpusFolder).map((file) => relative(corpusFolder, file)));
    expect(disagreements.map(({ capture }) => capture).filter((capture) => !present.has(capture))).toEqual(
      [],
    );
  });

  describe('single packets from the tests of other libraries', () => {
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'overweft-vectors-'));
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    // Whatever layer a vector is of: any bytes are a packet to be refused or understood alike.
    it.each(['gopacket-layers.json', 'smoltcp-wire.json'])(
      '%s, as Ethernet and as IP',
      async (name) => {
        const vectors = JSON.parse(readFileSync(join(corpusFolder, 'vectors', name), 'utf8')) as {
          hex: string;
        }[];
        const file = join(folder, `${name}.pcapng`);
        {
          using writer = new CaptureWriter(file, [{ linkType: ETHERNET }, { linkType: RAW }]);
          for (const { hex } of vectors)
            for (const link of [0, 1])
              writer.write({ interface: link, data: Buffer.from(hex, 'hex'), time: 0n });
        }
        expect(await review([file], folder)).toEqual({});
      },
      minutes(1),
    );
  });
});

describeWith([tshark], 'replay agrees with tshark on what the lab and its peers send', () => {
  it(
    'test/fixtures',
    async () => {
      const files = captures(fixtures);
      expect(files.length).toBeGreaterThan(0);
      expect(await review(files, fixtures)).toEqual({});
    },
    minutes(1),
  );
});
