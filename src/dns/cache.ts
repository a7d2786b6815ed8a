/**
 * Upstreams' answers, as long as they last (RFC 1035 §7.4, RFC 2181 §8), and that there is none (RFC 2308).
 *
 *     key: question in lower case, with whether DNSSEC records and unchecked ones are wanted
 */
import { FLAGS, type RecordPlace, rcodeOf, recordsOf } from './message.ts';
import { RCODE, TYPE } from './records.ts';

export interface CacheLimits {
  /** Messages; the least recently used goes first. */
  readonly entries: number;
  /** Seconds that an answer is kept at most. */
  readonly longest: number;
  /** Seconds that the lack of one is. */
  readonly longestNegative: number;
}

interface Entry {
  /** Without OPT. */
  readonly message: Buffer;
  /** Where the TTLs lie. */
  readonly ttls: readonly Pick<RecordPlace, 'ttlAt' | 'ttl'>[];
  /** Milliseconds of the clock. */
  readonly since: number;
  readonly until: number;
}

/** TTLs from 2^31 on count as 0 (RFC 2181 §8). */
const ttlOf = ({ ttl }: Pick<RecordPlace, 'ttl'>): number => (ttl > 0x7fffffff ? 0 : ttl);

export class Cache {
  readonly #limits: CacheLimits;
  readonly #now: () => number;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();

  /** @param now milliseconds of a clock that never goes back */
  constructor(limits: CacheLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A copy whose TTLs are those that are left; undefined: none that still lasts. */
  get(key: string): Buffer | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    this.#entries.delete(key);
    const now = this.#now();
    if (now >= entry.until) return undefined;
    this.#entries.set(key, entry);
    const message = Buffer.from(entry.message);
    const age = Math.floor((now - entry.since) / 1000);
    for (const place of entry.ttls) message.writeUInt32BE(Math.max(ttlOf(place) - age, 0), place.ttlAt);
    return message;
  }

  /**
   * Keeps an answer for as long as it may be kept.
   * @param message without OPT, whole
   * @param question its type, and where it ends
   */
  put(key: string, message: Buffer, question: { readonly type: number; readonly end: number }): void {
    const records = recordsOf(message, question.end);
    const seconds = records && this.#lifetime(message, records, question.type);
    if (!records || !seconds) return;
    const now = this.#now();
    this.#entries.delete(key);
    this.#entries.set(key, { message, ttls: records, since: now, until: now + seconds * 1000 });
    if (this.#entries.size <= this.#limits.entries) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      break;
    }
  }

  /** Seconds; 0: it must not be kept. */
  #lifetime(message: Buffer, records: readonly RecordPlace[], type: number): number {
    const rcode = rcodeOf(message.readUInt16BE(FLAGS));
    if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN) return 0;
    const told = records.filter(({ section }) => section !== 'additional');
    const isThere =
      rcode === RCODE.NOERROR && told.some((one) => one.section === 'answer' && one.type === type);
    const least = Math.min(this.#limits.longest, ...told.map(ttlOf));
    if (isThere) return least;
    const soa = told.find((one) => one.section === 'authority' && one.type === TYPE.SOA);
    // MINIMUM is the last of its fields (RFC 2308 §5). A referral, or no word from a zone, says nothing for any time.
    if (!soa || soa.end - soa.dataAt < 22) return 0;
    return Math.min(least, message.readUInt32BE(soa.end - 4), this.#limits.longestNegative);
  }
}
