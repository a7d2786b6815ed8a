/**
 * What this cluster does not know, others are asked.
 *
 *     question ─► cache ─► somebody asks the same already? ─► upstreams, one after another ─► cache
 *
 * The first upstream has a while to answer before the next is asked too; whoever answers first is believed. One that has
 * failed is asked last for some time.
 */
import { Cache, type CacheLimits } from './cache.ts';
import { exchange, type Upstream, UpstreamError, type UpstreamQuestion } from './exchange.ts';
import { HEADER_LENGTH } from './message.ts';
import { lowerCase } from './names.ts';
import { RCODE } from './records.ts';
import type { Statistics } from './statistics.ts';

export interface ForwarderSettings {
  readonly cache: CacheLimits;
  /** Milliseconds until the next upstream is asked too. */
  readonly patience: number;
  /** Milliseconds until there is no answer. */
  readonly timeout: number;
}

/** Clients wait for 5 s (resolv.conf(5)): they are told before. */
export const usual = { patience: 800, timeout: 4500 } as const;

/** Questions that wait for upstreams at the same time; more are not asked. */
const MOST_WAITING = 1024;
/** Milliseconds for which an upstream that failed is asked last. */
const RESTING_MS = 10_000;
/** Milliseconds for which a failure stands for the next same question (RFC 9520 §3.2). */
const FAILURE_MS = 1000;

/** A copy of the upstream's answer without OPT, or the rcode that says that there is none. */
export type Forwarded = { readonly message: Buffer } | { readonly rcode: number };

export class Forwarder {
  readonly #settings: ForwarderSettings;
  readonly #statistics: Statistics;
  readonly #cache: Cache;
  readonly #waiting = new Map<string, Promise<Forwarded>>();
  /** When a question failed, by key; in the order of time. */
  readonly #failures = new Map<string, { readonly until: number; readonly rcode: number }>();
  /** When an upstream failed last, by address and port. */
  readonly #failedAt = new Map<string, number>();
  #upstreams: readonly Upstream[] = [];

  constructor(settings: ForwarderSettings, statistics: Statistics) {
    this.#settings = settings;
    this.#statistics = statistics;
    this.#cache = new Cache(settings.cache, () => performance.now());
  }

  set upstreams(upstreams: readonly Upstream[]) {
    this.#upstreams = upstreams;
  }

  get hasUpstreams(): boolean {
    return this.#upstreams.length > 0;
  }

  get cached(): number {
    return this.#cache.size;
  }

  /** Whose answer lies at hand; the bytes are the caller's. */
  known(question: UpstreamQuestion): Buffer | undefined {
    const message = this.#cache.get(keyOf(question));
    this.#statistics.cache(message !== undefined);
    return message;
  }

  async ask(question: UpstreamQuestion): Promise<Forwarded> {
    const key = keyOf(question);
    const failure = this.#failures.get(key);
    if (failure && performance.now() < failure.until) return { rcode: failure.rcode };
    const asked = this.#waiting.get(key);
    if (asked) return copied(await asked);
    if (this.#waiting.size >= MOST_WAITING) {
      this.#statistics.overflow();
      return { rcode: RCODE.SERVFAIL };
    }
    const answer = this.#askAll(key, question).finally(() => this.#waiting.delete(key));
    this.#waiting.set(key, answer);
    return copied(await answer);
  }

  async #askAll(key: string, question: UpstreamQuestion): Promise<Forwarded> {
    const begin = performance.now();
    const outcome = await this.#race(question);
    this.#statistics.forwarded(performance.now() - begin, 'message' in outcome);
    if ('message' in outcome) {
      const { questionBytes } = question;
      const end = HEADER_LENGTH + questionBytes.length;
      const type = questionBytes.readUInt16BE(questionBytes.length - 4);
      this.#cache.put(key, outcome.message, { type, end });
      return outcome;
    }
    const now = performance.now();
    for (const [old, { until }] of this.#failures) {
      if (until > now) break;
      this.#failures.delete(old);
    }
    this.#failures.delete(key);
    this.#failures.set(key, { until: now + FAILURE_MS, rcode: outcome.rcode });
    return outcome;
  }

  /** Twice through all upstreams, each begun when the one before has failed or taken its time. */
  async #race(question: UpstreamQuestion): Promise<Forwarded> {
    const { patience, timeout } = this.#settings;
    const end = new AbortController();
    const timer = setTimeout(() => end.abort(), timeout);
    let rcode: number = RCODE.SERVFAIL;
    const answered = Promise.withResolvers<Buffer>();
    const attempt = async (upstream: Upstream): Promise<'answered' | 'failed'> => {
      try {
        answered.resolve(await exchange(upstream, question, end.signal));
        this.#failedAt.delete(nameOf(upstream));
        return 'answered';
      } catch (error) {
        if (error instanceof UpstreamError) rcode = error.rcode;
        else if (!end.signal.aborted) this.#failed(upstream);
        return 'failed';
      }
    };
    const all = async (): Promise<undefined> => {
      const attempts: Promise<unknown>[] = [];
      const inOrder = this.#inOrder();
      for (const upstream of [...inOrder, ...inOrder]) {
        if (end.signal.aborted) break;
        const one = attempt(upstream);
        attempts.push(one);
        const outcome = await Promise.race([one, delay(patience, end.signal)]);
        if (outcome === undefined && !end.signal.aborted) this.#failed(upstream);
      }
      await Promise.all(attempts);
      return undefined;
    };
    try {
      const message = await Promise.race([answered.promise, all()]);
      return message ? { message } : { rcode };
    } finally {
      clearTimeout(timer);
      end.abort();
    }
  }

  #failed(upstream: Upstream): void {
    this.#failedAt.set(nameOf(upstream), performance.now());
    this.#statistics.upstreamFailed(nameOf(upstream));
  }

  /** As configured, but those that have failed lately behind the others. */
  #inOrder(): readonly Upstream[] {
    const now = performance.now();
    const rests = (upstream: Upstream) =>
      now - (this.#failedAt.get(nameOf(upstream)) ?? Number.NEGATIVE_INFINITY) < RESTING_MS;
    return [...this.#upstreams.filter((one) => !rests(one)), ...this.#upstreams.filter(rests)];
  }
}

const nameOf = ({ address, port }: Upstream): string => `${address.text} ${port}`;

const keyOf = ({ questionBytes, isCheckingDisabled, edns }: UpstreamQuestion): string =>
  `${isCheckingDisabled ? 'c' : ''}${edns?.wantsDnssec ? 'd' : ''} ${lowerCase(questionBytes.toString('latin1'))}`;

/** Of several that wait for an answer each changes its own. */
const copied = (outcome: Forwarded): Forwarded =>
  'message' in outcome ? { message: Buffer.from(outcome.message) } : outcome;

function delay(milliseconds: number, signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve(undefined);
    }
    signal.addEventListener('abort', done);
  });
}
