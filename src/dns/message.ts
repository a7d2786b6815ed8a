/**
 * A message as bytes, for what is passed on rather than made here (RFC 1035 §4):
 *
 *      0        2        4        6        8        10       12
 *     ┌────────┬────────┬────────┬────────┬────────┬────────┬──────────┬─────────┬───────────┬────────────┐
 *     │ id     │ flags  │ qd     │ an     │ ns     │ ar     │ question │ answers │ authority │ additional │
 *     └────────┴────────┴────────┴────────┴────────┴────────┴──────────┴─────────┴───────────┴────────────┘
 *     flags:  QR  opcode(4)  AA  TC  RD │ RA  Z  AD  CD  rcode(4)
 *     question: name, u16 type, u16 class;  record: name, u16 type, u16 class, u32 TTL, u16 length, data
 *
 * An upstream's answer is never taken apart and put together again: no library knows every record type, and labels are
 * any bytes at all. Everything is in network byte order.
 */

export const HEADER_LENGTH = 12;
export const FLAGS = 2;
export const QUESTION_COUNT = 4;
export const ANSWER_COUNT = 6;
export const AUTHORITY_COUNT = 8;
export const ADDITIONAL_COUNT = 10;

export const FLAG_QR = 0x8000;
export const FLAG_AA = 0x0400;
export const FLAG_TC = 0x0200;
export const FLAG_RD = 0x0100;
export const FLAG_RA = 0x0080;
export const FLAG_AD = 0x0020;
export const FLAG_CD = 0x0010;

export const opcodeOf = (flags: number): number => (flags >> 11) & 0xf;
export const rcodeOf = (flags: number): number => flags & 0xf;

/** RFC 1035 §2.3.4: octets of a name, with all its length bytes. */
const MOST_NAME = 255;
const POINTER = 0xc0;

export interface Question {
  /** As written, a byte a character, without the root: `['Web', 'default']`. A label may hold any byte, dots too. */
  readonly labels: readonly string[];
  readonly type: number;
  readonly class: number;
  /** Offset behind it; it begins at HEADER_LENGTH. */
  readonly end: number;
}

/** The first question; undefined where there is none, it is cut off, or its name is none. */
export function questionOf(message: Buffer): Question | undefined {
  if (message.length < HEADER_LENGTH || message.readUInt16BE(QUESTION_COUNT) === 0) return undefined;
  const labels: string[] = [];
  let at = HEADER_LENGTH;
  for (;;) {
    const length = message[at++];
    // A pointer could only lead into the header.
    if (length === undefined || length >= 64) return undefined;
    if (length === 0) break;
    if (at + length > message.length || at + length - HEADER_LENGTH >= MOST_NAME) return undefined;
    labels.push(message.toString('latin1', at, at + length));
    at += length;
  }
  if (at + 4 > message.length) return undefined;
  return { labels, type: message.readUInt16BE(at), class: message.readUInt16BE(at + 2), end: at + 4 };
}

const sections = ['answer', 'authority', 'additional'] as const;

/** A record where it lies. */
export interface RecordPlace {
  readonly section: (typeof sections)[number];
  readonly start: number;
  readonly type: number;
  readonly class: number;
  readonly ttlAt: number;
  readonly ttl: number;
  readonly dataAt: number;
  readonly end: number;
}

/** All records; undefined where the message is cut off or a name is none. What lies behind the last is overlooked. */
export function recordsOf(message: Buffer, questionEnd: number): RecordPlace[] | undefined {
  const places: RecordPlace[] = [];
  let at = questionEnd;
  for (const [i, section] of sections.entries()) {
    for (let left = message.readUInt16BE(ANSWER_COUNT + i * 2); left > 0; left--) {
      const start = at;
      const name = skipName(message, at);
      if (name === undefined || name + 10 > message.length) return undefined;
      const dataAt = name + 10;
      at = dataAt + message.readUInt16BE(name + 8);
      if (at > message.length) return undefined;
      places.push({
        section,
        start,
        type: message.readUInt16BE(name),
        class: message.readUInt16BE(name + 2),
        ttlAt: name + 4,
        ttl: message.readUInt32BE(name + 4),
        dataAt,
        end: at,
      });
    }
  }
  return places;
}

/** Offset behind a name; where a pointer leads is not looked at. */
function skipName(message: Buffer, from: number): number | undefined {
  let at = from;
  for (;;) {
    const length = message[at];
    if (length === undefined) return undefined;
    if (length === 0) return at + 1;
    if (length >= POINTER) return at + 2;
    if (length >= 64) return undefined;
    at += length + 1;
  }
}
