// Services and their endpoints for tests, through the same door as real ones.
import { changesBetween } from '../../src/control/changes.ts';
import { clusterOf } from '../../src/control/cluster.ts';
import { readManifests } from '../../src/control/manifests.ts';
import type { Protocol } from '../../src/control/object-fields.ts';
import type { Objects } from '../../src/control/objects.ts';
import { address } from '../../src/net/address.ts';
import { ServiceCompiler } from '../../src/service/compile.ts';
import { type Decision, decide, type Origin } from '../../src/service/decide.ts';
import { declaredHostPorts } from '../../src/service/declared-host-ports.ts';
import { faultText } from '../../src/store/store.ts';

export interface EndpointFields {
  readonly ip: string;
  readonly node?: string;
  readonly ready?: boolean | undefined;
  readonly serving?: boolean | undefined;
  readonly terminating?: boolean | undefined;
  readonly zones?: readonly string[];
  readonly nodes?: readonly string[];
  readonly pod?: string;
}

/** default/web with one TCP port, 80 to 8080. */
export const service = (spec: object = {}, metadata: object = {}, status: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'default', ...metadata },
  spec: {
    clusterIP: '10.96.0.10',
    clusterIPs: ['10.96.0.10'],
    ports: [{ name: 'http', port: 80, targetPort: 8080 }],
    ...spec,
  },
  status,
});

export const slice = (
  endpoints: readonly EndpointFields[],
  {
    name = 'web-1',
    service: owner = 'web',
    type = 'IPv4',
    ports = [{ name: 'http', port: 8080 }] as object[],
  } = {},
  labels: Readonly<Record<string, string>> = {},
) => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': owner, ...labels } },
  addressType: type,
  ports,
  endpoints: endpoints.map(({ ip, node, ready, serving, terminating, zones, nodes, pod }) => ({
    addresses: [ip],
    ...(node !== undefined && { nodeName: node }),
    conditions: { ready, serving, terminating },
    ...(pod !== undefined && { targetRef: { kind: 'Pod', namespace: 'default', name: pod } }),
    hints: { forZones: zones?.map((name) => ({ name })), forNodes: nodes?.map((name) => ({ name })) },
  })),
});

/** Manifests that must be good. */
export function objectsFrom(items: readonly object[]): Objects {
  const text = JSON.stringify({ kind: 'List', apiVersion: 'v1', items });
  const { objects, faults } = readManifests([{ file: 'test.json', text }]);
  if (faults.length > 0) throw new Error(faults.map(faultText).join('\n'));
  return objects;
}

export function compilerOf(items: readonly object[], node = 'node-1'): ServiceCompiler {
  const objects = objectsFrom(items);
  const compiler = new ServiceCompiler(node);
  const cluster = clusterOf(objects);
  compiler.apply(
    changesBetween(undefined, objects),
    cluster.nodes.find(({ name }) => name === node),
    declaredHostPorts(objects, cluster, node),
  );
  return compiler;
}

export interface Knock {
  readonly to?: string;
  readonly port?: number;
  readonly protocol?: Protocol;
  readonly client?: string;
  readonly origin?: Origin;
  readonly clientPort?: number;
}

/** What becomes of a connection from a pod to default/web's cluster IP, or as said. */
export function knock(
  compiler: ServiceCompiler,
  {
    to = '10.96.0.10',
    port = 80,
    protocol = 'TCP',
    client = '10.244.1.99',
    origin = 'pod',
    clientPort,
  }: Knock = {},
): Decision {
  return decide(compiler, {
    client: address(client),
    origin,
    clientPort,
    to: address(to),
    port,
    protocol,
  });
}

/** In short: `reason` of what is dropped or rejected, keys of the endpoints of what goes on. */
export function where(compiler: ServiceCompiler, question: Knock = {}): string | readonly string[] {
  const decision = knock(compiler, question);
  if (decision.verdict === 'forward') return decision.pool.backends.map(({ key }) => key);
  return decision.verdict === 'not-a-service' ? decision.verdict : `${decision.verdict} ${decision.reason}`;
}
