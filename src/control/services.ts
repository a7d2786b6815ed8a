/**
 * Service, v1, and EndpointSlice, discovery.k8s.io/v1. Their fields are closed, because a misspelt one would silently
 * change where packets go, and what the API server refuses is refused here where it would make the meaning ambiguous
 * or lead packets to a node itself.
 * https://kubernetes.io/docs/reference/kubernetes-api/service-resources/
 */
import { z } from 'zod';
import { addressField, integer, prefixField } from '../config/fields.ts';
import { type Address, parseAddress } from '../net/address.ts';
import { contains, prefix } from '../net/prefix.ts';
import { closedMetadata, protocolField } from './object-fields.ts';

/** DNS label, RFC 1123 §2.1, or nothing. */
const portNameField = z
  .string()
  .regex(/^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$/, 'must be a DNS label such as http')
  .nullish()
  .transform((name) => name ?? '');

const policyField = z
  .enum(['Cluster', 'Local'])
  .nullish()
  .transform((policy) => policy ?? 'Cluster');

const special = [
  '0.0.0.0/32',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/24',
  '::/128',
  '::1/128',
  'fe80::/10',
]
  .map(prefix)
  .concat(prefix('ff02::/16'));

/** Whether traffic to it would stay on a node or its link, which no Service may ask for (ValidateNonSpecialIP). */
const isSpecial = (address: Address): boolean => special.some((block) => contains(block, address));
const NOT_SPECIAL = 'must not be an unspecified, loopback or link-local address';

const servicePort = z.strictObject({
  name: portNameField,
  protocol: protocolField,
  port: integer(1, 65535),
  // Slices say which port an endpoint listens on.
  targetPort: z.union([z.number(), z.string()]).nullish(),
  /** 0: none. */
  nodePort: integer(0, 65535)
    .nullish()
    .transform((port) => port ?? 0),
  appProtocol: z.string().nullish(),
});

const servicePorts = z.array(servicePort).superRefine((ports, context) => {
  const complain = (i: number, field: string, message: string) =>
    context.addIssue({ code: 'custom', path: [i, field], message });
  const earlier = (i: number, same: (port: (typeof ports)[number]) => boolean) =>
    ports.slice(0, i).some(same);
  for (const [i, { name, port, protocol, nodePort }] of ports.entries()) {
    if (name === '' && ports.length > 1)
      complain(i, 'name', 'is missing: each of several ports must have one');
    else if (earlier(i, (one) => one.name === name)) complain(i, 'name', `repeats ${name}`);
    if (earlier(i, (one) => one.port === port && one.protocol === protocol))
      complain(i, 'port', `repeats ${protocol} ${port}`);
    if (nodePort > 0 && earlier(i, (one) => one.nodePort === nodePort && one.protocol === protocol))
      complain(i, 'nodePort', `repeats ${protocol} ${nodePort}`);
  }
});

const CLUSTER_IP = 'must be an IPv4 or IPv6 address, or "None"';

/** RFC 1123 subdomain; it may end with a dot, as the API has it. */
const DOMAIN_NAME =
  /^(?=.{1,254}$)([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.?$/;

/** Empty: none yet. */
const clusterIPField = z.string({ error: CLUSTER_IP }).transform((text, context): Address | 'None' | '' => {
  if (text === '' || text === 'None') return text;
  const address = parseAddress(text);
  if (address) return address;
  const message = `${CLUSTER_IP}, not ${JSON.stringify(text)}`;
  context.issues.push({ code: 'custom', message, input: text });
  return z.NEVER;
});

const serviceSpec = z
  .strictObject({
    type: z
      .enum(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'])
      .nullish()
      .transform((type) => type ?? 'ClusterIP'),
    selector: z.record(z.string(), z.string()).nullish(),
    ports: servicePorts.nullish().transform((ports) => ports ?? []),
    clusterIP: clusterIPField.nullish(),
    clusterIPs: z.array(clusterIPField).max(2).nullish(),
    ipFamilies: z
      .array(z.enum(['IPv4', 'IPv6']))
      .max(2)
      .nullish(),
    ipFamilyPolicy: z.enum(['SingleStack', 'PreferDualStack', 'RequireDualStack']).nullish(),
    externalIPs: z
      .array(addressField.refine((address) => !isSpecial(address), NOT_SPECIAL))
      .nullish()
      .transform((list) => list ?? []),
    externalName: z.string().nullish(),
    externalTrafficPolicy: policyField,
    internalTrafficPolicy: policyField,
    healthCheckNodePort: integer(0, 65535)
      .nullish()
      .transform((port) => port ?? 0),
    // The controller that writes slices acts on these two: a proxy sees its answer in conditions and hints.
    publishNotReadyAddresses: z.boolean().nullish(),
    trafficDistribution: z.enum(['PreferClose', 'PreferSameZone', 'PreferSameNode']).nullish(),
    sessionAffinity: z.enum(['None', 'ClientIP']).nullish(),
    sessionAffinityConfig: z
      .strictObject({
        clientIP: z.strictObject({ timeoutSeconds: integer(1, 86_400).nullish() }).nullish(),
      })
      .nullish(),
    loadBalancerIP: z.string().nullish(),
    loadBalancerClass: z.string().nullish(),
    // The API server lets blanks round a block pass.
    loadBalancerSourceRanges: z
      .array(z.string().trim().pipe(prefixField))
      .nullish()
      .transform((list) => list ?? []),
    allocateLoadBalancerNodePorts: z.boolean().nullish(),
  })
  .superRefine(({ type, externalName }, context) => {
    if (type !== 'ExternalName' || DOMAIN_NAME.test(externalName ?? '')) return;
    const is = externalName ? `, not ${JSON.stringify(externalName)}` : '';
    const message = `must be a domain name such as example.com${is}`;
    context.addIssue({ code: 'custom', path: ['externalName'], message });
  })
  .superRefine(({ clusterIP, clusterIPs }, context) => {
    const complain = (i: number, message: string) =>
      context.addIssue({ code: 'custom', path: ['clusterIPs', i], message });
    const text = (ip: z.output<typeof clusterIPField>) => (typeof ip === 'string' ? ip : ip.text);
    const [first, second] = clusterIPs ?? [];
    if (clusterIP && first && text(clusterIP) !== text(first))
      complain(0, `must be the same as clusterIP, ${text(clusterIP)}`);
    if (first === undefined || second === undefined) return;
    if (typeof first === 'string' || typeof second === 'string' || first.family === second.family)
      complain(1, 'must be an address of the other family');
  });

const ingress = z.looseObject({
  ip: addressField.nullish(),
  ipMode: z.enum(['VIP', 'Proxy']).nullish(),
});

export const service = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Service'),
  metadata: closedMetadata,
  spec: serviceSpec,
  status: z
    .looseObject({ loadBalancer: z.looseObject({ ingress: z.array(ingress).nullish() }).nullish() })
    .nullish(),
});

const hint = z.strictObject({ name: z.string().min(1) });
const hintNames = z
  .array(hint)
  .nullish()
  .transform((list) => (list ?? []).map(({ name }) => name));

const condition = (unknown: boolean) =>
  z
    .boolean()
    .nullish()
    .transform((value) => value ?? unknown);

const endpoint = z.strictObject({
  addresses: z.array(z.string()).min(1, 'must have an address').max(100),
  conditions: z
    .strictObject({ ready: condition(true), serving: condition(true), terminating: condition(false) })
    .nullish()
    .transform((known) => known ?? { ready: true, serving: true, terminating: false }),
  hostname: z.string().nullish(),
  targetRef: z
    .looseObject({ kind: z.string().nullish(), namespace: z.string().nullish(), name: z.string().nullish() })
    .nullish(),
  deprecatedTopology: z.record(z.string(), z.string()).nullish(),
  nodeName: z.string().nullish(),
  zone: z.string().nullish(),
  hints: z.strictObject({ forZones: hintNames, forNodes: hintNames }).nullish(),
});

const endpointPort = z.strictObject({
  name: portNameField,
  protocol: protocolField,
  /** None or 0: not for proxies. */
  port: integer(0, 65535).nullish(),
  appProtocol: z.string().nullish(),
});

const families = { IPv4: 4, IPv6: 6 } as const;

/** FQDN has no meaning for a proxy. */
export const endpointSlice = z
  .strictObject({
    apiVersion: z.literal('discovery.k8s.io/v1'),
    kind: z.literal('EndpointSlice'),
    metadata: closedMetadata,
    addressType: z.enum(['IPv4', 'IPv6', 'FQDN']),
    endpoints: z
      .array(endpoint)
      .nullish()
      .transform((list) => list ?? []),
    ports: z
      .array(endpointPort)
      .nullish()
      .transform((list) => list ?? []),
  })
  .superRefine(({ addressType, endpoints }, context) => {
    if (addressType === 'FQDN') return;
    for (const [i, { addresses }] of endpoints.entries()) {
      for (const [j, text] of addresses.entries()) {
        const address = parseAddress(text);
        const isRight = address?.family === families[addressType];
        if (isRight && !isSpecial(address)) continue;
        const message = isRight
          ? NOT_SPECIAL
          : `must be an ${addressType} address, not ${JSON.stringify(text)}`;
        context.addIssue({ code: 'custom', path: ['endpoints', i, 'addresses', j], message });
      }
    }
  });

export type ServiceObject = z.output<typeof service>;
export type EndpointSliceObject = z.output<typeof endpointSlice>;
