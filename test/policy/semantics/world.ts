// Two nodes, and pods of two namespaces on the first one: where the statements on NetworkPolicy are tried.
import { namespace, node, type PodFields, pod, policy } from '../../support/cluster.ts';

export const families = [4, 6] as const;
export type Family = (typeof families)[number];

const address = (family: Family, i: number) => (family === 4 ? `10.244.1.${i}` : `fd00:244:1::${i}`);
export const nodeAddress = (family: Family, i: number) => (family === 4 ? `192.0.2.${i}` : `2001:db8::${i}`);
export const outside = (family: Family) => (family === 4 ? '198.51.100.7' : '2001:db8:f::7');

/** Pods of one namespace each, on node 1; x/a also serves `web`. */
const pods: readonly Omit<PodFields, 'ips'>[] = [
  {
    namespace: 'x',
    name: 'a',
    labels: { app: 'a', tier: 'front' },
    ports: [{ name: 'web', containerPort: 80 }],
  },
  { namespace: 'x', name: 'b', labels: { app: 'b' }, ports: [{ name: 'web', containerPort: 8080 }] },
  {
    namespace: 'y',
    name: 'a',
    labels: { app: 'a' },
    ports: [{ name: 'web', containerPort: 80, protocol: 'UDP' }],
  },
  { namespace: 'y', name: 'b', labels: { app: 'b', tier: 'back' } },
];
const keys = pods.map(({ namespace, name }) => `${namespace}/${name}`);
export const addressOf = (family: Family, key: string) => address(family, keys.indexOf(key) + 2);

/** @param family of the pods' first address, under which they are judged by name */
export function world(family: Family, changed: Partial<Record<string, Partial<PodFields>>> = {}): object[] {
  const order = family === 4 ? families : [...families].reverse();
  return [
    node(1),
    node(2),
    namespace('x', { team: 'red' }),
    namespace('y', { team: 'blue' }),
    ...pods.map((fields, i) =>
      pod({ ...fields, ips: order.map((one) => address(one, i + 2)), ...changed[keys[i] ?? ''] }),
    ),
    pod({
      namespace: 'x',
      name: 'host',
      ips: [nodeAddress(family, 2)],
      node: 'node-2',
      labels: { app: 'a' },
      spec: { hostNetwork: true },
    }),
  ];
}

export const app = (name: string) => ({ matchLabels: { app: name } });
export const named = (name: string) => ({ matchLabels: { 'kubernetes.io/metadata.name': name } });
export const ingress = (rules: unknown, name = 'tested', selector: object = app('a')) =>
  policy(
    name,
    { podSelector: selector, policyTypes: ['Ingress'], ...(rules !== undefined && { ingress: rules }) },
    'x',
  );
export const egress = (rules: unknown, name = 'tested', selector: object = app('a')) =>
  policy(
    name,
    { podSelector: selector, policyTypes: ['Egress'], ...(rules !== undefined && { egress: rules }) },
    'x',
  );
