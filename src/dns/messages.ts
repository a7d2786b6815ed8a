// What the control thread and the resolver's thread say to each other.

import type { CacheLimits } from './cache.ts';
import type { NameChanges } from './objects.ts';
import type { DnsCounters } from './statistics.ts';
import type { ZoneSettings } from './zone.ts';

/** Numbers and texts only, to be cloned. */
export interface DnsThreadData {
  readonly zone: Omit<ZoneSettings, 'blocks'> & { readonly blocks: readonly string[] };
  readonly cache: CacheLimits;
  /** Undefined: those of resolv.conf. */
  readonly upstreams: readonly { readonly address: string; readonly port: number }[] | undefined;
  readonly port: number;
}

export type Order =
  | { readonly type: 'names'; readonly changes: NameChanges }
  | { readonly type: 'listen'; readonly addresses: readonly string[] }
  /** Answered with `counters`. */
  | { readonly type: 'counters'; readonly id: number };

export interface DnsState {
  readonly counters: DnsCounters;
  /** Whom it asks, as `address port`. */
  readonly upstreams: readonly string[];
  /** Why nothing listens at an address, by its text. */
  readonly faults: Readonly<Record<string, string>>;
}

export type Notice =
  | { readonly type: 'ready' }
  | { readonly type: 'counters'; readonly id: number; readonly state: DnsState }
  /** Addresses at which nothing listens, and why, whenever that changes. */
  | { readonly type: 'faults'; readonly faults: Readonly<Record<string, string>> };
