// Rates of a port, as they are asked for and as the tables have them. Pure.
import { CONTROL_BUCKETS } from '../../asm/layout/memory.ts';
import { BUCKET_ROW_SIZE } from '../../asm/layout/shaper.ts';
import {
  PORT_COST_SHIFT,
  PORT_EGRESS_BURST,
  PORT_EGRESS_COST,
  PORT_INGRESS_BURST,
  PORT_INGRESS_COST,
  PORT_INGRESS_LIMIT,
} from '../../asm/layout/tables.ts';
import type { Memory } from './memory.ts';

export interface Rate {
  /** Bits a second, above 0. */
  readonly rate: number;
  /** Bits beyond the rate that may pass after a silence. */
  readonly burst: number;
}

/** What a pod may receive (ingress) and send (egress). */
export interface Bandwidth {
  readonly ingress?: Rate | undefined;
  readonly egress?: Rate | undefined;
}

const SECOND = 1e9;
/** A worker looks once a millisecond: what less credit loses until then, no later frame can use. */
const LEAST_BURST = 2e6;
/** So that cost × frame stays below 2^63. */
const LARGEST_COST = 2 ** 45;
/** Two weeks. */
const LARGEST_BURST = 2 ** 50;

/** A burst where none is asked for: ten milliseconds, or a superframe. */
export const defaultBurst = (rate: number): number => Math.max(rate / 100, 65_536 * 8);

/** Bytes that wait for a pod at one worker: ten milliseconds, but some superframes in any case. */
const limitOf = ({ rate }: Rate): number => Math.min(Math.max(rate / 8 / 100, 256 << 10), 2 << 20);

const costOf = (rate: Rate | undefined): bigint =>
  rate === undefined
    ? 0n
    : BigInt(
        Math.round(Math.min(Math.max((8 * SECOND * 2 ** PORT_COST_SHIFT) / rate.rate, 1), LARGEST_COST)),
      );

const burstOf = (rate: Rate | undefined): bigint =>
  rate === undefined
    ? 0n
    : BigInt(Math.round(Math.min(Math.max((rate.burst / rate.rate) * SECOND, LEAST_BURST), LARGEST_BURST)));

/** @param row absolute */
export function writeRates(
  { view }: { readonly view: DataView },
  row: number,
  { ingress, egress }: Bandwidth,
): void {
  view.setBigUint64(row + PORT_EGRESS_COST, costOf(egress), true);
  view.setBigUint64(row + PORT_EGRESS_BURST, burstOf(egress), true);
  view.setBigUint64(row + PORT_INGRESS_COST, costOf(ingress), true);
  view.setBigUint64(row + PORT_INGRESS_BURST, burstOf(ingress), true);
  view.setUint32(row + PORT_INGRESS_LIMIT, ingress === undefined ? 0 : limitOf(ingress), true);
}

/** Forgets what another pod in this slot has used. */
export function resetBuckets({ bytes }: Memory, slot: number): void {
  const at = CONTROL_BUCKETS + slot * BUCKET_ROW_SIZE;
  bytes.fill(0, at, at + BUCKET_ROW_SIZE);
}
