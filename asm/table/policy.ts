/**
 * Policy: one cell for a peer and a port, in a fixed number of loads.
 *
 *     protocol, port ──► map[port >> 8] ──► page[port & 255] ──► port class ─┐
 *     peer's class ─────────────────────────► rows[port class >> 5][class] ──┴► cells[port class & 31]
 */
import {
  POLICY_ROW_SHIFT,
  POLICY_SET_COUNT,
  POLICY_SET_OTHER,
  POLICY_SET_ROWS,
  POLICY_SET_SCTP,
  POLICY_SET_TCP,
  POLICY_SET_UDP,
} from '../layout/tables';
import { PROTOCOL_SCTP, PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/protocol';

/** The cell (POLICY_CELL_ALLOW, decision) of a policy set for a peer of this class, and this protocol and port. */
export function policyCell(set: usize, peerClass: u32, protocol: u32, port: u32): u32 {
  let portClass = load<u32>(set, POLICY_SET_OTHER);
  let map: u32 = 0;
  if (protocol === PROTOCOL_TCP) map = load<u32>(set, POLICY_SET_TCP);
  else if (protocol === PROTOCOL_UDP) map = load<u32>(set, POLICY_SET_UDP);
  else if (protocol === PROTOCOL_SCTP) map = load<u32>(set, POLICY_SET_SCTP);
  if (map !== 0) portClass = <u32>load<u16>(<usize>load<u32>(map + ((port >> 8) << 2)) + ((port & 255) << 1));
  const count = load<u32>(set, POLICY_SET_COUNT);
  const row = (portClass >> POLICY_ROW_SHIFT) * count + (peerClass < count ? peerClass : 0);
  const cells = load<u32>(load<u32>(set, POLICY_SET_ROWS) + (row << 2));
  return load<u32>(cells + ((portClass & ((1 << POLICY_ROW_SHIFT) - 1)) << 2));
}
