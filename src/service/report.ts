// What `overweft service` says of Services and of connections to them, as objects to be written as JSON.
import type { LeftOut, Reason } from './choose.ts';
import type { CompiledPort, CompiledService, Pool, ServiceCompiler } from './compile.ts';
import { type Governor, sourceChange } from './decide.ts';
import type { Endpoint } from './endpoints.ts';
import { type HealthAnswer, healthAnswer } from './health.ts';
import { sharesOf } from './maglev.ts';
import type { ServiceAnswer, ServiceProbe } from './oracle.ts';
import type { Frontend, TrafficPolicy } from './ports.ts';

interface EndpointReport {
  readonly address: string;
  readonly port: number;
  readonly node: string | null;
  readonly pod: string | null;
}

export interface BackendReport extends EndpointReport {
  /** Whether it is used only because no endpoint is ready. */
  readonly draining: boolean;
  /** Of the new connections, 0 to 1. */
  readonly share: number;
}

export interface LeftOutReport extends EndpointReport {
  readonly reason: Reason;
}

export interface PoolReport {
  readonly backends: readonly BackendReport[];
  readonly leftOut: readonly LeftOutReport[];
}

export interface FrontendReport {
  readonly kind: Frontend['kind'];
  readonly address: string;
  readonly port: number;
}

interface PortHead {
  readonly family: 'IPv4' | 'IPv6';
  readonly name: string;
  readonly protocol: string;
  readonly affinitySeconds: number | null;
  readonly hints: CompiledPort['hints'];
}

export interface PortReport extends PortHead {
  /** `takenBy`: another Service has this address and port. */
  readonly frontends: readonly (FrontendReport & { readonly takenBy: string | null })[];
  readonly internalTrafficPolicy: TrafficPolicy;
  readonly externalTrafficPolicy: TrafficPolicy | null;
  readonly sourceRanges: readonly string[];
  /** Null: no client comes under that policy. */
  readonly Cluster: PoolReport | null;
  readonly Local: PoolReport | null;
}

export interface ServiceReport {
  readonly service: string;
  readonly node: string;
  /** Why it has no frontends; null: it has. */
  readonly passed: CompiledService['passed'] | null;
  readonly healthCheck: ({ readonly port: number } & HealthAnswer) | null;
  readonly ports: readonly PortReport[];
}

export interface ConnectionReport {
  readonly verdict: 'forward' | 'drop' | 'reject' | 'not-a-service';
  /** Of a drop or a reject. */
  readonly reason: 'no-such-port' | 'no-endpoint' | 'source-range' | 'no-local-endpoint' | null;
  /** Node that decides. */
  readonly node: string;
  readonly service: string | null;
  readonly port: PortHead | null;
  readonly frontend: FrontendReport | null;
  readonly policy: TrafficPolicy | null;
  readonly governedBy: Governor | null;
  /** The one to which this connection goes; null: `from-port` is not given and decides. */
  readonly backend: EndpointReport | null;
  readonly backends: readonly (BackendReport & {
    readonly sourceChange: 'hairpin' | 'remote' | null;
  })[];
  readonly leftOut: readonly LeftOutReport[];
}

export function serviceReport(compiler: ServiceCompiler, service: CompiledService): ServiceReport {
  const { key, passed, healthCheckNodePort, ports } = service;
  return {
    service: key,
    node: compiler.place.node,
    passed: passed ?? null,
    healthCheck:
      healthCheckNodePort > 0 ? { port: healthCheckNodePort, ...healthAnswer(service, true) } : null,
    ports: ports.map((port) => portReport(compiler, port)),
  };
}

function portReport({ frontends }: ServiceCompiler, port: CompiledPort): PortReport {
  const { protocol, internalPolicy, externalPolicy, isExternal, sourceRanges, Cluster, Local } = port;
  return {
    ...headOf(port),
    frontends: port.frontends.map((frontend) => {
      const owner = frontends.find(protocol, frontend.address, frontend.port);
      const isOwn = owner?.port.service === port.service && owner.port.name === port.name;
      return { ...frontendReport(frontend), takenBy: isOwn ? null : (owner?.port.service ?? null) };
    }),
    internalTrafficPolicy: internalPolicy,
    externalTrafficPolicy: isExternal ? externalPolicy : null,
    sourceRanges: sourceRanges.map(({ text }) => text),
    Cluster: Cluster ? poolReport(Cluster) : null,
    Local: Local ? poolReport(Local) : null,
  };
}

export function connectionReport(
  { connection, node }: ServiceProbe,
  { decision, compiler }: ServiceAnswer,
): ConnectionReport {
  const head = {
    verdict: decision.verdict,
    reason: 'reason' in decision ? decision.reason : null,
    node,
    service: null,
    port: null,
    frontend: null,
    policy: null,
    governedBy: null,
    backend: null,
    backends: [],
    leftOut: [],
  };
  if (!('port' in decision)) return head;
  const { port, frontend, policy, governedBy } = decision;
  // Who may not come in at all is not kept out by endpoints.
  const pool = head.reason === 'source-range' ? undefined : port[policy];
  const isForward = decision.verdict === 'forward';
  return {
    ...head,
    service: port.service,
    port: headOf(port),
    frontend: frontendReport(frontend),
    policy,
    governedBy,
    backend: isForward && decision.backend ? endpointReport(decision.backend) : null,
    backends:
      isForward && pool
        ? withShares(pool, (endpoint, share) => ({
            ...backendReport(endpoint, share),
            sourceChange: sourceChange(connection, endpoint, compiler.place) ?? null,
          }))
        : [],
    leftOut: (pool?.leftOut ?? []).map(leftOutReport),
  };
}

/** A host port as it is live at a node. */
export interface HostPortReport {
  /** `namespace/name`. */
  readonly pod: string;
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
  /** Address and port of the pod. */
  readonly target: string;
  /** The Service that has this address and port in its place; null: none. */
  readonly takenBy: string | null;
}

export const hostPortReports = (
  compiler: Pick<ServiceCompiler, 'services' | 'frontends'>,
): HostPortReport[] =>
  [...compiler.services.values()].flatMap(({ ports }) =>
    ports.flatMap((port) =>
      port.frontends
        .filter(({ kind }) => kind === 'host-port')
        .map(({ address, port: number }): HostPortReport => {
          const [backend] = port.Local?.backends ?? [];
          const owner = compiler.frontends.find(port.protocol, address, number);
          return {
            pod: backend?.pod ?? '',
            protocol: port.protocol,
            address: address.text,
            port: number,
            target: backend?.key ?? '',
            takenBy: owner && owner.port.service !== port.service ? owner.port.service : null,
          };
        }),
    ),
  );

const headOf = ({ family, name, protocol, affinitySeconds, hints }: CompiledPort): PortHead => ({
  family: family === 4 ? 'IPv4' : 'IPv6',
  name,
  protocol,
  affinitySeconds: affinitySeconds ?? null,
  hints,
});

const frontendReport = ({ kind, address, port }: Frontend): FrontendReport => ({
  kind,
  address: address.text,
  port,
});

const endpointReport = ({ address, port, node, pod }: Endpoint): EndpointReport => ({
  address: address.text,
  port,
  node: node ?? null,
  pod: pod ?? null,
});

const poolReport = (pool: Pool): PoolReport => ({
  backends: withShares(pool, backendReport),
  leftOut: pool.leftOut.map(leftOutReport),
});

const leftOutReport = ({ endpoint, reason }: LeftOut): LeftOutReport => ({
  ...endpointReport(endpoint),
  reason,
});

const backendReport = (endpoint: Endpoint, share: number): BackendReport => ({
  ...endpointReport(endpoint),
  draining: endpoint.state === 'draining',
  share,
});

function withShares<T>({ backends, slots }: Pool, report: (endpoint: Endpoint, share: number) => T): T[] {
  const shares = sharesOf(slots, backends.length);
  return backends.map((endpoint, i) => report(endpoint, (shares[i] ?? 0) / slots.length));
}
