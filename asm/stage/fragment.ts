/**
 * Fragmentation of IPv4 packets that may be fragmented and do not fit the way out (RFC 791 §3.2).
 *
 *     packet       │ header │ payload ───────────────────────┐
 *     fragment i   │ header, patched │ → slice of 8·n bytes of it
 */
import { PACKET_HAS_MORE } from '../layout/packet';
import { STAT_FRAGMENTED } from '../layout/tables';
import { Packet } from '../packet';
import { countStat } from '../table/counters';
import { pendingBegin, pendingDatagram, pendingPush, transmitFits } from '../transmit/pending';
import { Ipv4 } from '../wire/ipv4';
import { headersAlloc } from '../worker';
import { outerTos } from './ecn';
import { encapLength, encapSlot, encapWrite } from './encap';

const MORE_FRAGMENTS: u32 = 0x2000;

/**
 * Sends `packet` through a tunnel in fragments of at most `mtu` bytes. Options are repeated in
 * each; those that must not be (RFC 791 §3.1) are rare enough to be carried all the same.
 * @returns false when the burst has no room for all of it; then nothing was sent
 */
export function fragment(packet: Packet, tunnel: usize, index: u32, mtu: u32): bool {
  const header = Ipv4.at(packet.ip()).headerLength();
  const payload = packet.ipLength() - header;
  const step = (mtu - header) & ~7;
  const count = (payload + step - 1) / step;
  const prefix = encapLength(tunnel);
  const stride = (prefix + header + 63) & ~63;
  if (!transmitFits(count, count << 1)) return false;
  const arena = headersAlloc(count * stride);
  if (arena === 0) return false;
  const tos = outerTos(tunnel, packet.tos());
  let from = packet.ip() + header;
  let left = payload;
  let offset = packet.fragmentOffset();
  for (let i: u32 = 0; i < count; i++) {
    const bytes = min(step, left);
    const ip = arena + i * stride + prefix;
    memory.copy(ip, packet.ip(), header);
    const isLast = i === count - 1 && !packet.has(PACKET_HAS_MORE);
    Ipv4.at(ip).setTotalLength(header + bytes);
    Ipv4.at(ip).setFragment((offset >> 3) | (isLast ? 0 : MORE_FRAGMENTS));
    Ipv4.at(ip).completeChecksum();
    encapWrite(tunnel, ip, header + bytes, 4, tos, packet.hash());
    const row = pendingBegin(
      encapSlot(tunnel, packet.hash()),
      tos,
      index,
      prefix + header + bytes,
      i === 0 ? 1 : 0,
    );
    pendingPush(row, ip - prefix, prefix + header);
    pendingPush(row, from, bytes);
    pendingDatagram(row);
    from += bytes;
    left -= bytes;
    offset += bytes;
  }
  countStat(STAT_FRAGMENTED, 1);
  return true;
}
