// The resolver's counters as Prometheus metrics.
import type { Gauge } from 'prom-client';
import { BUCKETS, type DnsCounters } from './statistics.ts';

type MakeGauge = (name: string, help: string, labelNames?: string[]) => Gauge;

export function dnsMetrics(counters: DnsCounters, gauge: MakeGauge): void {
  const { cache, forwarded, streams } = counters;
  const queries = gauge(
    'dns_queries_total',
    'Queries answered; zone is cluster, or other: asked of upstreams.',
    ['zone', 'type', 'rcode', 'transport'],
  );
  for (const [labels, count] of Object.entries(counters.queries)) {
    const [zone = '', type = '', rcode = '', transport = ''] = labels.split(' ');
    queries.set({ zone, type, rcode, transport }, count);
  }
  gauge('dns_cache_hits_total', 'Answers of upstreams that were at hand.').set(cache.hits);
  gauge('dns_cache_misses_total', 'Answers of upstreams that were not.').set(cache.misses);
  gauge('dns_cache_entries', 'Answers of upstreams at hand now.').set(cache.entries);

  const took = gauge('dns_forward_seconds_bucket', 'Questions to upstreams by the time until the answer.', [
    'le',
  ]);
  for (const [i, end] of BUCKETS.entries()) took.set({ le: `${end}` }, forwarded.buckets[i] ?? 0);
  const asked = forwarded.answered + forwarded.failed;
  took.set({ le: '+Inf' }, asked);
  gauge('dns_forward_seconds_sum', 'Seconds that questions to upstreams took.').set(forwarded.seconds);
  gauge('dns_forward_seconds_count', 'Questions to upstreams.').set(asked);
  gauge('dns_forward_failed_total', 'Questions that no upstream has answered.').set(forwarded.failed);
  gauge('dns_forward_refused_total', 'Questions that were not asked, because too many waited.').set(
    forwarded.overflowed,
  );
  const failures = gauge(
    'dns_upstream_failures_total',
    'Questions that an upstream has not answered in time.',
    ['upstream'],
  );
  for (const [upstream, count] of Object.entries(forwarded.failures)) failures.set({ upstream }, count);

  gauge('dns_ignored_total', 'Messages that are no queries.').set(counters.ignored);
  gauge('dns_errors_total', 'Queries that could not be answered for a fault of the resolver.').set(
    counters.errors,
  );
  gauge('dns_connections', 'TCP connections open now.').set(streams.open);
  gauge('dns_connections_refused_total', 'TCP connections beyond the limits.').set(streams.refused);
}
