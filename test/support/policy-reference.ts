/**
 * Policy evaluated the slow, obvious way: the APIs' text, rule by rule, for one packet at a time. Shares no code with the
 * compiler: addresses are BigInts, selectors are walked as they stand in the manifest.
 * https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
 * https://github.com/kubernetes-sigs/network-policy-api/blob/main/apis/v1alpha2/clusternetworkpolicy_types.go
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
  kind: 'NetworkPolicy';
  metadata: { name: string; namespace: string };
  spec: {
    podSelector: Selector;
    policyTypes?: string[];
    ingress?: { from?: Peer[]; ports?: Port[] }[];
    egress?: { to?: Peer[]; ports?: Port[] }[];
  };
}

interface NamespacedPod {
  namespaceSelector?: Selector;
  podSelector: Selector;
}

interface ClusterPeer {
  namespaces?: Selector;
  pods?: NamespacedPod;
  nodes?: Selector;
  networks?: string[];
  domainNames?: string[];
}

interface Transport {
  destinationPort: { number?: number; range?: { start: number; end: number } };
}

interface ClusterProtocol {
  tcp?: Transport;
  udp?: Transport;
  sctp?: Transport;
  destinationNamedPort?: string;
}

interface ClusterRule {
  action: 'Accept' | 'Deny' | 'Pass';
  from?: ClusterPeer[];
  to?: ClusterPeer[];
  protocols?: ClusterProtocol[];
}

export interface ClusterPolicyManifest {
  kind: 'ClusterNetworkPolicy';
  metadata: { name: string };
  spec: {
    tier: 'Admin' | 'Baseline';
    priority: number;
    subject: { namespaces?: Selector; pods?: NamespacedPod };
    ingress?: ClusterRule[];
    egress?: ClusterRule[];
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
  /** Labels of the Node that has the address in its status. */
  readonly nodeLabels?: Record<string, string>;
}

interface Packet {
  readonly direction: 'ingress' | 'egress';
  readonly source: Party;
  readonly destination: Party;
  /** TCP, UDP, SCTP, or anything else, such as ICMP. */
  readonly protocol: string;
  readonly port: number;
}

export interface Answer {
  readonly allowed: boolean;
  /** Of the rule that decides, or for default deny all that isolate. */
  readonly policies: readonly string[];
  readonly rule: number | null;
}

/** What policies say of the pod at the packet's end that the direction judges, if it is one. */
export function referenceAnswer(
  policies: readonly (PolicyManifest | ClusterPolicyManifest)[],
  packet: Packet,
): Answer {
  const namespaced = policies.filter((policy) => policy.kind === 'NetworkPolicy');
  const cluster = policies.filter((policy) => policy.kind === 'ClusterNetworkPolicy');
  return (
    clusterTier(cluster, 'Admin', packet) ??
    networkPolicies(namespaced, packet) ??
    clusterTier(cluster, 'Baseline', packet) ?? { allowed: true, policies: [], rule: null }
  );
}

/** Undefined: no rule decides, or one passes the packet on. */
function clusterTier(
  policies: readonly ClusterPolicyManifest[],
  tier: 'Admin' | 'Baseline',
  packet: Packet,
): Answer | undefined {
  const [judged, peer] = ends(packet);
  const inOrder = policies
    .filter(({ spec }) => spec.tier === tier && selectsSubject(spec.subject, judged))
    .sort((a, b) => a.spec.priority - b.spec.priority || (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const { metadata, spec } of inOrder) {
    for (const [rule, { action, from, to, protocols }] of (spec[packet.direction] ?? []).entries()) {
      const decided = { policies: [`ClusterNetworkPolicy:${metadata.name}`], rule };
      const peers = (packet.direction === 'ingress' ? from : to) ?? [];
      const failsClosed = peers.some((one) => !isSupported(one, packet.direction));
      if (failsClosed && action === 'Accept') continue;
      if (failsClosed) return { allowed: false, ...decided };
      if (!peers.some((one) => matchesClusterPeer(one, peer))) continue;
      if (protocols && !protocols.some((one) => matchesProtocol(one, packet))) continue;
      if (action === 'Pass') return undefined;
      return { allowed: action === 'Accept', ...decided };
    }
  }
  return undefined;
}

const ends = ({ direction, source, destination }: Packet): [judged: Party, peer: Party] =>
  direction === 'ingress' ? [destination, source] : [source, destination];

function selectsSubject(
  { namespaces, pods }: ClusterPolicyManifest['spec']['subject'],
  { pod }: Party,
): boolean {
  if (!pod) return false;
  if (namespaces) return matches(namespaces, labelsOfNamespace(pod));
  return pods !== undefined && selectsNamespacedPod(pods, pod);
}

function selectsNamespacedPod(
  { namespaceSelector, podSelector }: NamespacedPod,
  pod: NonNullable<Party['pod']>,
) {
  return matches(namespaceSelector ?? {}, labelsOfNamespace(pod)) && matches(podSelector, pod.labels);
}

const labelsOfNamespace = ({ namespace, namespaceLabels }: NonNullable<Party['pod']>) => ({
  ...namespaceLabels,
  'kubernetes.io/metadata.name': namespace,
});

function isSupported(peer: ClusterPeer, direction: 'ingress' | 'egress'): boolean {
  if (peer.namespaces || peer.pods) return true;
  return direction === 'egress' && (peer.nodes !== undefined || peer.networks !== undefined);
}

function matchesClusterPeer({ namespaces, pods, nodes, networks }: ClusterPeer, party: Party): boolean {
  if (namespaces) return party.pod !== undefined && matches(namespaces, labelsOfNamespace(party.pod));
  if (pods) return party.pod !== undefined && selectsNamespacedPod(pods, party.pod);
  if (nodes) return party.nodeLabels !== undefined && matches(nodes, party.nodeLabels);
  return (networks ?? []).some((block) => inBlock(party.ip, block));
}

function matchesProtocol(rule: ClusterProtocol, { destination, protocol, port }: Packet): boolean {
  if (rule.destinationNamedPort !== undefined) {
    return (destination.pod?.ports ?? []).some(
      (one) =>
        one.name === rule.destinationNamedPort &&
        (one.protocol ?? 'TCP') === protocol &&
        one.containerPort === port,
    );
  }
  const match = { TCP: rule.tcp, UDP: rule.udp, SCTP: rule.sctp }[protocol]?.destinationPort;
  if (!match) return false;
  if (match.range) return match.range.start <= port && port <= match.range.end;
  return match.number === port;
}

/** Undefined: no policy isolates the pod. */
function networkPolicies(policies: readonly PolicyManifest[], packet: Packet): Answer | undefined {
  const { direction, destination, protocol, port } = packet;
  const [judged, peer] = ends(packet);
  const applying = policies
    .filter(
      ({ metadata, spec }) =>
        judged.pod !== undefined &&
        metadata.namespace === judged.pod.namespace &&
        matches(spec.podSelector, judged.pod.labels) &&
        typesOf(spec).includes(direction),
    )
    .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  if (applying.length === 0) return undefined;
  for (const policy of applying) {
    const rules =
      direction === 'ingress'
        ? (policy.spec.ingress ?? []).map((rule) => ({ peers: rule.from, ports: rule.ports }))
        : (policy.spec.egress ?? []).map((rule) => ({ peers: rule.to, ports: rule.ports }));
    const rule = rules.findIndex(
      ({ peers, ports }) =>
        (!peers?.length || peers.some((one) => matchesPeer(one, peer, policy.metadata.namespace))) &&
        (!ports?.length || ports.some((one) => matchesPort(one, destination, protocol, port))),
    );
    if (rule >= 0) return { allowed: true, policies: [keyOf(policy)], rule };
  }
  return { allowed: false, policies: applying.map(keyOf), rule: null };
}

const keyOf = ({ metadata }: PolicyManifest) => `NetworkPolicy:${metadata.namespace}/${metadata.name}`;

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
    ? matches(namespaceSelector, labelsOfNamespace(party.pod))
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
