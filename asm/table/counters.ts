/** Counters of this worker. Plain words: only this worker writes them, anyone may read. */
import {
  MAX_PORTS,
  MAX_TUNNELS,
  WORKER_DECISION_COUNTERS,
  WORKER_PORT_COUNTERS,
  WORKER_STATS,
  WORKER_TUNNEL_COUNTERS,
  WORKER_VERDICTS,
} from '../layout/memory';
import { POLICY_CELL_DECISION, PORT_COUNTER_SIZE, TUNNEL_COUNTER_SIZE } from '../layout/tables';
import { Verdict } from '../verdict';
import { base } from '../worker';

function add(p: usize, n: u64): void {
  store<u64>(p, load<u64>(p) + n);
}

/** Counts `n` packets that met this fate. */
export function countVerdict(verdict: Verdict, n: i64): void {
  add(base + WORKER_VERDICTS + ((<usize>verdict) << 3), <u64>n);
}

/** Adds to one of the STAT_* counters. */
export function countStat(stat: u32, n: u32): void {
  add(base + WORKER_STATS + ((<usize>stat) << 3), n);
}

/** Adds a packet to the pair of counters (packets, bytes) at `field` of a port's row. */
export function countPort(port: u32, field: u32, bytes: u32): void {
  if (port >= MAX_PORTS) return;
  const p = base + WORKER_PORT_COUNTERS + port * PORT_COUNTER_SIZE + field;
  add(p, 1);
  add(p + 8, bytes);
}

/** Adds `n` to one counter of a port's row. */
export function countPortOne(port: u32, field: u32, n: u32): void {
  if (port < MAX_PORTS) add(base + WORKER_PORT_COUNTERS + port * PORT_COUNTER_SIZE + field, n);
}

/** Adds packets to the pair of counters at `field` of a tunnel's row. */
export function countTunnel(tunnel: u32, field: u32, packets: u32, bytes: u32): void {
  if (tunnel >= MAX_TUNNELS) return;
  const p = base + WORKER_TUNNEL_COUNTERS + tunnel * TUNNEL_COUNTER_SIZE + field;
  add(p, packets);
  add(p + 8, bytes);
}

/** Adds `n` to one counter of a tunnel's row. */
export function countTunnelOne(tunnel: u32, field: u32, n: u32): void {
  if (tunnel < MAX_TUNNELS) add(base + WORKER_TUNNEL_COUNTERS + tunnel * TUNNEL_COUNTER_SIZE + field, n);
}

/** Address of a 32-bit field of a tunnel's row. */
export function tunnelField(tunnel: u32, field: u32): usize {
  return base + WORKER_TUNNEL_COUNTERS + tunnel * TUNNEL_COUNTER_SIZE + field;
}

/** Counts a packet dropped under a policy decision. */
export function countDecision(decision: u32): void {
  add(base + WORKER_DECISION_COUNTERS + ((<usize>(decision & POLICY_CELL_DECISION)) << 3), 1);
}
