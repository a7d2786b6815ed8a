/**
 * Ports of first fragments, so that the later ones of a datagram meet the same policy.
 *
 * Direct-mapped and private to the worker: a first fragment takes the slot of its hash.
 *
 *      0           16            32   36         40      44     48     64
 *      ├ source ───┼ destination ┼ id ┼ protocol ┼ ports ┼ seen ┼ (zero)┤
 */
import { WORKER_FRAGMENTS } from '../layout/memory';
import { Packet } from '../packet';
import { copyAddress, isSameAddress } from '../wire/address';
import { base, now } from '../worker';
import { hashWords } from './hash';

const ROW: u32 = 64;
const ROWS: u32 = 2048;
/** Milliseconds for which a datagram's fragments belong together (RFC 8200 §4.5 gives them 60 s). */
const LIFETIME: u32 = 60_000;

function rowOf(packet: Packet): usize {
  const s = packet.source();
  const d = packet.destination();
  const hash = hashWords(
    load<u64>(s) ^ load<u64>(d, 8),
    load<u64>(s, 8) ^ load<u64>(d) ^ ((<u64>packet.fragmentId()) << 17),
  );
  return base + WORKER_FRAGMENTS + (hash & (ROWS - 1)) * ROW;
}

/** Keeps the ports of a first fragment. */
export function firstFragmentPut(packet: Packet): void {
  const row = rowOf(packet);
  copyAddress(row, packet.source());
  copyAddress(row + 16, packet.destination());
  store<u32>(row, packet.fragmentId(), 32);
  store<u32>(row, packet.protocol() + 1, 36);
  store<u32>(row, packet.ports(), 40);
  store<u32>(row, now, 44);
}

/** Gives a later fragment the ports of its first one. @returns false where that is not known */
export function firstFragmentFind(packet: Packet): bool {
  const row = rowOf(packet);
  if (
    load<u32>(row, 32) !== packet.fragmentId() ||
    load<u32>(row, 36) !== packet.protocol() + 1 ||
    now - load<u32>(row, 44) > LIFETIME ||
    !isSameAddress(row, packet.source()) ||
    !isSameAddress(row + 16, packet.destination())
  ) {
    return false;
  }
  const ports = load<u32>(row, 40);
  packet.setPorts(ports & 0xffff, ports >> 16);
  return true;
}
