/**
 * What becomes of a connection to a Service at one node:
 *
 *     frontend ─ none: not a Service; another port of a cluster IP: reject
 *        │
 *     loadBalancerSourceRanges ─ the client is in none: drop
 *        │
 *     traffic policy ─ Local without an endpoint of this node: drop; no endpoint anywhere: reject
 *        │
 *     backend, and whether the node must put an address of its own in place of the client's
 */
import type { ClusterNode } from '../control/cluster.ts';
import type { Protocol } from '../control/object-fields.ts';
import type { Address } from '../net/address.ts';
import { contains } from '../net/prefix.ts';
import type { Place } from './choose.ts';
import type { CompiledPort, Pool, ServiceCompiler } from './compile.ts';
import type { Endpoint } from './endpoints.ts';
import { slotOf } from './maglev.ts';
import type { Frontend, TrafficPolicy } from './ports.ts';

/** Where a client is as seen from the node: a pod of the cluster, the node itself, or anywhere else. */
export type Origin = 'pod' | 'node' | 'outside';

export interface Connection {
  readonly client: Address;
  readonly origin: Origin;
  /** The client's; undefined: any. */
  readonly clientPort: number | undefined;
  readonly to: Address;
  readonly port: number;
  readonly protocol: Protocol;
}

/** A port that answers for the address, and under which policy. */
interface Found {
  readonly port: CompiledPort;
  readonly frontend: Frontend;
  readonly policy: TrafficPolicy;
  readonly governedBy: Governor;
}

/** The field that gives the policy, or that the client is inside the cluster and the address external, or a host port. */
export type Governor = 'internalTrafficPolicy' | 'externalTrafficPolicy' | 'inside' | 'hostPort';

export type Decision =
  | { readonly verdict: 'not-a-service' }
  | { readonly verdict: 'reject'; readonly reason: 'no-such-port' }
  | ({ readonly verdict: 'reject'; readonly reason: 'no-endpoint' } & Found)
  | ({ readonly verdict: 'drop'; readonly reason: 'source-range' | 'no-local-endpoint' } & Found)
  | ({ readonly verdict: 'forward'; readonly pool: Pool; readonly backend: Endpoint | undefined } & Found);

/** Backend undefined: its choice depends on the client's port, which is not given. */
export function decide(compiler: ServiceCompiler, connection: Connection): Decision {
  const { client, origin, to, protocol } = connection;
  const claim = compiler.frontends.find(protocol, to, connection.port);
  const port = claim && compiler.port(claim.port);
  if (!port)
    return compiler.frontends.isClusterIP(to)
      ? { verdict: 'reject', reason: 'no-such-port' }
      : { verdict: 'not-a-service' };
  const { frontend } = claim;
  const governedBy = governor(frontend, origin);
  const policy = policyOf(port, governedBy);
  const found = { port, frontend, policy, governedBy };
  if (frontend.kind === 'load-balancer' && !isInRange(compiler, port, client, origin))
    return { verdict: 'drop', reason: 'source-range', ...found };
  const pool = port[policy];
  if (pool && pool.backends.length > 0)
    return { verdict: 'forward', pool, backend: backendOf(port, pool, connection), ...found };
  return port.hasAny
    ? { verdict: 'drop', reason: 'no-local-endpoint', ...found }
    : { verdict: 'reject', reason: 'no-endpoint', ...found };
}

function governor({ kind }: Frontend, origin: Origin): Governor {
  if (kind === 'cluster-ip') return 'internalTrafficPolicy';
  if (kind === 'host-port') return 'hostPort';
  return origin === 'outside' ? 'externalTrafficPolicy' : 'inside';
}

/** Pods and the node reach external addresses as if through a load balancer that may send them to any node. */
function policyOf({ internalPolicy, externalPolicy }: CompiledPort, governedBy: Governor): TrafficPolicy {
  if (governedBy === 'inside') return 'Cluster';
  return governedBy === 'externalTrafficPolicy' ? externalPolicy : internalPolicy;
}

function isInRange({ node }: ServiceCompiler, port: CompiledPort, client: Address, origin: Origin): boolean {
  if (port.sourceRanges.length === 0) return true;
  if (origin === 'node' && isNodeInRange(port, node)) return true;
  return port.sourceRanges.some((block) => contains(block, client));
}

/** A range that holds the node's own address holds all that the node itself sends, whatever source that has. */
export const isNodeInRange = (
  { sourceRanges }: Pick<CompiledPort, 'sourceRanges'>,
  node: ClusterNode | undefined,
): boolean =>
  sourceRanges.some((block) => (node?.addresses ?? []).some((address) => contains(block, address)));

function backendOf(
  { affinitySeconds }: CompiledPort,
  { backends, slots }: Pool,
  { client, clientPort }: Connection,
): Endpoint | undefined {
  if (backends.length === 1) return backends[0];
  const port = affinitySeconds === undefined ? clientPort : 0;
  return port === undefined ? undefined : backends[slots[slotOf(client, port, slots.length)] ?? 0];
}

/**
 * Why the backend must see an address of the node in place of the client's, so that its answer comes back this way:
 * the client is the backend itself, or a stranger whose backend lives on another node.
 */
export function sourceChange(
  { client, origin }: Pick<Connection, 'client' | 'origin'>,
  backend: Endpoint,
  { node }: Place,
): 'hairpin' | 'remote' | undefined {
  if (backend.address.text === client.text) return 'hairpin';
  return origin === 'outside' && backend.node !== node ? 'remote' : undefined;
}
