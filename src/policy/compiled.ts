/**
 * Compiled policy: what the tables hold, still by index instead of by memory offset.
 *
 *     address ─► identity or block ─► class ─┐
 *     protocol, port ─► page ─► port class ──┴─► set.rows[class] ─► rows[…][port class] ─► cell
 *
 * A cell is POLICY_CELL_ALLOW or 0, and in its low bits an index into `decisions`, from 1.
 */
import type { Protocol } from '../control/objects.ts';
import type { Prefix } from '../net/prefix.ts';

export type Direction = 'ingress' | 'egress';

/** What is judged by a set of its own: a direction, and what a pod sends to its own node. */
export type Traffic = Direction | 'toNode';

/** Where a rule comes from: ClusterNetworkPolicies stand before and behind NetworkPolicies. */
export type Tier = 'Admin' | 'NetworkPolicy' | 'Baseline';

/** Why a packet passes or not. */
export interface Decision {
  readonly verdict: 'allow' | 'deny';
  readonly direction: Direction;
  /** Null: no rule matched, and the pod is not isolated. */
  readonly tier: Tier | null;
  /**
   * The policy whose rule decided; for default deny every policy that isolates the pod.
   * `NetworkPolicy:namespace/name` or `ClusterNetworkPolicy:name`.
   */
  readonly policies: readonly string[];
  /** Index of the rule in that policy's list of the direction; null where no rule decided. */
  readonly rule: number | null;
  /** As the rule's author calls it. */
  readonly name: string | null;
}

/** What pods under the same policies may do in one direction. */
export interface PolicySet {
  readonly direction: Direction;
  /** A NetworkPolicy is among them, so that what no rule allows is denied. */
  readonly isIsolated: boolean;
  /** Index into `rows` for each class; a class behind the end is treated as class 0. */
  readonly rows: readonly number[];
  /** Indexes into `pages` for each port >> 8. */
  readonly maps: Readonly<Record<Protocol, readonly number[]>>;
  /** Port class of every other protocol. */
  readonly other: number;
}

export interface CompiledPolicy {
  /** How many classes there are, CLASS_UNKNOWN among them. */
  readonly classes: number;
  /** Class by address text, for every endpoint whose class is not CLASS_UNKNOWN. */
  readonly identities: ReadonlyMap<string, number>;
  /** Class of the addresses whose longest prefix this is. */
  readonly blocks: readonly { readonly prefix: Prefix; readonly policyClass: number }[];
  /** Cells by port class. */
  readonly rows: readonly Uint32Array[];
  /** Port classes of 256 ports each. */
  readonly pages: readonly Uint16Array[];
  readonly sets: readonly PolicySet[];
  /** Indexes into `sets` for each local pod; undefined where no policy applies. */
  readonly pods: ReadonlyMap<string, Readonly<Record<Traffic, number | undefined>>>;
  /** Entry 0 is never used. */
  readonly decisions: readonly (Decision | undefined)[];
}
