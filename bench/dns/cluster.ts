// A cluster's Services, and what its pods ask: cluster IPs, headless Services, names that the search path makes up.
import { random } from '../random.ts';

const NAMESPACES = 100;
/** Every tenth Service is headless, with so many endpoints. */
const ENDPOINTS = 3;
const ports = [{ name: 'http', port: 80, protocol: 'TCP' }];

export interface ClusterObjects {
  readonly namespaces: readonly object[];
  readonly services: readonly object[];
  readonly slices: readonly object[];
}

const isHeadless = (i: number) => i % 10 === 0;
const namespaceOf = (i: number) => `ns${i % NAMESPACES}`;
const nameOf = (i: number) => `svc${i}.${namespaceOf(i)}.svc.cluster.local`;

export function clusterObjects(count: number): ClusterObjects {
  const all = Array.from({ length: count }, (_, i) => i);
  const metadata = (name: string, namespace: string, labels = {}) => ({
    name,
    namespace,
    labels,
    resourceVersion: '1',
    uid: `${namespace}-${name}`,
  });
  return {
    namespaces: Array.from({ length: NAMESPACES }, (_, i) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: `ns${i}`, resourceVersion: '1', uid: `ns${i}` },
    })),
    services: all.map((i) => {
      const ip = isHeadless(i) ? 'None' : `10.${96 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
      return {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: metadata(`svc${i}`, namespaceOf(i)),
        spec: { type: 'ClusterIP', clusterIP: ip, clusterIPs: [ip], ports },
      };
    }),
    slices: all.filter(isHeadless).map((i) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: metadata(`svc${i}-1`, namespaceOf(i), { 'kubernetes.io/service-name': `svc${i}` }),
      addressType: 'IPv4',
      ports,
      endpoints: Array.from({ length: ENDPOINTS }, (_, j) => ({
        addresses: [`10.244.${(i >> 6) & 255}.${((i & 63) << 2) | j}`],
        conditions: { ready: true },
        ...(j > 0 && { hostname: `host${j}` }),
      })),
    })),
  };
}

/** Lines `NAME TYPE`. */
export function questions(count: number, services: number): string[] {
  const below = random(1);
  return Array.from({ length: count }, () => {
    const name = nameOf(below(services));
    const kind = below(10);
    if (kind < 4) return `${name} A`;
    if (kind < 6) return `${name} AAAA`;
    // A pod with ndots:5 tries its own search path first.
    if (kind < 9) return `${name}.ns1.svc.cluster.local A`;
    return `_http._tcp.${name} SRV`;
  });
}

/** One of every kind of name and type, for a comparison of answers. */
export function everyKind(services: number): string[] {
  const some = [0, 1, 10, 11, services - 1];
  const names = some.flatMap((i) => [
    nameOf(i),
    `host1.${nameOf(i)}`,
    `_http._tcp.${nameOf(i)}`,
    `_none._tcp.${nameOf(i)}`,
    `x.y.z.${nameOf(i)}`,
    `${nameOf(i)}.ns1.svc.cluster.local`,
  ]);
  const others = [
    'cluster.local',
    'svc.cluster.local',
    'ns1.svc.cluster.local',
    'none.svc.cluster.local',
    'none.ns1.svc.cluster.local',
    'dns-version.cluster.local',
    '10-1-2-3.ns1.pod.cluster.local',
    'fd00-1--2.ns1.pod.cluster.local',
    '10-1-2-3.none.pod.cluster.local',
    'ns1.pod.cluster.local',
    'x.cluster.local',
    'SVC1.NS1.SVC.CLUSTER.LOCAL',
    '1.0.96.10.in-addr.arpa',
    '0.0.244.10.in-addr.arpa',
    '1.0.244.10.in-addr.arpa',
    '250.255.244.10.in-addr.arpa',
  ];
  return [...names, ...others].flatMap((name) =>
    ['A', 'AAAA', 'SRV', 'PTR', 'TXT', 'CNAME', 'MX'].map((type) => `${name} ${type}`),
  );
}
