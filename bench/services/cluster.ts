// Services of any number, each with endpoints on the other node.

import type { Address } from '../../src/net/address.ts';
import { address } from '../../src/net/address.ts';
import { PODS, podAddress } from '../world.ts';

/** Endpoints of a Service. */
export const ENDPOINTS = 10;
export const PORT = 5001;
export const TARGET = 5000;

export const clusterIP = (i: number, family: 4 | 6): Address =>
  address(family === 4 ? `10.96.${i >> 8}.${i & 255}` : `fd00:96::${i.toString(16)}`);

/** Pods of node-2 that stand behind Service i, as they may be after some have been replaced. */
export const backends = (i: number, family: 4 | 6, replaced = 0): string[] =>
  Array.from(
    { length: ENDPOINTS },
    (_, k) => podAddress(2, (i * 7 + k + (k === 0 ? replaced : 0)) % PODS, family).text,
  );

export function serviceObject(i: number): object {
  const clusterIPs = ([4, 6] as const).map((family) => clusterIP(i, family).text);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: `service-${i}`, namespace: 'default' },
    spec: {
      clusterIP: clusterIPs[0],
      clusterIPs,
      ports: [{ name: 'main', port: PORT, targetPort: TARGET, protocol: 'UDP' }],
    },
  };
}

export const sliceObject = (i: number, family: 4 | 6, replaced = 0): object => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: {
    name: `service-${i}-${family}`,
    namespace: 'default',
    labels: { 'kubernetes.io/service-name': `service-${i}` },
  },
  addressType: family === 4 ? 'IPv4' : 'IPv6',
  ports: [{ name: 'main', port: TARGET, protocol: 'UDP' }],
  endpoints: backends(i, family, replaced).map((ip) => ({
    addresses: [ip],
    nodeName: 'node-2',
    conditions: { ready: true },
  })),
});

/** Both families. */
export const services = (count: number): object[] =>
  Array.from({ length: count }, (_, i) => [serviceObject(i), sliceObject(i, 4), sliceObject(i, 6)]).flat();
