/**
 * One question to one upstream: over UDP, and over TCP where the answer does not fit (RFC 7766 §5).
 *
 * Each goes out from a socket of its own, connected to the upstream, so the kernel chooses the port and lets nobody else
 * answer; an answer counts when it has the id and the question (RFC 5452 §4).
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import type { Address } from '../net/address.ts';
import { FLAG_QR, FLAG_TC, FLAGS, HEADER_LENGTH, opcodeOf, QUESTION_COUNT, rcodeOf } from './message.ts';
import { lowerCase } from './names.ts';
import { RCODE } from './records.ts';
import { encodeQuery, withoutOpt } from './reply.ts';

export interface Upstream {
  readonly address: Address;
  readonly port: number;
}

export interface UpstreamQuestion {
  /** As the client wrote it. */
  readonly questionBytes: Buffer;
  readonly isCheckingDisabled: boolean;
  readonly edns: { readonly wantsDnssec: boolean } | undefined;
}

/** An upstream that answers, and has no answer. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly rcode: number;

  constructor(rcode: number) {
    super(`the upstream says rcode ${rcode}`);
    this.rcode = rcode;
  }
}

/** What is sent, and what an answer must have. */
interface Sent {
  readonly upstream: Upstream;
  readonly query: Buffer;
  readonly questionBytes: Buffer;
  readonly signal: AbortSignal;
}

/**
 * @param signal ends it
 * @returns NOERROR or NXDOMAIN, without OPT
 * @throws UpstreamError for any other rcode; Error where no answer comes
 */
export async function exchange(
  upstream: Upstream,
  question: UpstreamQuestion,
  signal: AbortSignal,
): Promise<Buffer> {
  try {
    return await ask(upstream, question, signal);
  } catch (error) {
    // A server that does not know EDNS (RFC 6891 §7).
    const rcode = error instanceof UpstreamError ? error.rcode : undefined;
    const isUnknown = rcode === RCODE.FORMERR || rcode === RCODE.NOTIMP;
    if (!isUnknown || !question.edns) throw error;
    return ask(upstream, { ...question, edns: undefined }, signal);
  }
}

async function ask(upstream: Upstream, question: UpstreamQuestion, signal: AbortSignal): Promise<Buffer> {
  const { questionBytes } = question;
  const query = encodeQuery(randomInt(0x10000), question);
  const sent: Sent = { upstream, query, questionBytes, signal };
  let answer = await overUdp(sent);
  if (answer.readUInt16BE(FLAGS) & FLAG_TC) answer = await overTcp(sent);
  const rcode = rcodeOf(answer.readUInt16BE(FLAGS));
  if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN) throw new UpstreamError(rcode);
  const whole = withoutOpt(answer, HEADER_LENGTH + questionBytes.length);
  if (!whole) throw new Error('the answer is damaged');
  return whole;
}

function overUdp({ upstream: { address, port }, query, questionBytes, signal }: Sent): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = createSocket(address.family === 4 ? 'udp4' : 'udp6');
  const aborted = () => reject(new Error('no answer in time'));
  signal.addEventListener('abort', aborted);
  socket.on('error', reject);
  socket.on('message', (message) => {
    if (isAnswer(message, query, questionBytes)) resolve(message);
  });
  // The type of the callback leaves out the error that it is called with.
  const connected = (error?: Error) => {
    if (error) reject(error);
    else if (!signal.aborted) socket.send(query);
  };
  socket.connect(port, address.text, connected);
  return promise.finally(() => {
    signal.removeEventListener('abort', aborted);
    socket.close();
  });
}

function overTcp({ upstream: { address, port }, query, questionBytes, signal }: Sent): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = connect({ host: address.text, port });
  let bytes = Buffer.alloc(0);
  const aborted = () => reject(new Error('no answer in time'));
  signal.addEventListener('abort', aborted);
  if (signal.aborted) aborted();
  socket.on('error', reject);
  socket.on('close', () => reject(new Error('closed without an answer')));
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    const length = bytes.length < 2 ? Number.POSITIVE_INFINITY : bytes.readUInt16BE(0);
    if (bytes.length < 2 + length) return;
    const message = Buffer.from(bytes.subarray(2, 2 + length));
    if (isAnswer(message, query, questionBytes)) resolve(message);
    else reject(new Error('the answer is to another question'));
  });
  const length = Buffer.alloc(2);
  length.writeUInt16BE(query.length);
  socket.write(Buffer.concat([length, query]));
  return promise.finally(() => {
    signal.removeEventListener('abort', aborted);
    socket.destroy();
  });
}

function isAnswer(message: Buffer, query: Buffer, question: Buffer): boolean {
  if (message.length < HEADER_LENGTH || message.readUInt16BE(0) !== query.readUInt16BE(0)) return false;
  const flags = message.readUInt16BE(FLAGS);
  if (!(flags & FLAG_QR) || opcodeOf(flags) !== 0) return false;
  const questions = message.readUInt16BE(QUESTION_COUNT);
  // What a server did not understand it may leave out.
  if (questions === 0) return rcodeOf(flags) === RCODE.FORMERR || rcodeOf(flags) === RCODE.NOTIMP;
  const end = HEADER_LENGTH + question.length;
  return (
    questions === 1 &&
    message.length >= end &&
    lowerCase(message.toString('latin1', HEADER_LENGTH, end)) === lowerCase(question.toString('latin1'))
  );
}
