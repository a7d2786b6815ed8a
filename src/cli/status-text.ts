// The status as a person reads it. Pure.
import type { PeerStatus, PortStatus, Status, TunnelStatus } from '../daemon/status.ts';
import { table } from './table.ts';

export function statusText(status: Status): string {
  const { counters } = status;
  const dropped = Object.entries(counters.dropped).sort(([, a], [, b]) => b - a);
  const sections: [title: string, rows: string[][]][] = [
    ['Node', nodeRows(status)],
    ['Store', storeRows(status)],
    ['Faults', faultRows(status)],
    ['Peers', [peerHead, ...status.peers.flatMap(peerRows)]],
    ['Ports', [portHead, ...status.ports.map(portRow)]],
    [
      'Addresses of pods by CNI',
      status.addresses.map(({ range, capacity, used, quarantined }) => [
        range,
        `${used}`,
        'of',
        `${capacity}`,
        quarantined > 0 ? `${quarantined} rest` : '',
      ]),
    ],
    [
      'Host ports',
      status.hostPorts.map(({ pod, protocol, address, port, target, takenBy }) => [
        protocol,
        address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
        pod,
        target,
        takenBy === null ? '' : `not in effect: Service ${takenBy} has it`,
      ]),
    ],
    [
      'Tables',
      Object.entries(status.tables).map(([name, { used, capacity }]) => [
        name,
        `${used}`,
        'of',
        `${capacity}`,
      ]),
    ],
    [
      'Counters',
      [
        ['received', `${counters.received}`],
        ['forwarded', `${counters.forwarded}`],
        ['consumed', `${counters.consumed}`],
        ...dropped.map(([name, count]) => [`dropped: ${name}`, `${count}`]),
        ...nonZero(counters.events),
      ],
    ],
    ['Denied by policy', decisionRows(status)],
    [
      'Offloads',
      [
        ...Object.entries(status.offloads).map(([name, choice]) => offloadRow(name, choice)),
        ...status.peers.flatMap(({ name, tunnels }) =>
          tunnels
            .filter(({ preferred }) => preferred && status.offloads.tunnelGso.used)
            .map(({ injection }) => offloadRow(`tunnelGso to ${name}`, injection)),
        ),
      ],
    ],
  ];
  return sections
    .filter(([, rows]) => rows.length > 0)
    .map(([title, rows]) => `${title}\n${table(rows)}`)
    .join('\n');
}

const offloadRow = (name: string, { used, reason }: { used: boolean; reason: string }) => [
  name,
  used ? 'on' : 'off',
  reason,
];

function nodeRows({
  node,
  version,
  pid,
  uptimeSeconds,
  epoch,
  flows,
  polling,
  flowLog,
  dns,
  counters,
  underlay,
  masquerade,
  direct,
  probes,
  capabilities,
}: Status): string[][] {
  return [
    ['name', node],
    ['daemon', `${version}, process ${pid}, up ${uptimeSeconds} s`],
    ['epoch', `${epoch}`],
    ['flows', `${flows.used} of ${flows.capacity}${flows.kept ? ', taken up from the daemon before' : ''}`],
    ['polling', polling.spin === 0 ? 'sleeps at once' : `spins for up to ${polling.spin} µs under load`],
    ...(flowLog
      ? [
          [
            'flow log',
            `${flowLog.file}, ${(counters.events['events-lost'] ?? 0) + flowLog.unwritten} events lost`,
          ],
        ]
      : []),
    ...(dns ? [['dns', dnsText(dns)]] : []),
    ['underlay', underlay.addresses.map(underlayText).join(', ')],
    ...(direct ? [['direct', directText(direct)]] : []),
    ['outside', outsideText(masquerade)],
    ['probes', probes.available ? 'by raw-socket' : `none, liveness by traffic alone: ${probes.reason}`],
    ['capabilities', `control thread ${capabilities.control}, workers ${capabilities.workers.join(' ')}`],
  ];
}

function dnsText({ domain, addresses, upstreams, counters }: NonNullable<Status['dns']>): string {
  const queries = Object.values(counters.queries).reduce((sum, count) => sum + count, 0);
  const others =
    upstreams.length === 0 ? 'nobody for other names' : `${upstreams.join(', ')} for other names`;
  return `${domain} at ${addresses.join(' ')}, asks ${others}; ${queries} queries`;
}

/** What keeps a peer from being reached as it should be. */
const troubles = ({ name, state, isSilent, fallback, indirect, tunnels }: PeerStatus): string[][] => [
  ...(state === 'dead' ? [[`peer ${name}`, 'is dead: neither replies nor traffic arrive']] : []),
  ...(state === 'alive' && isSilent
    ? [[`peer ${name}`, 'does not answer, though it sends: what is sent to it may not arrive']]
    : []),
  ...(fallback
    ? [[`peer ${name}`, `reached by ${fallback.tunnel} since ${fallback.since}: ${fallback.reason}`]]
    : []),
  ...(indirect?.isFault
    ? [[`peer ${name}`, `is not reached without encapsulation: ${indirect.reason}`]]
    : []),
  ...tunnels
    .filter(({ preferred, path }) => preferred && path.narrowSince !== null)
    .map(({ remote, path }) => [
      `peer ${name}`,
      `the path to ${remote} carries ${path.mtu ?? 'unknown'} bytes, less than its route says, since ${path.narrowSince}`,
    ]),
];

const underlayText = ({ address, interface: device, because }: Status['underlay']['addresses'][number]) =>
  `${address}${device === null ? '' : ` on ${device}`} (${because})`;

const directText = ({ device, fault }: NonNullable<Status['direct']>): string =>
  fault === null ? `peers on the subnets of ${device ?? '-'}, without encapsulation` : 'nobody, see Faults';

function outsideText({ enabled, exceptCIDRs, faults }: Status['masquerade']): string {
  if (!enabled) return "under pods' own addresses: masquerade is off";
  if (faults.length > 0) return 'out of reach for pods, see Faults';
  const exceptions = exceptCIDRs.length === 0 ? '' : `, but not to ${exceptCIDRs.join(' ')}`;
  return `under the node's address${exceptions}`;
}

function storeRows({ store }: Status): string[][] {
  const { type, source, current, sinceSeconds, lastError, objects, registration } = store;
  const counts = nonZero(objects).map(([kind, count]) => `${kind} ${count}`);
  return [
    [type, source],
    ['state', `${current ? 'followed' : 'not followed: what is known stays'}, for ${sinceSeconds} s`],
    ...(lastError ? [['last error', `${lastError.message}, ${lastError.secondsAgo} s ago`]] : []),
    ['objects', counts.join(', ') || 'none'],
    ...(registration.state === 'none' ? [] : [['this node', registration.state, registration.error ?? '']]),
  ];
}

function faultRows({
  fault,
  store,
  warnings,
  peers,
  underlay,
  masquerade,
  direct,
  dns,
  outside,
}: Status): string[][] {
  const { divert, healthChecks, announced } = outside;
  const outsideFaults = [divert, announced, ...healthChecks].flatMap((part) => part.fault ?? []);
  return [
    ...(fault === null ? [] : [['snapshot', fault]]),
    ...peers.flatMap(troubles),
    ...(underlay.fault === null ? [] : [['underlay', underlay.fault]]),
    ...masquerade.faults.map((text) => ['masquerade', text]),
    ...(direct?.fault ? [['direct', direct.fault]] : []),
    ...outsideFaults.map((text) => ['services', text]),
    ...Object.entries(dns?.faults ?? {}).map(([address, fault]) => ['dns', address, fault]),
    ...store.faults.map(({ source, object, field, message }) => [source, object, field, message]),
    ...warnings.map((warning) => ['warning', warning]),
  ];
}

const peerHead = [
  'name',
  'state',
  'seen',
  'round trip',
  'daemon',
  'tunnel',
  'remote',
  'mtu',
  'path',
  'received',
  'sent',
];

function peerRows(peer: PeerStatus): string[][] {
  const about = [
    peer.name,
    peer.state,
    peer.lastSeenSeconds === null ? '-' : `${peer.lastSeenSeconds} s`,
    peer.roundTripMs === null ? '-' : `${peer.roundTripMs} ms`,
    `${peer.version ?? '-'}${peer.registered === false ? ' (no lease)' : ''}`,
  ];
  if (peer.tunnels.length === 0) return [[...about, 'none']];
  return peer.tunnels.map((tunnel, i) => [
    ...(i === 0 ? about : about.map(() => '')),
    ...tunnelCells(tunnel),
  ]);
}

function tunnelCells({
  encapsulation,
  family,
  remote,
  mtu,
  preferred,
  path,
  received,
  sent,
}: TunnelStatus): string[] {
  return [
    `${encapsulation}/ipv${family}${preferred ? '' : ' (receives)'}`,
    remote,
    `${mtu}`,
    path.mtu === null ? path.state : `${path.mtu}`,
    `${received.packets}`,
    `${sent.packets}`,
  ];
}

const portHead = ['name', 'slot', 'addresses', 'mtu', 'isolated', 'received', 'sent', 'dropped'];

function portRow({ name, slot, addresses, mtu, isolated, received, sent, dropped }: PortStatus): string[] {
  return [
    name,
    `${slot}`,
    addresses.join(' ') || '-',
    `${mtu ?? '-'}`,
    isolated === null ? 'pending' : isolated.join('+') || '-',
    `${received.packets}`,
    `${sent.packets}`,
    `${dropped}`,
  ];
}

function decisionRows({ decisions }: Status): string[][] {
  return decisions
    .filter(({ verdict, dropped }) => verdict === 'deny' && dropped > 0)
    .map((decision) => [
      decision.direction,
      decision.policies.join(' '),
      ruleText(decision),
      `${decision.dropped}`,
    ]);
}

const ruleText = ({ rule, name }: Status['decisions'][number]) =>
  rule === null ? 'default deny' : `rule ${rule}${name === null ? '' : ` "${name}"`}`;

const nonZero = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => [name, `${count}`]);
