/**
 * A message in, a message out.
 *
 *     message ─► query ─► zone ─┬─► records ──────────────────────────► reply
 *                               ├─► alias ─► its target, here or there ─► reply
 *                               └─► foreign ─► forwarder ─────────────► reply
 */
import { Packet, type Question } from 'dns2';
import type { Forwarded, Forwarder } from './forwarder.ts';
import { FLAG_AD, FLAGS, HEADER_LENGTH, rcodeOf } from './message.ts';
import { type Labels, labelsOf, lowerCase } from './names.ts';
import { type Asked, LEAST_SIZE, type Query, received } from './query.ts';
import { CLASS_IN, RCODE, type Resource, TYPE } from './records.ts';
import { encodeReply, finish, OWN_SIZE, type Sections, STREAM_SIZE } from './reply.ts';
import { type Statistics, type Transport, type ZoneName, zoneOf } from './statistics.ts';
import type { Zone } from './zone.ts';

/** Names that a chain of CNAMEs may lead through. */
const LONGEST_CHAIN = 8;

/** Takes a reply, at once or later. */
export type Respond = (reply: Buffer) => void;

export class Resolver {
  readonly #zone: Zone;
  readonly #forwarder: Forwarder;
  readonly #statistics: Statistics;

  constructor(zone: Zone, forwarder: Forwarder, statistics: Statistics) {
    this.#zone = zone;
    this.#forwarder = forwarder;
    this.#statistics = statistics;
  }

  /**
   * @param message must not change until it is answered
   * @returns whether it is going to be: what is no query gets no word
   */
  handle(message: Buffer, transport: Transport, respond: Respond): boolean {
    const what = received(message);
    if (what.kind === 'ignored') {
      this.#statistics.ignore();
      return false;
    }
    const asked = what.kind === 'query' ? what.query : what.asked;
    const answer = new Answer(asked, transport, this.#statistics, respond);
    if (what.kind === 'refused') answer.made('other', { rcode: what.rcode });
    else
      try {
        this.#resolve(what.query, answer);
      } catch {
        // Whatever a stranger may find to write, the next client is to be answered.
        answer.failed('other');
      }
    return true;
  }

  #resolve(query: Query, answer: Answer): void {
    const { type } = query.question;
    const found = this.#zone.lookup(query.labels, type);
    const zone = zoneOf(found);
    switch (found.kind) {
      case 'records':
        answer.made(zone, { rcode: RCODE.NOERROR, isAuthoritative: true, ...found });
        break;
      case 'nothing':
        answer.made(zone, nothing(found));
        break;
      case 'alias':
        if (type === TYPE.CNAME || type === TYPE.ANY)
          answer.made(zone, { rcode: RCODE.NOERROR, isAuthoritative: true, answers: [found.record] });
        else answer.later(zone, this.#follow(query, found.record, found.target));
        break;
      case 'foreign':
        this.#forward(query, answer);
    }
  }

  #forward(query: Query, answer: Answer): void {
    const known = this.#forwarder.known(query);
    if (known) answer.passed('other', { message: known });
    else if (!query.isRecursionDesired) answer.made('other', { rcode: RCODE.REFUSED });
    else if (query.question.type === TYPE.ANY) answer.made('other', { rcode: RCODE.NOTIMP });
    else if (!this.#forwarder.hasUpstreams) answer.made('other', { rcode: RCODE.SERVFAIL });
    else
      void this.#forwarder.ask(query).then(
        (forwarded) => answer.passed('other', forwarded),
        () => answer.failed('other'),
      );
  }

  /** What an ExternalName Service leads to, with the names on the way; rcode is that of the last (RFC 6604 §3). */
  async #follow(query: Query, first: Resource, firstTarget: string): Promise<Sections> {
    const answers: Resource[] = [first];
    let target = firstTarget;
    const own = { isAuthoritative: true, answers };
    while (answers.length < LONGEST_CHAIN) {
      const found = this.#zone.lookup(labelsOf(lowerCase(target)), query.question.type);
      switch (found.kind) {
        case 'records':
          answers.push(...found.answers);
          return { ...own, rcode: RCODE.NOERROR };
        case 'nothing':
          return { ...own, ...nothing(found), answers };
        case 'alias':
          answers.push(found.record);
          target = found.target;
          break;
        case 'foreign': {
          // Without anybody to ask, or leave to do so, the client is told as much as is known.
          if (!query.isRecursionDesired || !this.#forwarder.hasUpstreams)
            return { ...own, rcode: RCODE.NOERROR };
          const forwarded = await this.#askAbout(labelsOf(target), query);
          if ('rcode' in forwarded) return { ...own, rcode: forwarded.rcode };
          const packet = Packet.parse(forwarded.message);
          return {
            isAuthoritative: true,
            rcode: packet.header.rcode,
            answers: [...answers, ...packet.answers],
            authorities: packet.authorities.filter(({ type }) => type === TYPE.SOA),
          };
        }
      }
    }
    return { rcode: RCODE.SERVFAIL, answers };
  }

  async #askAbout(labels: Labels, query: Query): Promise<Forwarded> {
    const packet = new Packet();
    const question = { name: labels.join('.'), type: query.question.type, class: CLASS_IN };
    packet.questions = [question as Question];
    // Signatures of names on the way would be wrong in an answer that is put together here.
    const edns = query.edns && { wantsDnssec: false };
    const { isCheckingDisabled } = query;
    const upstream = { questionBytes: packet.toBuffer().subarray(HEADER_LENGTH), isCheckingDisabled, edns };
    const known = this.#forwarder.known(upstream);
    return known ? { message: known } : this.#forwarder.ask(upstream);
  }
}

const nothing = ({ exists, authority }: { exists: boolean; authority: Resource }): Sections => ({
  rcode: exists ? RCODE.NOERROR : RCODE.NXDOMAIN,
  isAuthoritative: true,
  authorities: [authority],
});

/** One reply on its way: its size, and that it is counted. */
class Answer {
  readonly #asked: Asked;
  readonly #transport: Transport;
  readonly #statistics: Statistics;
  readonly #respond: Respond;

  constructor(asked: Asked, transport: Transport, statistics: Statistics, respond: Respond) {
    this.#asked = asked;
    this.#transport = transport;
    this.#statistics = statistics;
    this.#respond = respond;
  }

  get #limit(): number {
    return this.#transport === 'tcp' ? STREAM_SIZE : Math.min(this.#asked.edns?.size ?? LEAST_SIZE, OWN_SIZE);
  }

  made(zone: ZoneName, sections: Sections): void {
    let reply: Buffer;
    try {
      reply = encodeReply(this.#asked, sections, this.#limit);
    } catch {
      // Something in the cluster has a name that DNS has no room for.
      this.failed(zone);
      return;
    }
    this.#count(zone, sections.rcode);
    this.#respond(reply);
  }

  later(zone: ZoneName, sections: Promise<Sections>): void {
    void sections.then(
      (made) => this.made(zone, made),
      () => this.failed(zone),
    );
  }

  passed(zone: ZoneName, forwarded: Forwarded): void {
    if ('rcode' in forwarded) {
      this.made(zone, forwarded);
      return;
    }
    const { message } = forwarded;
    const flags = message.readUInt16BE(FLAGS);
    // AD is for those who ask for it (RFC 6840 §5.8).
    const wantsAd = this.#asked.edns?.wantsDnssec || (this.#asked.flags & FLAG_AD) !== 0;
    this.#count(zone, rcodeOf(flags));
    this.#respond(
      finish(this.#asked, message, rcodeOf(flags) | (wantsAd ? flags & FLAG_AD : 0), this.#limit),
    );
  }

  failed(zone: ZoneName): void {
    this.#statistics.error();
    this.#count(zone, RCODE.SERVFAIL);
    this.#respond(encodeReply(this.#asked, { rcode: RCODE.SERVFAIL }, this.#limit));
  }

  #count(zone: ZoneName, rcode: number): void {
    this.#statistics.query(zone, this.#asked.question?.type, rcode, this.#transport);
  }
}
