import type { Sample } from '../../src/replay/inspector.ts';

/** One change of a packet; every number may be anything, and is taken modulo what there is. */
export interface Edit {
  readonly kind: (typeof editKinds)[number];
  readonly at: number;
  readonly value: number;
}

export const editKinds = [
  'byte',
  'bit',
  'word',
  'telling',
  'cut',
  'capture',
  'grow',
  'copy',
  'remove',
  'link',
] as const;

/** Values at which parsers decide: protocols, types, ports, lengths, versions. */
const telling = [
  ...[0, 1, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 132, 135, 255, 0x45, 0x4f, 0x60, 0x7f, 0x80],
  ...[
    0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8, 0x9100, 0x6558, 0x05ff, 0x0600, 4789, 8472, 6081, 0x2000, 0x1fff,
    0xffff,
  ],
];

const links = [0, 1, 12, 14, 101, 108, 113, 228, 229, 276, 105];

/** The packet after some edits; never longer than a jumbo frame. */
export function mutated({ linkType, data, original }: Sample, edits: readonly Edit[]): Sample {
  let bytes = Buffer.from(data);
  let link = linkType;
  let missing = Math.max(0, original - data.length);
  for (const { kind, at, value } of edits) {
    const place = bytes.length === 0 ? 0 : at % bytes.length;
    switch (kind) {
      case 'byte':
        if (bytes.length > 0) bytes[place] = value & 0xff;
        break;
      case 'bit':
        if (bytes.length > 0) bytes[place] = (bytes[place] as number) ^ (1 << (value & 7));
        break;
      case 'word':
        if (bytes.length - place >= 2) bytes.writeUInt16BE(value & 0xffff, place);
        break;
      case 'telling': {
        const chosen = telling[value % telling.length] as number;
        if (chosen < 256 && bytes.length > 0) bytes[place] = chosen;
        else if (bytes.length - place >= 2) bytes.writeUInt16BE(chosen, place);
        break;
      }
      case 'cut':
        bytes = bytes.subarray(0, place);
        break;
      case 'capture':
        missing += bytes.length - place;
        bytes = bytes.subarray(0, place);
        break;
      case 'grow':
        bytes = Buffer.concat([bytes, Buffer.alloc(value % 64, at & 0xff)]);
        break;
      case 'copy': {
        const piece = bytes.subarray(place, place + (value % 64));
        if (bytes.length < 9000)
          bytes = Buffer.concat([bytes.subarray(0, place), piece, bytes.subarray(place)]);
        break;
      }
      case 'remove':
        bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + (value % 64))]);
        break;
      case 'link':
        link = links[value % links.length] as number;
        break;
    }
  }
  return { linkType: link, data: bytes, original: bytes.length + missing };
}
