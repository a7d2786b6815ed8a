// What a person reads of Services and of connections to them.
import { parseAddress } from '../net/address.ts';
import type { Hints, Reason } from './choose.ts';
import type { Governor } from './decide.ts';
import { socketText } from './endpoints.ts';
import type { ServiceProbe } from './oracle.ts';
import { passedTexts } from './ports.ts';
import type {
  BackendReport,
  ConnectionReport,
  FrontendReport,
  LeftOutReport,
  PoolReport,
  PortReport,
  ServiceReport,
} from './report.ts';

const reasonTexts: Record<Reason, string> = {
  'not-ready': 'not ready',
  draining: 'terminating, and others are ready',
  terminating: 'terminating and no longer serving',
  'other-node': 'hints give it to other nodes',
  'other-zone': 'hints give it to other zones',
  remote: 'on another node, and the policy is Local',
};

const hintTexts: Record<Hints, string> = {
  none: '',
  'same-node': 'hints: endpoints for this node',
  'same-zone': "hints: endpoints for this node's zone",
  incomplete: 'hints do not count: not every ready endpoint has one',
  'not-for-here': 'hints do not count: none is for this node or its zone',
  'node-without-zone': 'hints do not count: the node has no label topology.kubernetes.io/zone',
};

const kindTexts: Record<FrontendReport['kind'], string> = {
  'cluster-ip': 'cluster IP',
  'node-port': 'node port',
  'load-balancer': 'load balancer',
  'external-ip': 'external IP',
  'host-port': 'host port',
};

const governorTexts: Record<Governor, string> = {
  internalTrafficPolicy: 'by internalTrafficPolicy',
  externalTrafficPolicy: 'by externalTrafficPolicy',
  inside: 'as for every client inside the cluster',
  hostPort: 'as every host port',
};

const changeTexts = {
  hairpin: ", sees the node's address: the client is this endpoint",
  remote: ", sees the node's address: the client is outside and the endpoint on another node",
};

export function serviceText({ service, passed, healthCheck, ports }: ServiceReport): string {
  if (passed) return `${service}  ${passedTexts[passed]}`;
  const check = healthCheck
    ? [
        `  health check  port ${healthCheck.port} answers ${healthCheck.status}: ${healthCheck.body.localEndpoints} ready here`,
      ]
    : [];
  return [service, ...check, ...ports.flatMap(portLines)].join('\n');
}

function portLines(port: PortReport): string[] {
  const { name, protocol, family, frontends, affinitySeconds, sourceRanges, hints, Cluster, Local } = port;
  const { internalTrafficPolicy, externalTrafficPolicy } = port;
  const isHostPort = frontends.some(({ kind }) => kind === 'host-port');
  const title = [name, protocol, family].filter((part) => part !== '').join(' ');
  return [
    `  ${title}`,
    ...frontends.map((frontend) => {
      const taken = frontend.takenBy === null ? '' : `, not in effect: ${frontend.takenBy} has it`;
      return `    ${kindTexts[frontend.kind].padEnd(13)}  ${at(frontend)}${taken}`;
    }),
    ...(internalTrafficPolicy === 'Local' && !isHostPort ? ['    internalTrafficPolicy  Local'] : []),
    ...(externalTrafficPolicy === 'Local' ? ['    externalTrafficPolicy  Local'] : []),
    ...(affinitySeconds === null
      ? []
      : [`    affinity       a client keeps its endpoint ${affinitySeconds} s`]),
    ...(sourceRanges.length === 0 ? [] : [`    sources        ${sourceRanges.join(', ')}`]),
    ...(hintTexts[hints] === '' ? [] : [`    ${hintTexts[hints]}`]),
    ...(Cluster ? poolLines('Cluster', Cluster) : []),
    ...(Local ? poolLines('Local', Local) : []),
  ];
}

function poolLines(policy: string, { backends, leftOut }: PoolReport): string[] {
  const title = backends.length === 0 ? `${policy}: no endpoint` : `${policy}:`;
  return [`    ${title}`, ...backends.map(backendLine), ...leftOut.map(leftOutLine)].map((line, i) =>
    i === 0 ? line : `      ${line}`,
  );
}

export function connectionText({ connection, from, to }: ServiceProbe, report: ConnectionReport): string {
  const { verdict, node, service, port, frontend, policy, governedBy, backend, backends, leftOut } = report;
  const { protocol } = connection;
  const title = `${verdict}  ${from} → ${to}, ${protocol} ${connection.port}, at ${node}`;
  if (!service || !port || !frontend)
    return `${title}\n  ${
      verdict === 'reject'
        ? 'no port of the Service with that cluster IP'
        : 'no Service has this address and port'
    }`;
  const hint = policy === 'Cluster' ? hintTexts[port.hints] : '';
  const named = port.name === '' ? '' : `, port ${port.name}`;
  const affinity =
    port.affinitySeconds === null || verdict !== 'forward'
      ? []
      : [`  affinity  the client keeps its endpoint ${port.affinitySeconds} s`];
  return [
    title,
    `  service   ${service}${named}: ${kindTexts[frontend.kind]} ${at(frontend)}`,
    `  policy    ${policy}${governedBy ? `, ${governorTexts[governedBy]}` : ''}${hint === '' ? '' : `; ${hint}`}`,
    ...outcome(report),
    ...affinity,
    ...backends.map((one) => {
      const chosen = backend && at(one) === at(backend) ? '→' : ' ';
      return `${chosen} ${backendLine(one)}${one.sourceChange ? changeTexts[one.sourceChange] : ''}`;
    }),
    ...leftOut.map((one) => `  ${leftOutLine(one)}`),
  ].join('\n');
}

const outcomes: Record<NonNullable<ConnectionReport['reason']>, string> = {
  'no-such-port': 'the Service has no such port',
  'no-endpoint': 'no node has a usable endpoint',
  'source-range': "the client is in none of the Service's loadBalancerSourceRanges",
  'no-local-endpoint': 'this node has no usable endpoint, others have',
};

const outcome = ({ reason }: ConnectionReport): string[] =>
  reason === null ? [] : [`  reason    ${outcomes[reason]} (${reason})`];

const backendLine = (backend: BackendReport): string =>
  `${whereLine(backend)}  ${(backend.share * 100).toFixed(1)} %${backend.draining ? ', terminating: none is ready' : ''}`;

const leftOutLine = (one: LeftOutReport): string => `${whereLine(one)}  left out: ${reasonTexts[one.reason]}`;

const whereLine = (one: BackendReport | LeftOutReport): string =>
  [at(one), one.node ?? 'no node', ...(one.pod ? [one.pod] : [])].join('  ');

function at({ address, port }: { readonly address: string; readonly port: number }): string {
  const parsed = parseAddress(address);
  return parsed ? socketText(parsed, port) : `${address}:${port}`;
}
