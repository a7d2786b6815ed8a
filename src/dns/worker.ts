// The resolver's thread: gives its capabilities up but for low ports, takes names, answers.
import { readFileSync } from 'node:fs';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { address } from '../net/address.ts';
import { prefix } from '../net/prefix.ts';
import { loadAddon } from '../phy/addon.ts';
import type { Upstream } from './exchange.ts';
import { Forwarder, usual } from './forwarder.ts';
import { Listeners } from './listeners.ts';
import type { DnsThreadData, Notice, Order } from './messages.ts';
import { nameServersOf } from './resolv-conf.ts';
import { Resolver } from './resolver.ts';
import { Statistics } from './statistics.ts';
import { addressesByFamily, Zone } from './zone.ts';

/** CAP_NET_BIND_SERVICE of linux/capability.h. */
const LOW_PORTS = 1n << 10n;
/** How often resolv.conf is read. */
const RESOLV_CONF_MS = 5000;
const DNS_PORT = 53;

const { zone: settings, cache, upstreams, port } = workerData as DnsThreadData;
const control = parentPort as MessagePort;
const tell = (notice: Notice) => control.postMessage(notice);

const addon = loadAddon();
addon.keepCapabilities(addon.capabilities() & LOW_PORTS);

const statistics = new Statistics();
const zone = new Zone({ ...settings, blocks: settings.blocks.map(prefix) });
const forwarder = new Forwarder({ cache, ...usual }, statistics);
const resolver = new Resolver(zone, forwarder, statistics);
let faults: Readonly<Record<string, string>> = {};
let asked: readonly Upstream[] = [];
const own = new Set<string>();
const listeners = new Listeners(resolver, statistics, port, (found) => {
  const now = Object.fromEntries(found);
  if (JSON.stringify(now) === JSON.stringify(faults)) return;
  faults = now;
  tell({ type: 'faults', faults });
});

findUpstreams();
if (!upstreams) setInterval(findUpstreams, RESOLV_CONF_MS);
control.on('message', obey);
tell({ type: 'ready' });

function obey(order: Order): void {
  switch (order.type) {
    case 'names':
      zone.apply(order.changes);
      break;
    case 'listen':
      own.clear();
      for (const text of order.addresses) own.add(text);
      zone.nameServers = addressesByFamily(order.addresses);
      findUpstreams();
      void listeners.listen(order.addresses.map(address));
      break;
    case 'counters': {
      const counters = statistics.counters(forwarder.cached);
      const texts = asked.map((one) => `${one.address.text} ${one.port}`);
      tell({ type: 'counters', id: order.id, state: { counters, upstreams: texts, faults } });
    }
  }
}

function findUpstreams(): void {
  const all: readonly Upstream[] = upstreams
    ? upstreams.map((one) => ({ address: address(one.address), port: one.port }))
    : readNameServers().map((one) => ({ address: one, port: DNS_PORT }));
  // Asking itself it would never end.
  asked = all.filter((one) => one.port !== port || !own.has(one.address.text));
  forwarder.upstreams = asked;
}

function readNameServers() {
  try {
    return nameServersOf(readFileSync('/etc/resolv.conf', 'utf8'));
  } catch {
    return [];
  }
}
