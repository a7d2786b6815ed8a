/**
 * A client's message: a query that can be answered, one that is refused, or nothing that deserves a word.
 *
 * What is looked at, in this order: a header at all, QR, opcode, the number of questions (RFC 9619), the question, the
 * OPT record (RFC 6891), class and type.
 */

import {
  ANSWER_COUNT,
  AUTHORITY_COUNT,
  FLAG_CD,
  FLAG_QR,
  FLAG_RD,
  FLAGS,
  HEADER_LENGTH,
  opcodeOf,
  QUESTION_COUNT,
  type Question,
  questionOf,
  recordsOf,
} from './message.ts';
import { lowerCase } from './names.ts';
import { CLASS_IN, DO, RCODE, TYPE } from './records.ts';

/** What a client says with an OPT record. */
export interface Edns {
  /** Largest datagram that it takes. */
  readonly size: number;
  /** Wants DNSSEC records. */
  readonly wantsDnssec: boolean;
}

/** What every reply takes from the message that it answers. */
export interface Asked {
  readonly id: number;
  readonly flags: number;
  /** Bytes of the question as they came; empty where none could be read. */
  readonly questionBytes: Buffer;
  readonly question: Question | undefined;
  readonly edns: Edns | undefined;
}

export interface Query extends Asked {
  readonly question: Question;
  /** Labels of the question in lower case. */
  readonly labels: readonly string[];
  readonly isRecursionDesired: boolean;
  /** The client checks DNSSEC itself (RFC 4035 §3.2.2). */
  readonly isCheckingDisabled: boolean;
}

export type Received =
  | { readonly kind: 'query'; readonly query: Query }
  | { readonly kind: 'refused'; readonly asked: Asked; readonly rcode: number }
  | { readonly kind: 'ignored' };

const QUERY = 0;
/** Bytes before the TTL of a record whose name is the root. */
const ROOT_NAME_AND_TYPES = 5;

/** Least that every resolver takes (RFC 1035 §4.2.1); a smaller size in OPT counts as this (RFC 6891 §6.2.3). */
export const LEAST_SIZE = 512;

/** From here on types are no records but questions and signatures (RFC 6895 §3.1). */
const isMetaType = (type: number): boolean => type === TYPE.OPT || (type >= 128 && type <= 255) || type === 0;

const ignored: Received = { kind: 'ignored' };

export function received(message: Buffer): Received {
  if (message.length < HEADER_LENGTH) return ignored;
  const flags = message.readUInt16BE(FLAGS);
  // A reply to a reply could go round for ever.
  if (flags & FLAG_QR) return ignored;
  const question = questionOf(message);
  const questionBytes = message.subarray(HEADER_LENGTH, question?.end ?? HEADER_LENGTH);
  const asked: Asked = { id: message.readUInt16BE(0), flags, questionBytes, question, edns: undefined };
  const refused = (rcode: number, edns?: Edns): Received => ({
    kind: 'refused',
    asked: edns ? { ...asked, edns } : asked,
    rcode,
  });
  if (opcodeOf(flags) !== QUERY) return refused(RCODE.NOTIMP);
  // IXFR names the version that the client has.
  const isTooMuch = message.readUInt16BE(ANSWER_COUNT) > 0 || message.readUInt16BE(AUTHORITY_COUNT) > 1;
  if (!question || message.readUInt16BE(QUESTION_COUNT) !== 1 || isTooMuch) return refused(RCODE.FORMERR);
  const opt = optOf(message, question);
  if (opt === 'damaged') return refused(RCODE.FORMERR);
  if (opt && opt.version > 0) return refused(RCODE.BADVERS, opt);
  if (question.class !== CLASS_IN) return refused(RCODE.REFUSED, opt);
  const { type } = question;
  if (type === TYPE.AXFR || type === TYPE.IXFR) return refused(RCODE.REFUSED, opt);
  if (isMetaType(type) && type !== TYPE.ANY)
    return refused(type === TYPE.OPT ? RCODE.FORMERR : RCODE.NOTIMP, opt);
  return {
    kind: 'query',
    query: {
      ...asked,
      question,
      edns: opt,
      labels: question.labels.map(lowerCase),
      isRecursionDesired: (flags & FLAG_RD) !== 0,
      isCheckingDisabled: (flags & FLAG_CD) !== 0,
    },
  };
}

/**
 * The OPT record, of which there must be at most one, with the root as its name and whole options (RFC 6891 §6.1.1,
 * §6.1.2). What the options say is overlooked: none is understood here, and none is echoed.
 */
function optOf(
  message: Buffer,
  question: Question,
): (Edns & { readonly version: number }) | 'damaged' | undefined {
  const records = recordsOf(message, question.end);
  const [opt, another] = records?.filter(({ type }) => type === TYPE.OPT) ?? [];
  if (!records || another) return 'damaged';
  if (!opt) return undefined;
  const { section, start, ttlAt, ttl, dataAt, end } = opt;
  const isRoot = ttlAt - start === ROOT_NAME_AND_TYPES;
  if (section !== 'additional' || !isRoot || !areOptionsWhole(message, dataAt, end)) return 'damaged';
  return {
    size: Math.max(opt.class, LEAST_SIZE),
    wantsDnssec: (ttl & DO) !== 0,
    version: (ttl >> 16) & 0xff,
  };
}

/** Each has a u16 code and a u16 length. */
function areOptionsWhole(message: Buffer, from: number, end: number): boolean {
  let at = from;
  while (at + 4 <= end) at += 4 + message.readUInt16BE(at + 2);
  return at === end;
}
