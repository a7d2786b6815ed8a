import { CaptureFileError } from '../../src/capture-file/damage.ts';
import { readCapture } from '../../src/capture-file/reader.ts';
import { type Decoded, readDecoded } from '../../src/replay/decoded.ts';
import type { Inspector } from '../../src/replay/inspector.ts';
import type { Disagreement } from './disagreements.ts';
import { type Dissection, dissect } from './tshark.ts';

/** A field in which the two differ, by its path in the JSON; `packet` where one of them has no such frame. */
export interface Difference {
  readonly frame: number;
  readonly field: string;
  readonly ours: unknown;
  readonly theirs: unknown;
}

/** Replays a capture and has tshark dissect it. */
export async function compare(file: string, inspector: Inspector): Promise<Difference[]> {
  const { packets } = await dissect(file);
  const differences: Difference[] = [];
  let frame = 0;
  for (const ours of decodedOf(file, inspector)) {
    const theirs = packets[frame++];
    if (theirs) differences.push(...fieldsThatDiffer(frame, ours, theirs));
    else differences.push({ frame, field: 'packet', ours, theirs: undefined });
  }
  for (const theirs of packets.slice(frame))
    differences.push({ frame: ++frame, field: 'packet', ours: undefined, theirs: theirs.protocols });
  return differences;
}

type Ours = Pick<Decoded, 'outer' | 'tunnel' | 'inner'> & { readonly length: number };

function* decodedOf(file: string, inspector: Inspector): Generator<Ours> {
  try {
    for (const packet of readCapture(file)) {
      const { outer, tunnel, inner } = readDecoded(inspector.inspect(packet));
      yield { length: packet.original, outer, tunnel, inner };
    }
  } catch (error) {
    // A damaged file: tshark, too, shows what comes before.
    if (!(error instanceof CaptureFileError)) throw error;
  }
}

function fieldsThatDiffer(
  frame: number,
  ours: Ours,
  { length, outer, tunnel, inner }: Dissection,
): Difference[] {
  const found: Difference[] = [];
  const walk = (field: string, a: unknown, b: unknown) => {
    if (a === b) return;
    if (!isNode(a) || !isNode(b)) return void found.push({ frame, field, ours: a, theirs: b });
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
      walk(field === '' ? key : `${field}.${key}`, a[key], b[key]);
  };
  walk('', ours, { length, outer, tunnel, inner });
  return found;
}

const isNode = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

/** What the reviewed list does not say of a capture's differences, and what it says in vain. */
export function complaints(differences: readonly Difference[], listed: readonly Disagreement[]): string[] {
  const covers = ({ frames, fields }: Disagreement, { frame, field }: Difference) =>
    frames.includes(frame) && fields.some((prefix) => field === prefix || field.startsWith(`${prefix}.`));
  const unlisted = differences
    .filter((difference) => !listed.some((entry) => covers(entry, difference)))
    .map(
      ({ frame, field, ours, theirs }) =>
        `frame ${frame}: ${field}: replay ${JSON.stringify(ours)}, tshark ${JSON.stringify(theirs)}`,
    );
  const stale = listed.flatMap((entry) =>
    entry.frames.flatMap((frame) =>
      entry.fields
        .filter(
          (field) =>
            !differences.some((difference) =>
              covers({ ...entry, frames: [frame], fields: [field] }, difference),
            ),
        )
        .map((field) => `frame ${frame}: ${field}: listed, but they agree`),
    ),
  );
  return [...unlisted, ...stale];
}
