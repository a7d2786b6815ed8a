/**
 * Which recorded packets would meet another fate if one state of a cluster took the place of another.
 *
 *     packet ──┬─► old world ──► decisions ─┬─► same fate: counted
 *              └─► new world ──► decisions ─┴─► other fate: group of its flow and of the decisions
 */
import { PROTOCOL_SCTP, PROTOCOL_TCP, PROTOCOL_UDP } from '../../../asm/wire/protocol.ts';
import type { Place } from '../../replay/replay.ts';
import type { Decision } from '../compiled.ts';
import type { End } from '../ends.ts';
import { decidedBy, directionVerdict, type Explanation } from '../why.ts';
import { Questions } from './question.ts';
import type { RecordedPacket } from './recorded.ts';
import { type Judgement, World } from './world.ts';

/** In the order in which they are told; `other-rule`: what is allowed stays allowed, or denied, by another decision. */
const changes = ['now-denied', 'now-allowed', 'other-rule'] as const;
export type Change = (typeof changes)[number];

/** Packets of one flow that change alike; the port of the end that opened it does not count. */
export interface ChangedFlow {
  readonly change: Change;
  /** Number in the IP header. */
  readonly protocol: number;
  /** Who opened the connection, and who was to receive it. */
  readonly from: End;
  readonly to: End;
  /** Port of `to`; null where the protocol has none. */
  readonly port: number | null;
  packets: number;
  /** IP packets with their headers. */
  bytes: number;
  readonly first: Pick<Place, 'file' | 'n'>;
  readonly old: Explanation;
  readonly new: Explanation;
}

/** Every packet is counted once among unchanged, changed and notJudged. */
export interface Summary {
  readonly packets: number;
  readonly unchanged: number;
  readonly changed: Readonly<Record<Change, number>>;
  /** By reason: `no-pod`, `not-ip`, or a drop of the data path that is no matter of policy. */
  readonly notJudged: Readonly<Record<string, number>>;
  /** Changed packets of flows that are not listed, as there are too many. */
  readonly unlisted: number;
  /** Times that there was no room to follow a connection; what came of it later was taken to open it anew. */
  readonly forgotten: number;
}

/** Most flows that are listed. */
const LISTED = 100_000;
const portProtocols: readonly number[] = [PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP];

type Judged = Extract<Judgement, { kind: 'judged' }>;

export class PolicyDiff {
  readonly #old: World;
  readonly #new: World;
  readonly #questions = new Questions();
  readonly #flows = new Map<string, ChangedFlow>();
  readonly #changed: Record<Change, number> = { 'now-denied': 0, 'now-allowed': 0, 'other-rule': 0 };
  readonly #notJudged = new Map<string, number>();
  readonly #most: number;
  #packets = 0;
  #unchanged = 0;
  #unlisted = 0;
  /** Of the latest packet so far, in milliseconds: files may overlap, and time does not go back. */
  #clock = 0;

  /** @param most flows that are listed */
  constructor(before: World, after: World, most = LISTED) {
    this.#old = before;
    this.#new = after;
    this.#most = most;
  }

  /** Whether an address is a pod's in either world. */
  isPod(address: string): boolean {
    return this.#old.end(address).pod !== undefined || this.#new.end(address).pod !== undefined;
  }

  /** Takes packets in the order in which they were recorded. */
  async take(packets: readonly (RecordedPacket & Place)[]): Promise<void> {
    const pods = new Set([...this.#old.podsOf(packets), ...this.#new.podsOf(packets)]);
    if (pods.size > World.capacity) {
      const middle = packets.length >> 1;
      await this.take(packets.slice(0, middle));
      await this.take(packets.slice(middle));
      return;
    }
    await this.#old.attach(pods);
    await this.#new.attach(pods);
    for (const packet of packets) this.#judge(packet);
  }

  /** Counts a packet about which nothing can be asked. */
  skip(reason: string): void {
    this.#packets++;
    this.#notJudged.set(reason, (this.#notJudged.get(reason) ?? 0) + 1);
  }

  /** The most packets first; flows that the same decisions change are neighbours. */
  get flows(): ChangedFlow[] {
    const keyed = [...this.#flows.values()].map((flow) => ({
      flow,
      key: JSON.stringify([flow.old, flow.new]),
    }));
    const weights = new Map<string, number>();
    for (const { flow, key } of keyed) weights.set(key, (weights.get(key) ?? 0) + flow.packets);
    const weightOf = (key: string) => weights.get(key) ?? 0;
    return keyed
      .sort(
        (a, b) =>
          changes.indexOf(a.flow.change) - changes.indexOf(b.flow.change) ||
          weightOf(b.key) - weightOf(a.key) ||
          (a.key < b.key ? -1 : a.key > b.key ? 1 : b.flow.packets - a.flow.packets),
      )
      .map(({ flow }) => flow);
  }

  get summary(): Summary {
    return {
      packets: this.#packets,
      unchanged: this.#unchanged,
      changed: { ...this.#changed },
      notJudged: Object.fromEntries([...this.#notJudged].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))),
      unlisted: this.#unlisted,
      forgotten: Math.max(this.#old.forgotten, this.#new.forgotten),
    };
  }

  #judge(packet: RecordedPacket & Place): void {
    this.#clock = Math.max(this.#clock, Number((packet.time ?? 0n) / 1_000_000n));
    const clock = this.#clock >>> 0;
    for (const question of this.#questions.before(packet)) {
      this.#old.judge(question, clock);
      this.#new.judge(question, clock);
    }
    const before = this.#old.judge(packet, clock);
    const after = this.#new.judge(packet, clock);
    const reason = unjudged(before, after);
    if (reason !== undefined) {
      this.skip(reason);
      return;
    }
    this.#packets++;
    const change = changeOf(before, after);
    if (change) this.#count(packet, change, before, after);
    else this.#unchanged++;
  }

  #count(packet: RecordedPacket & Place, change: Change, before: Judgement, after: Judgement): void {
    this.#changed[change]++;
    const { finding } = (after.kind === 'judged' ? after : before) as Judged;
    const [source, destination] = finding.isReply
      ? [packet.destination, packet.source]
      : [packet.source, packet.destination];
    const hasPorts = portProtocols.includes(packet.protocol);
    const port = hasPorts ? (finding.isReply ? finding.sport : finding.dport) : null;
    const old = explanation(this.#old, before, source, destination);
    const then = explanation(this.#new, after, source, destination);
    const key = JSON.stringify([packet.protocol, source, destination, port, old, then]);
    let flow = this.#flows.get(key);
    if (!flow) {
      if (this.#flows.size >= this.#most) {
        this.#unlisted++;
        return;
      }
      flow = {
        change,
        protocol: packet.protocol,
        from: this.#end(source),
        to: this.#end(destination),
        port,
        packets: 0,
        bytes: 0,
        first: { file: packet.file, n: packet.n },
        old,
        new: then,
      };
      this.#flows.set(key, flow);
    }
    flow.packets++;
    flow.bytes += packet.ipLength;
  }

  /** The pod is that of the new state, where there is one. */
  #end(address: string): End {
    const end = this.#new.end(address);
    return end.pod ? end : this.#old.end(address);
  }
}

function unjudged(before: Judgement, after: Judgement): string | undefined {
  if (before.kind === 'dropped') return before.reason;
  if (after.kind === 'dropped') return after.reason;
  return before.kind === 'no-pod' && after.kind === 'no-pod' ? 'no-pod' : undefined;
}

/** Undefined where nothing changes. */
function changeOf(before: Judgement, after: Judgement): Change | undefined {
  const was = isAllowed(before);
  if (was !== isAllowed(after)) return was ? 'now-denied' : 'now-allowed';
  return ruleOf(before) === ruleOf(after) ? undefined : 'other-rule';
}

const isAllowed = (one: Judgement): boolean =>
  one.kind !== 'judged' || (one.egress?.verdict !== 'deny' && one.ingress?.verdict !== 'deny');

/** Names of the rules that decided: equal texts for the same. */
function ruleOf(one: Judgement): string {
  const [egress, ingress] = one.kind === 'judged' ? [one.egress, one.ingress] : [];
  return `${nameOf(egress)} ${nameOf(ingress)}`;
}

const names = new WeakMap<Decision, string>();

function nameOf(decision: Decision | undefined): string {
  if (!decision) return '';
  let name = names.get(decision);
  if (name === undefined) {
    const { policies, rule } = decidedBy(decision);
    name = policies.length === 0 ? '' : JSON.stringify([policies, rule]);
    names.set(decision, name);
  }
  return name;
}

function explanation(world: World, one: Judgement, source: string, destination: string): Explanation {
  const from = world.end(source);
  const to = world.end(destination);
  const egress = directionVerdict(from, to, 'egress', () => (one.kind === 'judged' ? one.egress : undefined));
  const ingress = directionVerdict(to, from, 'ingress', () =>
    one.kind === 'judged' ? one.ingress : undefined,
  );
  const isDenied = egress.verdict === 'deny' || ingress.verdict === 'deny';
  return { verdict: isDenied ? 'deny' : 'allow', egress, ingress };
}
