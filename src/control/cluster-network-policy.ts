/**
 * ClusterNetworkPolicy, policy.networking.k8s.io/v1alpha2 and v1beta1, as its own validation has it.
 * https://github.com/kubernetes-sigs/network-policy-api/blob/main/apis/v1alpha2/clusternetworkpolicy_types.go
 *
 * The specification is closed but for one thing: a peer of a kind that is not known is accepted, because the API says
 * what such a rule means (see `shutPeers`).
 */
import { z } from 'zod';
import { integer, prefixField } from '../config/fields.ts';
import { labelSelector } from './selectors.ts';

/** Rules of a direction, peers and protocols of a rule, blocks and names of a peer. */
const MOST = 25;

/** A list as the API bounds it. */
const list = <T extends z.ZodType>(item: T, least: number, what: string) =>
  z
    .array(item, {
      error: (issue) => (issue.input === undefined ? `is missing: must be ${what}` : undefined),
    })
    .min(least, `must be ${what}`)
    .max(MOST, `must have at most ${MOST} items`);

/** x-kubernetes-list-type: set. */
const distinct = (items: readonly string[], context: z.RefinementCtx<readonly string[]>) => {
  for (const [i, item] of items.entries()) {
    if (items.indexOf(item) < i) context.addIssue({ code: 'custom', path: [i], message: `repeats ${item}` });
  }
};

const given = (object: object) =>
  Object.entries(object).flatMap(([key, value]) => (value === null || value === undefined ? [] : [key]));

/** Refines an object of which exactly one field must be set. */
const one = (fields: string) =>
  [(object: object) => given(object).length === 1, `must have one of ${fields}`] as const;

const namespacedPod = z.strictObject({
  namespaceSelector: labelSelector.nullish().transform((selector) => selector ?? {}),
  podSelector: labelSelector,
});

const subject = z
  .strictObject({ namespaces: labelSelector.nullish(), pods: namespacedPod.nullish() })
  .refine(...one('namespaces and pods'));

const networks = list(z.string(), 1, 'a list of one CIDR block or more')
  .superRefine(distinct)
  .pipe(z.array(prefixField));

const domainNames = list(
  z
    .string()
    .regex(
      /^(\*\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$/,
      'must be a domain name such as kubernetes.io or *.kubernetes.io',
    ),
  1,
  'a list of one domain name or more',
).superRefine(distinct);

const pods = { namespaces: labelSelector.nullish(), pods: namespacedPod.nullish() };
const atMostOne = [
  (peer: object) => given(peer).length <= 1,
  'must have one field: several peers are several entries',
] as const;

const ingressPeer = z.looseObject(pods).refine(...atMostOne);

const egressPeer = z
  .looseObject({
    ...pods,
    nodes: labelSelector.nullish(),
    networks: networks.nullish(),
    domainNames: domainNames.nullish(),
  })
  .refine(...atMostOne);

const portNumber = integer(1, 65535);

const portMatch = z
  .strictObject({
    number: portNumber.nullish(),
    range: z
      .strictObject({ start: portNumber, end: portNumber })
      .refine(({ start, end }) => start < end, 'must have a start that is less than its end')
      .nullish(),
  })
  .refine(...one('number and range'));

const transport = z.strictObject({ destinationPort: portMatch });

const protocol = z
  .strictObject({
    tcp: transport.nullish(),
    udp: transport.nullish(),
    sctp: transport.nullish(),
    destinationNamedPort: z.string().nullish(),
  })
  .refine(...one('tcp, udp, sctp and destinationNamedPort'));

const ruleFields = {
  name: z.string().max(100, 'must have at most 100 characters').nullish(),
  action: z.enum(['Accept', 'Deny', 'Pass']),
  protocols: list(protocol, 1, 'absent, or a list of one item or more').nullish(),
};

const peers = 'a list of one peer or more';

const ingressRule = z.strictObject({ ...ruleFields, from: list(ingressPeer, 1, peers) });

const egressRule = z
  .strictObject({ ...ruleFields, to: list(egressPeer, 1, peers) })
  .superRefine(({ to, protocols }, context) => {
    const nameless = to.some(({ nodes, networks, domainNames }) => nodes ?? networks ?? domainNames);
    for (const [i, { destinationNamedPort }] of (protocols ?? []).entries()) {
      if (!nameless || typeof destinationNamedPort !== 'string') continue;
      context.addIssue({
        code: 'custom',
        path: ['protocols', i, 'destinationNamedPort'],
        message: 'cannot be used with nodes, networks or domainNames, which have no named ports',
      });
    }
  });

const rules = <T extends z.ZodType>(rule: T) =>
  z.array(rule).max(MOST, `must have at most ${MOST} rules`).nullish();

export const clusterNetworkPolicySpec = z.strictObject({
  tier: z.enum(['Admin', 'Baseline']),
  priority: integer(0, 1000),
  subject,
  ingress: rules(ingressRule),
  egress: rules(egressRule),
});

type Spec = z.output<typeof clusterNetworkPolicySpec>;
export type ClusterRule = z.output<typeof ingressRule> | z.output<typeof egressRule>;
export type ClusterPeer = z.output<typeof egressPeer>;
export type ClusterProtocol = z.output<typeof protocol>;

/** Kinds of peers that addresses tell. */
const supported = { ingress: ['namespaces', 'pods'], egress: ['namespaces', 'pods', 'nodes', 'networks'] };

/**
 * Positions of the peers of a rule for which it must fail closed: an Accept rule then matches nothing, a Deny or Pass
 * rule denies everything. These are peers without a field, whose field the API server has cut off because it does not
 * know it; peers of an unknown kind; and domain names, which packets do not tell.
 */
export function shutPeers(rule: ClusterRule): number[] {
  const kinds = 'from' in rule ? supported.ingress : supported.egress;
  return [...peersOf(rule).entries()].flatMap(([i, peer]) => (kinds.includes(kindOf(peer)) ? [] : [i]));
}

export const peersOf = (rule: ClusterRule): readonly ClusterPeer[] => ('from' in rule ? rule.from : rule.to);

const kindOf = (peer: ClusterPeer) => given(peer)[0] ?? '';

/** What a user should know of a valid policy: a line for each peer that makes its rule fail closed. */
export function closedRules({ ingress, egress }: Spec): string[] {
  const lines = (at: string, peers: string, list: readonly ClusterRule[]) =>
    list.flatMap((rule, i) =>
      shutPeers(rule).map((peer) => {
        const kind = kindOf(peersOf(rule)[peer] ?? {}) || 'a peer without a field';
        const effect = rule.action === 'Accept' ? 'matches nothing' : 'denies everything';
        return `spec.${at}[${i}].${peers}[${peer}]: ${kind} is not supported, so the rule ${effect}`;
      }),
    );
  return [...lines('ingress', 'from', ingress ?? []), ...lines('egress', 'to', egress ?? [])];
}
