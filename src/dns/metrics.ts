// The resolver's counters as Prometheus metrics.
import type { Counter, Gauge } from 'prom-client';
import { BUCKETS, type DnsCounters } from './statistics.ts';

/** Each takes the name without prefix and, of a counter, without suffix. */
interface Makers {
  readonly gauge: (name: string, help: string, labelNames?: string[]) => Gauge;
  readonly counter: (name: string, help: string, labelNames?: string[]) => Counter;
}

export function dnsMetrics(counters: DnsCounters, { gauge, counter }: Makers): void {
  const { cache, forwarded, streams } = counters;
  const queries = counter('dns_queries', 'Queries answered; zone is cluster, or other: asked of upstreams.', [
    'zone',
    'type',
    'rcode',
    'transport',
  ]);
  for (const [labels, count] of Object.entries(counters.queries)) {
    const [zone = '', type = '', rcode = '', transport = ''] = labels.split(' ');
    queries.inc({ zone, type, rcode, transport }, count);
  }
  counter('dns_cache_hits', 'Answers of upstreams that were at hand.').inc(cache.hits);
  counter('dns_cache_misses', 'Answers of upstreams that were not.').inc(cache.misses);
  gauge('dns_cache_entries', 'Answers of upstreams at hand now.').set(cache.entries);

  const took = gauge('dns_forward_seconds_bucket', 'Questions to upstreams by the time until the answer.', [
    'le',
  ]);
  for (const [i, end] of BUCKETS.entries()) took.set({ le: `${end}` }, forwarded.buckets[i] ?? 0);
  const asked = forwarded.answered + forwarded.failed;
  took.set({ le: '+Inf' }, asked);
  gauge('dns_forward_seconds_sum', 'Seconds that questions to upstreams took.').set(forwarded.seconds);
  gauge('dns_forward_seconds_count', 'Questions to upstreams.').set(asked);
  counter('dns_forward_failed', 'Questions that no upstream has answered.').inc(forwarded.failed);
  counter('dns_forward_refused', 'Questions that were not asked, because too many waited.').inc(
    forwarded.overflowed,
  );
  const failures = counter('dns_upstream_failures', 'Questions that an upstream has not answered in time.', [
    'upstream',
  ]);
  for (const [upstream, count] of Object.entries(forwarded.failures)) failures.inc({ upstream }, count);

  counter('dns_ignored', 'Messages that are no queries.').inc(counters.ignored);
  counter('dns_errors', 'Queries that could not be answered for a fault of the resolver.').inc(
    counters.errors,
  );
  gauge('dns_connections', 'TCP connections open now.').set(streams.open);
  counter('dns_connections_refused', 'TCP connections beyond the limits.').inc(streams.refused);
}
