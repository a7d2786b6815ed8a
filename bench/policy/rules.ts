/**
 * Policies of any number of rules, and traffic that they admit whatever their number.
 *
 *     128 pods of node-1, under all rules ──► 10 000 pods of node-2, or addresses outside the cluster
 *
 * More rules divide the same peers and ports more finely, so that packets and connections are alike.
 */
import { type Address, address } from '../../src/net/address.ts';
import { contains, type Prefix, prefix } from '../../src/net/prefix.ts';
import { type Random, random } from '../random.ts';

export interface Target {
  readonly address: Address;
  readonly port: number;
}

export interface RuleSet {
  readonly title: string;
  /** Egress rules of NetworkPolicies, as they stand in a manifest. */
  rules(count: number): object[];
  /** Where packets go that `count` rules of this set admit. */
  target(count: number, random: Random, family: 4 | 6): Target;
}

const PEERS = 10_000;
const FIRST_PORT = 5000;
const PORTS = 100;

// ---- peers -------------------------------------------------------------------------------------------

const peerAddress = (i: number, family: 4 | 6): string =>
  family === 4 ? `10.200.${i >> 8}.${i & 255}` : `fd00:200::${i.toString(16)}`;

/** How many groups of peers so many rules tell apart. */
const groupsOf = (rules: number): number => Math.min(rules, PEERS);
/** A peer's label for each number of groups. */
const label = (groups: number): string => `of-${groups}`;

/** Pods of node-2 that rules select; of 10 000 groups each pod is one. */
export function peers(ruleCounts: readonly number[]): object[] {
  const divisions = [...new Set(ruleCounts.map(groupsOf))];
  return Array.from({ length: PEERS }, (_, i) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `peer-${i}`,
      namespace: 'default',
      labels: Object.fromEntries(divisions.map((groups) => [label(groups), `${i % groups}`])),
    },
    spec: { nodeName: 'node-2', containers: [{ name: 'main' }] },
    status: { podIPs: ([4, 6] as const).map((family) => ({ ip: peerAddress(i, family) })) },
  }));
}

const group = (rule: number, rules: number) => {
  const groups = groupsOf(rules);
  return { podSelector: { matchLabels: { [label(groups)]: `${rule % groups}` } } };
};

/** A peer that a rule selects. */
function memberOf(rule: number, rules: number, next: Random, family: 4 | 6): Address {
  const groups = groupsOf(rules);
  return address(peerAddress((rule % groups) + groups * next(Math.floor(PEERS / groups)), family));
}

// ---- sets --------------------------------------------------------------------------------------------

const pods: RuleSet = {
  title: 'pod selectors',
  rules: (count) => {
    const parts = count / groupsOf(count);
    return Array.from({ length: count }, (_, rule) => {
      const part = Math.floor(rule / groupsOf(count));
      const port = FIRST_PORT + (part * PORTS) / parts;
      return {
        to: [group(rule, count)],
        ports: [{ protocol: 'UDP', port, endPort: port + PORTS / parts - 1 }],
      };
    });
  },
  target: (count, next, family) => ({
    address: memberOf(next(count), count, next, family),
    port: FIRST_PORT + next(PORTS),
  }),
};

/** Thousands of ranges that overlap at random. */
const RANGES = 4_000;
const range = (rule: number, count: number): { port: number; endPort: number } => {
  const next = random(1 + (rule % Math.min(count, RANGES)));
  for (let i = 0; i < 8; i++) next(2);
  const port = 1 + next(60_000);
  return { port, endPort: Math.min(65_535, port + next(6_000)) };
};

const ports: RuleSet = {
  title: 'port ranges',
  rules: (count) =>
    Array.from({ length: count }, (_, rule) => ({
      to: [group(rule, count)],
      ports: [
        { protocol: 'UDP', ...range(rule, count) },
        { protocol: rule % 2 ? 'TCP' : 'SCTP', ...range(rule + 1, count) },
      ],
    })),
  target: (count, next, family) => {
    const rule = next(count);
    const { port, endPort } = range(rule, count);
    return { address: memberOf(rule, count, next, family), port: port + next(endPort - port + 1) };
  },
};

/** Blocks that hold every address which is asked about; the last rules, so that smaller blocks decide before. */
const wide = ['0.0.0.0/1', '128.0.0.0/2', '2000::/4', '3000::/4'].map(prefix);
const COMMON = 32_768;

/** A block of any length, rather longer than shorter; each the same in every set. */
function block(i: number): Prefix {
  const next = random(7 + i * 2);
  for (let j = 0; j < 8; j++) next(2);
  if (i % 2 === 0) {
    const length = 9 + next(24);
    return prefix(`${16 + next(96)}.${next(256)}.${next(256)}.${next(256)}/${length}`);
  }
  const groups = Array.from({ length: 7 }, () => next(65_536).toString(16));
  return prefix(`2${(next(4096) + 4096).toString(16).slice(1)}:${groups.join(':')}/${20 + next(109)}`);
}

/** The two ends of a block, of which its rule excepts the second where there is room. */
function except({ address: { text }, length }: Prefix): string[] {
  const bits = text.includes(':') ? 128 : 32;
  return length + 2 <= bits ? [prefix(`${text}/${length + 2}`).text] : [];
}

const cidrs: RuleSet = {
  title: 'CIDR blocks',
  rules: (count) => {
    const udp = [{ protocol: 'UDP', port: FIRST_PORT, endPort: FIRST_PORT + PORTS - 1 }];
    const narrow = Array.from({ length: count - wide.length }, (_, i) => block(i));
    return [...narrow, ...wide].map((one, i) => ({
      to: [{ ipBlock: { cidr: one.text, ...(i % 2 === 0 && i < narrow.length && { except: except(one) }) } }],
      ports: udp,
    }));
  },
  target: (_, next, family) => {
    const inside = block(next(COMMON) * 2 + (family === 4 ? 0 : 1));
    const bytes = inside.address.bytes.map((byte, i) => {
      const left = Math.min(8, Math.max(0, (i + 1) * 8 - inside.bits));
      return byte | (next(256) & (2 ** left - 1));
    });
    const at = [...bytes];
    const text =
      family === 4
        ? at.slice(12).join('.')
        : Array.from({ length: 8 }, (_, i) =>
            (((at[i * 2] ?? 0) << 8) | (at[i * 2 + 1] ?? 0)).toString(16),
          ).join(':');
    const found = address(text);
    if (!wide.some((one) => contains(one, found))) throw new RangeError(`${text} lies in no block`);
    return { address: found, port: FIRST_PORT + next(PORTS) };
  },
};

export const ruleSets: readonly RuleSet[] = [pods, cidrs, ports];

const RULES_PER_POLICY = 1_000;

/** The policies with so many rules of a set, for every pod of the namespace. */
export function policiesOf(set: RuleSet, count: number): object[] {
  const rules = set.rules(count);
  return Array.from({ length: Math.ceil(count / RULES_PER_POLICY) }, (_, i) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `policy-${`${i}`.padStart(5, '0')}`, namespace: 'default' },
    spec: {
      podSelector: { matchExpressions: [{ key: 'group', operator: 'Exists' }] },
      policyTypes: ['Egress'],
      egress: rules.slice(i * RULES_PER_POLICY, (i + 1) * RULES_PER_POLICY),
    },
  }));
}
