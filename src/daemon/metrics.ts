// The status as Prometheus metrics.
import { Counter, Gauge, Registry } from 'prom-client';
import { dnsMetrics } from '../dns/metrics.ts';
import type { Status } from './status.ts';

/** One text exposition. Every number comes from the same status document, so they agree with each other. */
export async function metricsOf(status: Status): Promise<{ contentType: string; text: string }> {
  const registry = new Registry();
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `overweft_${name}`, help, labelNames, registers: [registry] });
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `overweft_${name}_total`, help, labelNames, registers: [registry] });

  gauge('build_info', 'Version of the daemon.', ['version', 'node']).set(
    { version: status.version, node: status.node },
    1,
  );
  gauge('epoch', 'Epoch of the live tables.').set(status.epoch);
  gauge('snapshot_fault', '1 while the newest cluster state is not live.').set(status.fault === null ? 0 : 1);
  const { store } = status;
  gauge('store_faults', 'Faults of objects that cannot be used.').set(store.faults.length);
  gauge('store_current', '1 while what is known is what the store holds, but for what is on its way.').set(
    store.current ? 1 : 0,
  );
  gauge('store_behind_seconds', 'How long the store has not been followed; 0 while it is.').set(
    store.current ? 0 : store.sinceSeconds,
  );
  const known = gauge('store_objects', 'Known objects of the store.', ['kind']);
  for (const [kind, count] of Object.entries(store.objects)) known.set({ kind }, count);

  const { counters } = status;
  counter('received', 'Frames and datagrams received.').inc(counters.received);
  counter('forwarded', 'Frames and datagrams forwarded.').inc(counters.forwarded);
  counter('consumed', 'Frames and datagrams answered by the data path itself.').inc(counters.consumed);
  const dropped = counter('dropped', 'Frames and datagrams dropped, by reason.', ['reason']);
  for (const [reason, count] of Object.entries(counters.dropped)) dropped.inc({ reason }, count);
  const events = counter('events', 'What is no fate of a received frame.', ['event']);
  for (const [event, count] of Object.entries(counters.events)) events.inc({ event }, count);

  if (status.flowLog) {
    counter('flow_log_unwritten', 'Events of the flow log that its file did not take.').inc(
      status.flowLog.unwritten,
    );
  }

  const decisions = counter(
    'policy_dropped',
    'Packets dropped by a rule of a policy, or by default deny of the policies that isolate.',
    ['tier', 'direction', 'policies', 'rule', 'name'],
  );
  for (const { verdict, tier, direction, policies, rule, name, dropped } of status.decisions) {
    if (verdict !== 'deny') continue;
    const by = { rule: rule === null ? 'default-deny' : `${rule}`, name: name ?? '' };
    decisions.inc({ tier: tier ?? '', direction, policies: policies.join(','), ...by }, dropped);
  }

  const portPackets = counter('port_packets', 'Packets at a port, seen from the port.', [
    'port',
    'direction',
  ]);
  const portBytes = counter('port_bytes', 'Bytes at a port, seen from the port.', ['port', 'direction']);
  const portDropped = counter('port_dropped', 'Packets of a port that were dropped.', ['port']);
  for (const { name: port, received, sent, dropped } of status.ports) {
    portPackets.inc({ port, direction: 'sent' }, received.packets);
    portPackets.inc({ port, direction: 'received' }, sent.packets);
    portBytes.inc({ port, direction: 'sent' }, received.bytes);
    portBytes.inc({ port, direction: 'received' }, sent.bytes);
    portDropped.inc({ port }, dropped);
  }

  const up = gauge('peer_up', '1 alive, 0 dead; absent while unknown.', ['peer']);
  const roundTrip = gauge('peer_round_trip_seconds', 'Round trip of the last reply inside the tunnel.', [
    'peer',
  ]);
  const tunnelLabels = ['peer', 'encapsulation', 'family'];
  const tunnelPackets = counter('tunnel_packets', 'Packets through a tunnel.', [
    ...tunnelLabels,
    'direction',
  ]);
  const tunnelBytes = counter('tunnel_bytes', 'Bytes through a tunnel.', [...tunnelLabels, 'direction']);
  const tunnelDropped = counter('tunnel_dropped', 'Packets from a tunnel that were dropped.', tunnelLabels);
  const tunnelMtu = gauge('tunnel_mtu_bytes', 'Largest inner IP packet.', tunnelLabels);
  const fallback = gauge(
    'peer_fallback',
    '1 while a peer is reached otherwise than by its preferred tunnel.',
    ['peer'],
  );
  for (const peer of status.peers) {
    fallback.set({ peer: peer.name }, peer.fallback === null ? 0 : 1);
    if (peer.state !== 'unknown') up.set({ peer: peer.name }, peer.state === 'alive' ? 1 : 0);
    if (peer.roundTripMs !== null) roundTrip.set({ peer: peer.name }, peer.roundTripMs / 1000);
    for (const { encapsulation, family, received, sent, dropped, mtu } of peer.tunnels) {
      const labels = { peer: peer.name, encapsulation, family: `ipv${family}` };
      tunnelPackets.inc({ ...labels, direction: 'received' }, received.packets);
      tunnelPackets.inc({ ...labels, direction: 'sent' }, sent.packets);
      tunnelBytes.inc({ ...labels, direction: 'received' }, received.bytes);
      tunnelBytes.inc({ ...labels, direction: 'sent' }, sent.bytes);
      tunnelDropped.inc(labels, dropped);
      tunnelMtu.set(labels, mtu);
    }
  }

  const addresses = gauge('pod_addresses', "Addresses of the node's ranges, by what they are.", [
    'range',
    'state',
  ]);
  for (const { range, capacity, used, quarantined } of status.addresses) {
    addresses.set({ range, state: 'used' }, used);
    addresses.set({ range, state: 'quarantined' }, quarantined);
    addresses.set({ range, state: 'capacity' }, capacity);
  }
  const used = gauge('table_used', 'Entries in use.', ['table']);
  const capacity = gauge('table_capacity', 'Entries that fit.', ['table']);
  for (const [table, size] of Object.entries(status.tables)) {
    used.set({ table }, size.used);
    capacity.set({ table }, size.capacity);
  }
  const offload = gauge('offload_used', '1 where an offload is in use.', ['offload']);
  for (const [name, choice] of Object.entries(status.offloads))
    offload.set({ offload: name }, choice.used ? 1 : 0);

  if (status.dns) dnsMetrics(status.dns.counters, { gauge, counter });

  return { contentType: registry.contentType, text: await registry.metrics() };
}
