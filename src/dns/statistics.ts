// What the resolver counts, as plain data that goes from its thread to whoever asks.
import type { Found } from './zone.ts';

/** Upper ends of the buckets of forwarding times, in seconds. */
export const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const;

export type Transport = 'udp' | 'tcp';

export interface DnsCounters {
  /** By `zone type rcode transport`. */
  readonly queries: Readonly<Record<string, number>>;
  readonly cache: { readonly hits: number; readonly misses: number; readonly entries: number };
  readonly forwarded: {
    readonly answered: number;
    readonly failed: number;
    /** Not asked, because too many waited. */
    readonly overflowed: number;
    readonly seconds: number;
    /** How many took at most as long as the bucket of the same index. */
    readonly buckets: readonly number[];
    /** By `address port`. */
    readonly failures: Readonly<Record<string, number>>;
  };
  /** Messages that are no queries. */
  readonly ignored: number;
  readonly streams: { readonly open: number; readonly refused: number };
  /** What should not happen. */
  readonly errors: number;
}

/** What a name belongs to: the cluster's domain and reverse zones, or neither. */
export type ZoneName = 'cluster' | 'other';
export const zoneOf = (found: Found): ZoneName => (found.kind === 'foreign' ? 'other' : 'cluster');

/** Types that are counted by name; others share one. */
const typeNames: Readonly<Record<number, string>> = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  6: 'SOA',
  12: 'PTR',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  33: 'SRV',
  35: 'NAPTR',
  43: 'DS',
  48: 'DNSKEY',
  64: 'SVCB',
  65: 'HTTPS',
  255: 'ANY',
};

const rcodeNames = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

export class Statistics {
  readonly #queries = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  readonly #buckets: number[] = BUCKETS.map(() => 0);
  #hits = 0;
  #misses = 0;
  #answered = 0;
  #failed = 0;
  #overflowed = 0;
  #seconds = 0;
  #ignored = 0;
  #open = 0;
  #refused = 0;
  #errors = 0;

  /** @param type undefined: no question could be read */
  query(zone: ZoneName, type: number | undefined, rcode: number, transport: Transport): void {
    const name = type === undefined ? 'none' : (typeNames[type] ?? 'other');
    add(
      this.#queries,
      `${zone} ${name} ${rcode === 16 ? 'BADVERS' : (rcodeNames[rcode] ?? 'other')} ${transport}`,
    );
  }

  cache(isHit: boolean): void {
    if (isHit) this.#hits++;
    else this.#misses++;
  }

  forwarded(milliseconds: number, isAnswered: boolean): void {
    const seconds = milliseconds / 1000;
    if (isAnswered) this.#answered++;
    else this.#failed++;
    this.#seconds += seconds;
    for (const [i, end] of BUCKETS.entries()) {
      if (seconds <= end) this.#buckets[i] = (this.#buckets[i] ?? 0) + 1;
    }
  }

  upstreamFailed(upstream: string): void {
    add(this.#failures, upstream);
  }

  overflow(): void {
    this.#overflowed++;
  }

  ignore(): void {
    this.#ignored++;
  }

  stream(change: 1 | -1): void {
    this.#open += change;
  }

  refuseStream(): void {
    this.#refused++;
  }

  error(): void {
    this.#errors++;
  }

  /** @param entries of the cache */
  counters(entries: number): DnsCounters {
    return {
      queries: Object.fromEntries(this.#queries),
      cache: { hits: this.#hits, misses: this.#misses, entries },
      forwarded: {
        answered: this.#answered,
        failed: this.#failed,
        overflowed: this.#overflowed,
        seconds: this.#seconds,
        buckets: [...this.#buckets],
        failures: Object.fromEntries(this.#failures),
      },
      ignored: this.#ignored,
      streams: { open: this.#open, refused: this.#refused },
      errors: this.#errors,
    };
  }
}

const add = (map: Map<string, number>, key: string): void => void map.set(key, (map.get(key) ?? 0) + 1);
