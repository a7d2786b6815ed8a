/**
 * The cluster that both take part in: two nodes, a client on the first, ten pods on the second behind all Services.
 *
 *     service-0 … service-N   ten endpoints each    new connections
 *     bulk                    one                   streams and datagrams
 *     moving                  one                   goes from one pod to another
 */
import { labManifests } from '../../src/lab/manifests.ts';
import { type LabPlan, planLab } from '../../src/lab/plan.ts';
import { labDirectory } from '../../src/lab/state.ts';
import type { ApiObject, Served } from '../api-server.ts';

/** Pods behind a Service. */
export const ENDPOINTS = 10;
export const PORT = 80;
/** Ports of the pods: what answers for Services, directly, for `moving`, and for `bulk`. */
export const TARGETS = { services: 5000, direct: 5001, moving: 5002, bulk: 5003 } as const;
export const bulkIP = '10.111.0.1';
export const movingIP = '10.111.0.2';
export const slices = '/apis/discovery.k8s.io/v1/endpointslices';

export const clusterIP = (i: number): string => `10.${96 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;

/** A lab with one client alone on the first node. */
export function plan(): LabPlan {
  const whole = planLab({ nodes: 2, podsPerNode: ENDPOINTS }, labDirectory);
  return { ...whole, pods: whole.pods.filter(({ node, name }) => node === 'node-2' || name === 'pod-1') };
}

/** IPv4 addresses of the pods behind Services. */
export const endpointsOf = ({ pods }: LabPlan): string[] =>
  pods.filter(({ node }) => node === 'node-2').map(({ ips }) => ips[0]);

interface ServicePort {
  readonly protocol: 'TCP' | 'UDP';
  readonly target: number;
}

const service = (name: string, ip: string, ports: readonly ServicePort[]): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: {
    type: 'ClusterIP',
    clusterIP: ip,
    clusterIPs: [ip],
    ipFamilies: ['IPv4'],
    ports: ports.map(({ protocol, target }) => ({
      name: protocol.toLowerCase(),
      protocol,
      port: PORT,
      targetPort: target,
    })),
  },
});

const slice = (
  name: string,
  ports: readonly ServicePort[],
  addresses: readonly string[],
): ApiObject & object =>
  ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-1`,
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType: 'IPv4',
    ports: ports.map(({ protocol, target }) => ({ name: protocol.toLowerCase(), protocol, port: target })),
    endpoints: addresses.map((address) => ({
      addresses: [address],
      nodeName: 'node-2',
      conditions: { ready: true, serving: true, terminating: false },
    })),
  }) as ApiObject;

const ordinary: ServicePort[] = [{ protocol: 'TCP', target: TARGETS.services }];
const moving: ServicePort[] = [{ protocol: 'TCP', target: TARGETS.moving }];
const bulk: ServicePort[] = [
  { protocol: 'TCP', target: TARGETS.bulk },
  { protocol: 'UDP', target: TARGETS.bulk },
];

/** The slice of `moving` when it leads to an address. */
export const movingSlice = (address: string): ApiObject => slice('moving', moving, [address]);

/** What the API server has, by path. */
export function objects(lab: LabPlan, services: number): Record<string, Served> {
  const endpoints = endpointsOf(lab);
  const [first = ''] = endpoints;
  const manifests = [...labManifests(lab).values()] as ApiObject[];
  const numbers = Array.from({ length: services }, (_, i) => i);
  const core = (kind: string): Served => ({
    apiVersion: 'v1',
    kind,
    items: manifests.filter((one) => one.kind === kind),
  });
  return {
    '/api/v1/nodes': core('Node'),
    '/api/v1/namespaces': core('Namespace'),
    '/api/v1/pods': core('Pod'),
    '/api/v1/services': {
      apiVersion: 'v1',
      kind: 'Service',
      items: [
        ...numbers.map((i) => service(`service-${i}`, clusterIP(i), ordinary)),
        service('bulk', bulkIP, bulk),
        service('moving', movingIP, moving),
      ],
    },
    [slices]: {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      items: [
        ...numbers.map((i) => slice(`service-${i}`, ordinary, endpoints)),
        slice('bulk', bulk, [first]),
        movingSlice(first),
      ],
    },
    '/apis/networking.k8s.io/v1/networkpolicies': {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      items: [],
    },
    '/apis/networking.k8s.io/v1/servicecidrs': {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'ServiceCIDR',
      items: [],
    },
  };
}
