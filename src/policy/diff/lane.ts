/**
 * One part of a cluster's policy, as the data path applies it: a stand-in node that judges only what its pods may
 * send, or receive, or send to their own nodes.
 *
 *     packet ──► TAP of the sender ──► parse, track, route, policy ──► decision of its connection
 *
 * What was recorded did pass, so nothing is held back here: every cell of these tables admits, and its number still
 * tells the decision. Connections are thus followed from their first packet to their last whatever it was.
 */
import { DIRECTION_REVERSE, FLOW_JUDGED } from '../../../asm/layout/flows.ts';
import { CONTROL_CLOCK, VNET_HEADER, WORKER_PACKETS, WORKER_STATS } from '../../../asm/layout/memory.ts';
import {
  PACKET_DECISION,
  PACKET_DIRECTION,
  PACKET_DPORT,
  PACKET_FLOW,
  PACKET_SPORT,
  PACKET_VERDICT,
} from '../../../asm/layout/packet.ts';
import {
  POLICY_CELL_ALLOW,
  POLICY_CELL_DECISION,
  STAT_FLOWS_EVICTED,
  STAT_FLOWS_REFUSED,
} from '../../../asm/layout/tables.ts';
import { Verdict } from '../../../asm/verdict.ts';
import type { Desired } from '../../control/desired.ts';
import { workerBase } from '../../dataplane/memory.ts';
import { verdictNames } from '../../dataplane/statistics.ts';
import type { TablePort } from '../../dataplane/tables.ts';
import { type ReplayNode, startNode } from '../../replay/node.ts';
import { takeFrame } from '../../replay/take-frame.ts';
import type { Decision, PolicySet, Traffic } from '../compiled.ts';
import type { StandIn } from '../stand-in.ts';
import type { RecordedPacket } from './recorded.ts';

/** What the data path found out about a packet. */
export interface Finding {
  /** Name of the drop of a packet that no policy decides about; null where there is none. */
  readonly dropped: string | null;
  /** Undefined where no policy applies to the pod that is judged. */
  readonly decision: Decision | undefined;
  /** Sent by the end that did not open the connection. */
  readonly isReply: boolean;
  /** Of the sender and of the receiver, 0 without; fragments have those of their datagram. */
  readonly sport: number;
  readonly dport: number;
}

/** Of every port: nothing that was recorded is too long. */
const MTU = 65_535;
const ROW = workerBase(0) + WORKER_PACKETS;
const noOffload = new Uint8Array(VNET_HEADER);

export class Lane {
  readonly #node: ReplayNode;
  readonly #slots: ReadonlyMap<string, number>;
  readonly #macs: ReadonlyMap<number, Uint8Array>;
  /** Where packets from outside come in. */
  readonly #forwardSlot: number;
  readonly #forgottenBefore: number;

  private constructor(node: ReplayNode, forgottenBefore: number) {
    this.#node = node;
    this.#forgottenBefore = forgottenBefore;
    this.#slots = new Map(node.ports.flatMap(({ pod, slot }) => (pod === undefined ? [] : [[pod, slot]])));
    this.#macs = new Map(node.ports.map(({ slot, mac }) => [slot, mac]));
    this.#forwardSlot = (node.ports.find(({ kind }) => kind === 'forward') as TablePort).slot;
  }

  /** @param before the lane that this one replaces: its connections go on */
  static async open({ config, desired }: StandIn, traffic: Traffic, before?: Lane): Promise<Lane> {
    const options = { mtu: MTU, before: before === undefined ? undefined : before.#node };
    const node = await startNode(config, admittingAll(desired, traffic), options);
    return new Lane(node, before?.forgotten ?? 0);
  }

  /**
   * @param from pod that sends it; undefined: it comes from outside
   * @param clock milliseconds
   */
  take({ frame, frameLength }: RecordedPacket, from: string | undefined, clock: number): Finding {
    const { memory, desired } = this.#node;
    const slot = from === undefined ? this.#forwardSlot : (this.#slots.get(from) as number);
    frame.set(desired.node.routerMac, 0);
    frame.set(this.#macs.get(slot) as Uint8Array, 6);
    memory.view.setUint32(CONTROL_CLOCK, clock, true);
    takeFrame(this.#node, slot, noOffload, frame, frameLength);
    const verdict = this.#u32(ROW + PACKET_VERDICT);
    const flow = this.#u32(ROW + PACKET_FLOW);
    const cell = flow === 0 ? this.#u32(ROW + PACKET_DECISION) : this.#u32(flow + FLOW_JUDGED);
    return {
      dropped: verdict === Verdict.Forward ? null : (verdictNames[verdict] as string),
      decision: desired.policy.decisions.get(cell & POLICY_CELL_DECISION),
      isReply: memory.view.getUint8(ROW + PACKET_DIRECTION) === DIRECTION_REVERSE,
      sport: memory.view.getUint16(ROW + PACKET_SPORT, true),
      dport: memory.view.getUint16(ROW + PACKET_DPORT, true),
    };
  }

  /** Times that there was no room to follow a connection: a later packet of it opened it anew. */
  get forgotten(): number {
    const count = (stat: number) =>
      Number(this.#node.memory.view.getBigUint64(workerBase(0) + WORKER_STATS + 8 * stat, true));
    return this.#forgottenBefore + count(STAT_FLOWS_EVICTED) + count(STAT_FLOWS_REFUSED);
  }

  #u32(at: number): number {
    return this.#node.memory.view.getUint32(at, true);
  }
}

function admittingAll(desired: Desired, traffic: Traffic): Desired {
  const { policy } = desired;
  const pages = new Map<Uint32Array, Uint32Array>();
  const admitting = (cells: Uint32Array) => {
    const page = pages.get(cells) ?? cells.map((cell) => cell | POLICY_CELL_ALLOW);
    pages.set(cells, page);
    return page;
  };
  const sets = new Map<PolicySet | undefined, PolicySet>(
    policy.sets.map((set) => [set, { ...set, rows: set.rows.map((row) => row.map(admitting)) }]),
  );
  const none = { ingress: undefined, egress: undefined, toNode: undefined };
  const place = traffic === 'ingress' ? 'ingress' : 'egress';
  const pods = new Map(
    [...policy.pods].map(([key, own]) => [key, { ...none, [place]: sets.get(own[traffic]) }]),
  );
  return { ...desired, policy: { ...policy, sets: [...sets.values()], pods } };
}
