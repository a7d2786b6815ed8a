/**
 * Replies as bytes: those that are made here, and others' made to fit the client.
 *
 *     sections ─ library ─► message ─┬─► question as it came ─► OPT ─► truncated to the client's size
 *     upstream's message, aged ──────┘
 */
import { Packet, type Question } from 'dns2';
import {
  ADDITIONAL_COUNT,
  ANSWER_COUNT,
  AUTHORITY_COUNT,
  FLAG_AA,
  FLAG_AD,
  FLAG_CD,
  FLAG_QR,
  FLAG_RA,
  FLAG_RD,
  FLAG_TC,
  FLAGS,
  HEADER_LENGTH,
  QUESTION_COUNT,
  recordsOf,
} from './message.ts';
import type { Asked, Edns } from './query.ts';
import { DO, type Resource, TYPE } from './records.ts';
import { ByteWriter } from './writer.ts';

/** Largest datagram that is sent and asked for: one that no path fragments (RFC 9715 §3.1 R6). */
export const OWN_SIZE = 1232;
/** A length in front of it has 16 bits (RFC 1035 §4.2.2). */
export const STREAM_SIZE = 65_535;

/**
 *     ┌──┬───────┬──────┬───────────────┬─────────┬───────┬─────────┐
 *     │ 0│ u16 41│ size │ rcode's upper │ version │ DO, Z │ length 0│   RFC 6891 §6.1.2
 *     └──┴───────┴──────┴───────────────┴─────────┴───────┴─────────┘
 */
const OPT_LENGTH = 11;
/** No record is smaller: a pointer, type, class, TTL and length. */
const LEAST_RECORD = 12;

export interface Sections {
  /** With those above 15 the upper bits go into OPT. */
  readonly rcode: number;
  readonly isAuthoritative?: boolean;
  readonly answers?: readonly Resource[];
  readonly authorities?: readonly Resource[];
  readonly additionals?: readonly Resource[];
}

/** @param limit bytes that the client takes, OPT included */
export function encodeReply(asked: Asked, sections: Sections, limit: number): Buffer {
  const { question } = asked;
  const writer = new ByteWriter(HEADER_LENGTH);
  if (question) {
    // Labels may hold any byte, also the dots at which the library cuts: it gets a name of the same shape.
    const name = question.labels.map((label) => label.replaceAll('.', '-')).join('.');
    Packet.Question.encode({ name, type: question.type, class: question.class } as Question, writer.own);
  }
  // Of a thousand endpoints most would be cut off again.
  const most = Math.ceil(limit / LEAST_RECORD);
  const { answers = [], authorities = [], additionals = [] } = sections;
  const lists = [answers.slice(0, most), authorities, additionals.slice(0, most)];
  for (const record of lists.flat()) Packet.Resource.encode(record, writer.own);
  const message = writer.toBuffer();
  if (question) message.writeUInt16BE(1, QUESTION_COUNT);
  for (const [i, list] of lists.entries()) message.writeUInt16BE(list.length, ANSWER_COUNT + i * 2);
  const authoritative = sections.isAuthoritative ? FLAG_AA : 0;
  return finish(asked, message, authoritative | (sections.rcode & 0xf), limit, sections.rcode >> 4);
}

/**
 * Gives a message the id, flags, question and OPT that belong to a query. `message` is changed.
 * @param flags AA, AD and rcode of the reply
 * @param message without OPT, its question as long as the query's
 */
export function finish(asked: Asked, message: Buffer, flags: number, limit: number, upper = 0): Buffer {
  asked.questionBytes.copy(message, HEADER_LENGTH);
  message.writeUInt16BE(asked.id, 0);
  const kept = asked.flags & (0x7800 | FLAG_RD | FLAG_CD);
  const own = FLAG_QR | FLAG_RA | (flags & (FLAG_AA | FLAG_AD | 0xf));
  message.writeUInt16BE(kept | own, FLAGS);
  const room = limit - (asked.edns ? OPT_LENGTH : 0);
  const fitting = message.length > room ? truncated(message, asked, room) : message;
  return asked.edns ? withOpt(fitting, asked.edns, upper) : fitting;
}

/**
 * Whole records as far as they fit. Missing additional ones are no loss (RFC 2181 §9); others are told by TC, and a client
 * without TCP has some addresses to go by.
 */
function truncated(message: Buffer, { questionBytes }: Asked, room: number): Buffer {
  const records = recordsOf(message, HEADER_LENGTH + questionBytes.length) ?? [];
  const kept = records.filter(({ end }) => end <= room);
  const count = (section: string) => kept.filter((record) => record.section === section).length;
  const cut = Buffer.from(message.subarray(0, kept.at(-1)?.end ?? HEADER_LENGTH + questionBytes.length));
  const isWhole = records.every(({ section, end }) => section === 'additional' || end <= room);
  cut.writeUInt16BE(count('answer'), ANSWER_COUNT);
  cut.writeUInt16BE(count('authority'), AUTHORITY_COUNT);
  cut.writeUInt16BE(count('additional'), ADDITIONAL_COUNT);
  if (!isWhole) cut.writeUInt16BE(cut.readUInt16BE(FLAGS) | FLAG_TC, FLAGS);
  return cut;
}

function withOpt(message: Buffer, { wantsDnssec }: Pick<Edns, 'wantsDnssec'>, upper: number): Buffer {
  const whole = Buffer.alloc(message.length + OPT_LENGTH);
  message.copy(whole);
  const at = message.length + 1;
  whole.writeUInt16BE(TYPE.OPT, at);
  whole.writeUInt16BE(OWN_SIZE, at + 2);
  whole.writeUInt8(upper, at + 4);
  whole.writeUInt16BE(wantsDnssec ? DO : 0, at + 6);
  whole.writeUInt16BE(message.readUInt16BE(ADDITIONAL_COUNT) + 1, ADDITIONAL_COUNT);
  return whole;
}

/** A query to an upstream for a client's question. */
export function encodeQuery(
  id: number,
  {
    questionBytes,
    isCheckingDisabled,
    edns,
  }: {
    readonly questionBytes: Buffer;
    readonly isCheckingDisabled: boolean;
    readonly edns: Pick<Edns, 'wantsDnssec'> | undefined;
  },
): Buffer {
  const message = Buffer.alloc(HEADER_LENGTH + questionBytes.length);
  message.writeUInt16BE(id, 0);
  message.writeUInt16BE(FLAG_RD | (isCheckingDisabled ? FLAG_CD : 0), FLAGS);
  message.writeUInt16BE(1, QUESTION_COUNT);
  questionBytes.copy(message, HEADER_LENGTH);
  return edns ? withOpt(message, edns, 0) : message;
}

/** A message without its OPT record, which is between two neighbours only (RFC 6891 §6.2.1). */
export function withoutOpt(message: Buffer, questionEnd: number): Buffer | undefined {
  const records = recordsOf(message, questionEnd);
  if (!records) return undefined;
  const end = records.at(-1)?.end ?? questionEnd;
  const opt = records.find(({ type, section }) => type === TYPE.OPT && section === 'additional');
  if (!opt) return Buffer.from(message.subarray(0, end));
  // Pointers lead backwards, so only records behind it could point past it: there must be none but signatures of the message.
  const rest = message.subarray(0, opt.start);
  const whole = Buffer.from(rest);
  const isBefore = records.filter(({ section, start }) => section === 'additional' && start < opt.start);
  whole.writeUInt16BE(isBefore.length, ADDITIONAL_COUNT);
  return whole;
}
