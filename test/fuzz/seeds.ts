import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CaptureFileError } from '../../src/capture-file/damage.ts';
import { readCapture } from '../../src/capture-file/reader.ts';
import type { Sample } from '../../src/replay/inspector.ts';
import { corpusFolder } from '../support/requires.ts';

const fixtures = join(import.meta.dirname, '../fixtures');
/** Longer packets have nothing that shorter ones have not, and are slower. */
const LONGEST = 2048;
/** Packets of a capture that are taken: the first ones differ most. */
const OF_EACH = 8;

/** Real packets to mutate: the project's own fixtures, and the corpus where there is one. */
export function seeds(withCorpus: boolean): Sample[] {
  const folders = [fixtures, ...(withCorpus && corpusFolder !== '' ? [join(corpusFolder, 'pcap')] : [])];
  return folders.filter((folder) => existsSync(folder)).flatMap((folder) => files(folder).flatMap(samplesOf));
}

const files = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(ts|md)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));

function samplesOf(file: string): Sample[] {
  const samples: Sample[] = [];
  try {
    for (const { linkType, data, original } of readCapture(file)) {
      if (samples.length === OF_EACH) break;
      if (data.length <= LONGEST) samples.push({ linkType, data: Uint8Array.from(data), original });
    }
  } catch (error) {
    if (!(error instanceof CaptureFileError)) throw error;
  }
  return samples;
}
