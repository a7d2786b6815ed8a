/** One of the two states of a cluster that are compared: what its policies say of recorded packets. */
import { MAX_PORTS } from '../../../asm/layout/memory.ts';
import { type Cluster, clusterOf } from '../../control/cluster.ts';
import type { Objects } from '../../control/objects.ts';
import { FIRST_POD_SLOT } from '../../daemon/outside/node-ports.ts';
import type { Decision, Traffic } from '../compiled.ts';
import { type End, Ends } from '../ends.ts';
import { standIn } from '../stand-in.ts';
import { isOwnNode } from '../why.ts';
import { type Finding, Lane } from './lane.ts';
import type { RecordedPacket } from './recorded.ts';

/** What a world says of one packet. */
export type Judgement =
  /** Neither end is a pod. */
  | { readonly kind: 'no-pod' }
  /** No policy decides about it: the data path drops it for this reason whatever policies there are. */
  | { readonly kind: 'dropped'; readonly reason: string }
  | {
      readonly kind: 'judged';
      readonly egress: Decision | undefined;
      readonly ingress: Decision | undefined;
      readonly finding: Finding;
    };

type Lanes = Readonly<Record<Traffic, Lane>>;

/** A hundred bytes and more each, for either direction. */
const FLOWS = 1 << 18;

export class World {
  /** Most pods whose policies are at hand at a time. */
  static readonly capacity = MAX_PORTS - FIRST_POD_SLOT;

  readonly #cluster: Cluster;
  readonly #ends: Ends;
  readonly #known = new Map<string, End>();
  readonly #flows: number;
  readonly #attached = new Set<string>();
  #lanes: Lanes | undefined;

  /** @param flows connections that are followed at a time */
  constructor(objects: Objects, flows = FLOWS) {
    this.#flows = flows;
    this.#cluster = clusterOf(objects);
    this.#ends = new Ends(objects, this.#cluster);
  }

  /** Whether there is a pod at all that a packet could belong to. */
  get hasPods(): boolean {
    return [...this.#cluster.pods.values()].some(({ addresses }) => addresses.length > 0);
  }

  /** Who has an address. */
  end(address: string): End {
    let end = this.#known.get(address);
    if (!end) {
      end = this.#ends.find(address);
      if (this.#known.size >= 1 << 16) this.#known.clear();
      this.#known.set(address, end);
    }
    return end;
  }

  /** Pods that the packets belong to. */
  podsOf(packets: readonly RecordedPacket[]): Set<string> {
    const ends = packets.flatMap(({ source, destination }) => [this.end(source), this.end(destination)]);
    return new Set(ends.flatMap(({ pod }) => pod?.key ?? []));
  }

  /** Sees to it that policies of these pods are at hand, at most `capacity`; connections go on. */
  async attach(pods: ReadonlySet<string>): Promise<void> {
    if (this.#lanes && [...pods].every((pod) => this.#attached.has(pod))) return;
    const all = [...this.#cluster.pods.keys()];
    const wanted = all.length <= World.capacity ? new Set(all) : new Set([...this.#attached, ...pods]);
    // Where there are too many, those of before give way; should they come back, they are attached again.
    const next = wanted.size <= World.capacity ? wanted : pods;
    const tables = standIn(this.#cluster, next, { flows: this.#flows });
    const open = (traffic: Traffic) => Lane.open(tables, traffic, this.#lanes?.[traffic]);
    this.#lanes = {
      egress: await open('egress'),
      ingress: await open('ingress'),
      toNode: await open('toNode'),
    };
    this.#attached.clear();
    for (const pod of next) this.#attached.add(pod);
  }

  /** @param clock milliseconds */
  judge(packet: RecordedPacket, clock: number): Judgement {
    const from = this.end(packet.source);
    const to = this.end(packet.destination);
    if (!this.#lanes || (!from.pod && !to.pod)) return { kind: 'no-pod' };
    const sender = from.pod?.key;
    const { egress, ingress, toNode } = this.#lanes;
    const isToNode = (from.pod && isOwnNode(from.pod, to)) || (to.pod && isOwnNode(to.pod, from));
    const out = (isToNode ? toNode : egress).take(packet, sender, clock);
    // What a node sends to its own pods no policy judges.
    const into = isToNode ? undefined : ingress.take(packet, sender, clock);
    const reason = out.dropped ?? into?.dropped ?? null;
    if (reason !== null) return { kind: 'dropped', reason };
    return { kind: 'judged', egress: out.decision, ingress: into?.decision, finding: out };
  }

  /** As a lane says of itself. */
  get forgotten(): number {
    return this.#lanes?.egress.forgotten ?? 0;
  }
}
