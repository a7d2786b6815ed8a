/**
 * Compiled policy: what the tables hold, by reference instead of by memory offset.
 *
 *     address ─► identity or block ─► class ─┐
 *     protocol, port ─► page ─► port class ──┴─► set.rows[class], by port class ─► cell
 *
 * A cell is POLICY_CELL_ALLOW or 0, and in its low bits the number of a decision.
 */
import type { Protocol } from '../control/object-fields.ts';
import type { Prefix } from '../net/prefix.ts';
import type { Row } from './rows.ts';

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
  /** Cells by port class, for each class of peers; a class behind the end has those of class 0. Classes share rows. */
  readonly rows: readonly Row[];
  /** Port classes by port >> 8, then by port & 255. Sets share pages. */
  readonly maps: Readonly<Record<Protocol, readonly Uint16Array[]>>;
  /** Port class of every other protocol. */
  readonly other: number;
}

export interface CompiledPolicy {
  /** How many classes there are, CLASS_UNKNOWN among them. */
  readonly classes: number;
  /** Class by address text, for every pod's address whose class is not CLASS_UNKNOWN. Live. */
  readonly identities: ReadonlyMap<string, number>;
  /** Class of the addresses whose longest prefix this is. */
  readonly blocks: readonly { readonly prefix: Prefix; readonly policyClass: number }[];
  readonly sets: readonly PolicySet[];
  /** Of each local pod; undefined where no policy applies. */
  readonly pods: ReadonlyMap<string, Readonly<Record<Traffic, PolicySet | undefined>>>;
  /** By number, from 1. */
  readonly decisions: ReadonlyMap<number, Decision>;
}
