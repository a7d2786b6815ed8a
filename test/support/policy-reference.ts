/**
 * NetworkPolicy evaluated the slow, obvious way: the API's text, rule by rule, for one packet at a time. Shares no code
 * with the compiler: addresses are BigInts, selectors are walked as they stand in the manifest.
 * https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
 */
import { isIPv4 } from 'node:net';

interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

interface Peer {
  podSelector?: Selector;
  namespaceSelector?: Selector;
  ipBlock?: { cidr: string; except?: string[] };
}

interface Port {
  protocol?: string;
  port?: number | string;
  endPort?: number;
}

export interface PolicyManifest {
  metadata: { name: string; namespace: string };
  spec: {
    podSelector: Selector;
    policyTypes?: string[];
    ingress?: { from?: Peer[]; ports?: Port[] }[];
    egress?: { to?: Peer[]; ports?: Port[] }[];
  };
}

/** One end of a packet. */
export interface Party {
  readonly ip: string;
  /** Absent for what is no pod. */
  readonly pod?: {
    readonly namespace: string;
    readonly namespaceLabels: Record<string, string>;
    readonly labels: Record<string, string>;
    readonly ports: readonly { name: string; containerPort: number; protocol?: string }[];
  };
}

export interface Cause {
  readonly allowed: boolean;
  /** Policies that isolate the judged pod. */
  readonly isolating: readonly string[];
}

/** @param protocol TCP, UDP, SCTP, or anything else, such as ICMP */
export function referenceVerdict(
  policies: readonly PolicyManifest[],
  direction: 'ingress' | 'egress',
  source: Party,
  destination: Party,
  protocol: string,
  port: number,
): Cause {
  const judged = direction === 'ingress' ? destination : source;
  const peer = direction === 'ingress' ? source : destination;
  const applying = policies.filter(
    ({ metadata, spec }) =>
      judged.pod !== undefined &&
      metadata.namespace === judged.pod.namespace &&
      matches(spec.podSelector, judged.pod.labels) &&
      typesOf(spec).includes(direction),
  );
  if (applying.length === 0) return { allowed: true, isolating: [] };
  const allowed = applying.some((policy) => {
    const rules =
      direction === 'ingress'
        ? (policy.spec.ingress ?? []).map((rule) => ({ peers: rule.from, ports: rule.ports }))
        : (policy.spec.egress ?? []).map((rule) => ({ peers: rule.to, ports: rule.ports }));
    return rules.some(
      ({ peers, ports }) =>
        (!peers?.length || peers.some((one) => matchesPeer(one, peer, policy.metadata.namespace))) &&
        (!ports?.length || ports.some((one) => matchesPort(one, destination, protocol, port))),
    );
  });
  return {
    allowed,
    isolating: applying.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).sort(),
  };
}

function typesOf(spec: PolicyManifest['spec']): string[] {
  if (spec.policyTypes?.length) return spec.policyTypes.map((type) => type.toLowerCase());
  return spec.egress?.length ? ['ingress', 'egress'] : ['ingress'];
}

function matchesPeer({ podSelector, namespaceSelector, ipBlock }: Peer, party: Party, own: string): boolean {
  if (ipBlock)
    return (
      inBlock(party.ip, ipBlock.cidr) && !(ipBlock.except ?? []).some((block) => inBlock(party.ip, block))
    );
  if (!party.pod) return false;
  const namespaceMatches = namespaceSelector
    ? matches(namespaceSelector, {
        ...party.pod.namespaceLabels,
        'kubernetes.io/metadata.name': party.pod.namespace,
      })
    : party.pod.namespace === own;
  return namespaceMatches && matches(podSelector ?? {}, party.pod.labels);
}

function matchesPort(
  { protocol = 'TCP', port: wanted, endPort }: Port,
  destination: Party,
  actual: string,
  port: number,
): boolean {
  if (protocol !== actual) return false;
  if (wanted === undefined) return true;
  if (typeof wanted === 'string') {
    return (destination.pod?.ports ?? []).some(
      (one) => one.name === wanted && (one.protocol ?? 'TCP') === protocol && one.containerPort === port,
    );
  }
  return wanted <= port && port <= (endPort ?? wanted);
}

function matches(
  { matchLabels = {}, matchExpressions = [] }: Selector,
  labels: Record<string, string>,
): boolean {
  for (const key in matchLabels) if (labels[key] !== matchLabels[key]) return false;
  for (const { key, operator, values = [] } of matchExpressions) {
    const value = labels[key];
    const has = value !== undefined;
    if (operator === 'In' && !(has && values.includes(value))) return false;
    if (operator === 'NotIn' && has && values.includes(value)) return false;
    if (operator === 'Exists' && !has) return false;
    if (operator === 'DoesNotExist' && has) return false;
  }
  return true;
}

function inBlock(ip: string, cidr: string): boolean {
  const [base = '', length = ''] = cidr.split('/');
  if (isIPv4(ip) !== isIPv4(base)) return false;
  const shift = BigInt((isIPv4(ip) ? 32 : 128) - Number(length));
  return number(ip) >> shift === number(base) >> shift;
}

function number(ip: string): bigint {
  if (isIPv4(ip)) return ip.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const [head = '', tail = ''] = ip.split('::');
  const left = head.split(':').filter((part) => part !== '');
  const right = tail.split(':').filter((part) => part !== '');
  const zeros = ip.includes('::') ? Array.from({ length: 8 - left.length - right.length }, () => '0') : [];
  return [...left, ...zeros, ...right].reduce((sum, part) => sum * 65536n + BigInt(`0x${part}`), 0n);
}
