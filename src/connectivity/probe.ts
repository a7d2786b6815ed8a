/**
 * Asks whether each pair reaches each other, with small packets and with the largest, and finds out why where it does not.
 *
 *     small ping ─ answered ─► ping of the MTU's size ─ answered ─► reached
 *         │                           └ silence ─► largest that passes ─► mtu
 *         └ silence ─► policy denies it? ─ yes ─► denied
 *                                └ no ─► failed, and why
 */
import type { Tunnel } from '../control/topology.ts';
import type { Address } from '../net/address.ts';
import type { Explanation } from '../policy/why.ts';
import type { Pair } from './pairs.ts';
import { type Echo, largest, type PingOptions, ping, SMALL } from './ping.ts';

/** What became of a pair. */
export interface Reach {
  /** Names of a node, or `namespace/name` of pods. */
  readonly from: string;
  readonly to: string;
  readonly address: string;
  /** `denied`: by policy, so that silence is right; `mtu`: small packets pass, the largest do not. */
  readonly state: 'reached' | 'denied' | 'mtu' | 'failed';
  /** Of the small packet. */
  readonly roundTripMs: number | null;
  /** Largest IP packet that passes unfragmented, up to the MTU of pods' interfaces. */
  readonly mtu: number | null;
  /** Why it is not `reached`. */
  readonly reason: string | null;
}

export interface ProbeParts {
  /** MTU of pods' interfaces. */
  readonly mtu: number;
  /** The tunnel in which what is for a node is sent; undefined: none. */
  readonly tunnelTo: (node: string) => Tunnel | undefined;
  /** UDP port of an encapsulation, or what it has in its place, for the reader. */
  readonly carrier: (tunnel: Tunnel) => string;
  /** What policy says of pings, in order. */
  readonly explain: (pairs: readonly Pair[]) => readonly Explanation[];
}

/** Enough to keep a machine busy with waiting, not with starting processes. */
const PARALLEL = 8;

/** @throws CommandError where there is no `ping` */
export async function probe(pairs: readonly Pair[], parts: ProbeParts): Promise<Reach[]> {
  const echoes = await inParallel(pairs, (pair) => ping(pair.target, asked(pair, SMALL[pair.target.family])));
  const silent = pairs.filter((_, i) => echoes[i]?.answered === false);
  const explained = silent.length === 0 ? [] : parts.explain(silent);
  const explanations = new Map(silent.map((pair, i) => [pair, explained[i]]));
  const isReached = (node: string | undefined) =>
    pairs.some(
      ({ from, to }, i) =>
        from.kind === 'node' && to.kind === 'node' && to.name === node && echoes[i]?.answered === true,
    );
  return await inParallel(pairs, async (pair, i) => {
    const echo = echoes[i];
    if (echo?.answered) return await sized(pair, echo.roundTripMs, parts.mtu);
    const denial = denialOf(explanations.get(pair));
    if (denial !== undefined) return outcome(pair, 'denied', denial);
    return outcome(pair, 'failed', await whyFailed(pair, echo, isReached(pair.to.node), parts));
  });
}

const asked = ({ from, source }: Pair, size: number): PingOptions => ({ netns: from.netns, source, size });

async function sized(pair: Pair, roundTripMs: number, mtu: number): Promise<Reach> {
  const full = await ping(pair.target, asked(pair, mtu));
  if (full.answered) return { ...outcome(pair, 'reached', null), roundTripMs, mtu };
  const { netns, source } = asked(pair, mtu);
  const most = await largest(pair.target, { netns, source }, SMALL[pair.target.family], mtu);
  const said = full.said === null ? 'without a word' : `(${full.said})`;
  const reason = `packets of ${mtu} bytes, the MTU of pods' interfaces, are lost ${said}; ${most} bytes pass`;
  return { ...outcome(pair, 'mtu', reason), roundTripMs, mtu: most };
}

const outcome = ({ from, to, target }: Pair, state: Reach['state'], reason: string | null): Reach => ({
  from: from.name,
  to: to.name,
  address: target.text,
  state,
  roundTripMs: null,
  mtu: null,
  reason,
});

/** Undefined: policy lets it pass. */
function denialOf(explanation: Explanation | undefined): string | undefined {
  if (explanation?.verdict !== 'deny') return undefined;
  const { egress, ingress } = explanation;
  const [direction, by] =
    egress.verdict === 'deny' ? (['egress', egress] as const) : (['ingress', ingress] as const);
  const rule = by.rule === null ? 'no rule allows it' : `rule ${by.rule}`;
  return `${direction}: ${by.policies.join(', ')}: ${rule}`;
}

async function whyFailed(
  { from, to, source }: Pair,
  echo: Echo | undefined,
  isNodeReached: boolean,
  parts: ProbeParts,
): Promise<string> {
  if (echo?.answered === false && echo.said !== null) return echo.said;
  if (to.node === undefined) return 'the pod is on no node yet';
  if (to.node === from.node)
    return to.kind === 'pod' ? 'the pod does not answer' : 'the node does not answer';
  const tunnel = parts.tunnelTo(to.node);
  if (!tunnel) return `no tunnel leads to node ${to.node}: the nodes have no underlay address of one family`;
  if (isNodeReached) {
    return to.kind === 'pod'
      ? `node ${to.node} answers, the pod does not`
      : `node ${to.node} answers node ${from.node}, but not this pod`;
  }
  if (to.kind === 'pod') return `node ${to.node} does not answer, either`;
  return await whyTunnelFails(tunnel, parts, source);
}

async function whyTunnelFails(tunnel: Tunnel, { carrier }: ProbeParts, { family }: Address): Promise<string> {
  const { local, remote } = tunnel;
  const underlay = await ping(remote, { source: local, size: SMALL[remote.family] });
  if (!underlay.answered) {
    const said =
      underlay.said === null ? 'does not answer, either' : `is not reached, either (${underlay.said})`;
    return `the node's underlay address ${remote.text} ${said}`;
  }
  return `the node's underlay address ${remote.text} answers, but no IPv${family} comes back through the tunnel: its daemon does not run, or a firewall stops ${carrier(tunnel)}`;
}

/** In order, a few at a time. */
async function inParallel<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const worker = async () => {
    for (const [i, item] of queue) results[i] = await work(item, i);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return results;
}
