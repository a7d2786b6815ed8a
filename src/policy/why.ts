/**
 * Whether policy lets a connection be, and by which rule. Both directions are always judged:
 *
 *     from ──► egress of `from`, if it is a pod ──► ingress of `to`, if it is one ──► to
 */
import { z } from 'zod';
import {
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_SCTP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from '../../asm/wire/protocol.ts';
import { integer } from '../config/fields.ts';
import { issuesOf } from '../config/issues.ts';
import { type Cluster, clusterOf } from '../control/cluster.ts';
import type { Objects } from '../control/objects.ts';
import type { Pod } from '../control/pods.ts';
import type { Decision, Direction, Traffic } from './compiled.ts';
import { type End, Ends } from './ends.ts';
import { Matcher } from './matcher.ts';

type Verdict = 'allow' | 'deny';

/** docs/policy.md explains each. */
type Reason =
  | 'rule'
  | 'default-deny'
  | 'not-isolated'
  | 'not-a-pod'
  | 'host-network'
  | 'own-node'
  | 'hairpin';

/** What one direction says. */
export interface DirectionVerdict {
  readonly verdict: Verdict;
  /**
   * Decided by a rule: its policy. Default deny: every policy that isolates the pod.
   * `NetworkPolicy:namespace/name` or `ClusterNetworkPolicy:name`.
   */
  readonly policies: readonly string[];
  /** Index of the rule in its policy's list, from 0. */
  readonly rule: number | null;
  readonly reason: Reason;
  /** Of a ClusterNetworkPolicy that decided. */
  readonly tier?: 'Admin' | 'Baseline';
  /** That policy's name for its rule, where it has one. */
  readonly name?: string;
}

export interface Explanation {
  readonly verdict: Verdict;
  readonly egress: DirectionVerdict;
  readonly ingress: DirectionVerdict;
}

const probeSchema = z
  .object({
    from: z.string({ error: 'must be an IP address or NAMESPACE/POD' }),
    to: z.string({ error: 'must be an IP address or NAMESPACE/POD' }),
    protocol: z.enum(['TCP', 'UDP', 'SCTP', 'ICMP']),
    port: integer(1, 65535).nullish(),
  })
  .superRefine(({ protocol, port }, context) => {
    const hasPort = port !== undefined && port !== null;
    if (hasPort === (protocol !== 'ICMP')) return;
    const message = hasPort ? 'must not be given: ICMP has no ports' : `is missing: ${protocol} needs one`;
    context.addIssue({ code: 'custom', path: ['port'], message });
  });

/** A connection that is asked about. */
export interface Probe {
  readonly from: End;
  readonly to: End;
  readonly protocol: z.output<typeof probeSchema>['protocol'];
  /** Undefined for ICMP. */
  readonly port: number | undefined;
}

const protocols = { TCP: PROTOCOL_TCP, UDP: PROTOCOL_UDP, SCTP: PROTOCOL_SCTP };
const icmp = { 4: PROTOCOL_ICMP, 6: PROTOCOL_ICMPV6 };

/** The policies of a cluster, ready to be asked. */
export class PolicyOracle {
  readonly #cluster: Cluster;
  readonly #ends: Ends;

  constructor(objects: Objects) {
    this.#cluster = clusterOf(objects);
    this.#ends = new Ends(objects, this.#cluster);
  }

  /**
   * @param value `{from, to, protocol, port}` as it came in
   * @throws Error whose message has a line for each fault, beginning with the field
   */
  probe(value: unknown): Probe {
    const result = probeSchema.safeParse(value);
    if (!result.success) {
      const faults = issuesOf(result.error);
      throw new Error(faults.map(({ path, message }) => (path ? `${path}: ` : '') + message).join('\n'));
    }
    const { from, to, protocol, port } = result.data;
    return { from: this.#end('from', from), to: this.#end('to', to), protocol, port: port ?? undefined };
  }

  #end(field: string, text: string): End {
    try {
      return this.#ends.find(text);
    } catch (error) {
      throw new Error(`${field}: ${(error as Error).message}`);
    }
  }

  /** One explanation a probe, in order; as many pods as a matcher takes are compiled at a time. */
  *explain(probes: readonly Probe[]): Generator<Explanation> {
    for (const { batch, pods } of batches(probes)) {
      const matcher = new Matcher(this.#cluster, pods);
      for (const probe of batch) {
        const egress = judge(matcher, probe, 'egress');
        const ingress = judge(matcher, probe, 'ingress');
        const isAllowed = egress.verdict === 'allow' && ingress.verdict === 'allow';
        yield { verdict: isAllowed ? 'allow' : 'deny', egress, ingress };
      }
    }
  }
}

/** Probes whose pods fit into one matcher. */
function* batches(probes: readonly Probe[]): Generator<{ batch: Probe[]; pods: Set<string> }> {
  let batch: Probe[] = [];
  let pods = new Set<string>();
  for (const probe of probes) {
    const keys = [probe.from.pod, probe.to.pod].flatMap((pod) => pod?.key ?? []);
    if (new Set([...pods, ...keys]).size > Matcher.capacity) {
      yield { batch, pods };
      batch = [];
      pods = new Set();
    }
    batch.push(probe);
    for (const key of keys) pods.add(key);
  }
  if (batch.length > 0) yield { batch, pods };
}

function judge(
  matcher: Matcher,
  { from, to, protocol, port }: Probe,
  direction: Direction,
): DirectionVerdict {
  const [judged, peer] = direction === 'egress' ? [from, to] : [to, from];
  const number = protocol === 'ICMP' ? icmp[peer.address.family] : protocols[protocol];
  return directionVerdict(judged, peer, direction, (traffic, pod) =>
    matcher.match(pod.key, traffic, peer.address, number, port ?? 0),
  );
}

/** @param decide asks the matcher, where it is for policies to judge; undefined: none applies */
export function directionVerdict(
  judged: End,
  peer: End,
  direction: Direction,
  decide: (traffic: Traffic, pod: Pod) => Decision | undefined,
): DirectionVerdict {
  const { pod } = judged;
  if (!pod) return passed(judged.isHostNetwork ? 'host-network' : 'not-a-pod');
  if (peer.pod?.key === pod.key) return passed('hairpin');
  if (!isOwnNode(pod, peer)) return decidedBy(decide(direction, pod));
  const said = direction === 'egress' ? decidedBy(decide('toNode', pod)) : undefined;
  return said && said.rule !== null ? said : passed('own-node');
}

/** @param decision undefined where no policy applies to the pod in that direction */
export function decidedBy(decision: Decision | undefined): DirectionVerdict {
  if (!decision) return passed('not-isolated');
  const { verdict, tier, policies, rule, name } = decision;
  return {
    verdict,
    policies,
    rule,
    reason: rule !== null ? 'rule' : verdict === 'allow' ? 'not-isolated' : 'default-deny',
    ...(tier !== null && tier !== 'NetworkPolicy' && { tier }),
    ...(name !== null && { name }),
  };
}

const passed = (reason: Reason): DirectionVerdict => ({ verdict: 'allow', policies: [], rule: null, reason });

export const isOwnNode = ({ node }: Pod, peer: End): boolean => node !== undefined && node === peer.node;

/** What a person reads of an explanation. */
export function explanationText({ from, to, protocol, port }: Probe, explanation: Explanation): string {
  const what = port === undefined ? protocol : `${protocol} ${port}`;
  return [
    `${explanation.verdict}  ${from.text} → ${to.text}, ${what}`,
    `  egress   ${directionText(explanation.egress, from.text)}`,
    `  ingress  ${directionText(explanation.ingress, to.text)}`,
  ].join('\n');
}

function directionText(
  { verdict, policies, rule, reason, tier, name }: DirectionVerdict,
  end: string,
): string {
  const names = policies.join(', ');
  const called = name === undefined ? '' : ` "${name}"`;
  const where = tier === undefined ? '' : `, ${tier} tier`;
  const texts: Record<Reason, string> = {
    rule: `rule ${rule}${called} of ${names}${where}`,
    'default-deny': `${end} is isolated, and no rule allows this: ${names}`,
    'not-isolated': `no policy isolates ${end}`,
    'not-a-pod': `${end} is no pod`,
    'host-network': `${end} is on the network of its node`,
    'own-node': 'no NetworkPolicy comes between a pod and its own node',
    hairpin: 'a pod always reaches itself',
  };
  return `${verdict.padEnd(5)}  ${texts[reason]} (${reason})`;
}
