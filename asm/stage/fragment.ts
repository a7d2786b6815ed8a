/**
 * Fragmentation of IPv4 packets that may be fragmented and do not fit the way out (RFC 791 §3.2).
 *
 *     packet       │ header │ payload ───────────────────────┐
 *     fragment i   │ header, patched │ → slice of 8·n bytes of it
 */
import { VNET_HEADER } from '../layout/memory';
import { PACKET_HAS_MORE } from '../layout/packet';
import { PORT_TX_PACKETS, STAT_FRAGMENTED } from '../layout/tables';
import { Packet } from '../packet';
import { countPort, countStat } from '../table/counters';
import { messagePush, messageToPort } from '../transmit/message';
import { pendingBegin, pendingDatagram, pendingPush, transmitFits } from '../transmit/pending';
import { ETHERNET_LEN } from '../wire/ethernet';
import { Ipv4 } from '../wire/ipv4';
import { Vnet } from '../wire/vnet';
import { headersAlloc } from '../worker';
import { coalesceClose } from './coalesce';
import { outerTos } from './ecn';
import { encapLength, encapSlot, encapWrite } from './encap';
import { etherWrite } from './ether';

const MORE_FRAGMENTS: u32 = 0x2000;

/**
 * Sends `packet` in fragments of at most `mtu` bytes. Options are repeated in each; those that must not be (RFC 791 §3.1)
 * are rare enough to be carried all the same.
 * @param tunnel row of a tunnel, 0: to a TAP
 * @param index of the tunnel, or of the port
 * @returns false when the burst has no room for all of it; then nothing was sent
 */
export function fragment(packet: Packet, tunnel: usize, index: u32, mtu: u32): bool {
  const header = Ipv4.at(packet.ip()).headerLength();
  const payload = packet.ipLength() - header;
  const step = (mtu - header) & ~7;
  const count = (payload + step - 1) / step;
  const prefix: u32 = tunnel === 0 ? VNET_HEADER + ETHERNET_LEN : encapLength(tunnel);
  const stride = (prefix + header + 63) & ~63;
  if (!transmitFits(count, count << 1)) return false;
  const arena = headersAlloc(count * stride);
  if (arena === 0) return false;
  if (tunnel === 0) coalesceClose();
  const from = packet.ip() + header;
  for (let i: u32 = 0, done: u32 = 0; i < count; i++) {
    const bytes = min(step, payload - done);
    const ip = arena + i * stride + prefix;
    const isLast = i === count - 1 && !packet.has(PACKET_HAS_MORE);
    memory.copy(ip, packet.ip(), header);
    Ipv4.at(ip).setTotalLength(header + bytes);
    Ipv4.at(ip).setFragment(((packet.fragmentOffset() + done) >> 3) | (isLast ? 0 : MORE_FRAGMENTS));
    Ipv4.at(ip).completeChecksum();
    const frames: u32 = i === 0 ? 1 : 0;
    if (tunnel === 0) toPort(packet, index, ip, header, from + done, bytes, frames);
    else toTunnel(packet, tunnel, index, ip, header, from + done, bytes, frames);
    done += bytes;
  }
  countStat(STAT_FRAGMENTED, 1);
  return true;
}

function toTunnel(
  packet: Packet,
  tunnel: usize,
  index: u32,
  ip: usize,
  header: u32,
  payload: usize,
  bytes: u32,
  frames: u32,
): void {
  const prefix = encapLength(tunnel);
  const tos = outerTos(tunnel, packet.tos());
  encapWrite(tunnel, ip, header + bytes, 4, tos, packet.hash());
  const row = pendingBegin(encapSlot(tunnel, packet.hash()), tos, index, prefix + header + bytes, frames);
  pendingPush(row, ip - prefix, prefix + header);
  pendingPush(row, payload, bytes);
  pendingDatagram(row);
}

function toPort(
  packet: Packet,
  port: u32,
  ip: usize,
  header: u32,
  payload: usize,
  bytes: u32,
  frames: u32,
): void {
  const frame = ip - ETHERNET_LEN;
  Vnet.at(frame - VNET_HEADER).clear();
  etherWrite(frame, 4, port);
  const message = messageToPort(port, frames, packet.hash());
  messagePush(message, frame - VNET_HEADER, VNET_HEADER + ETHERNET_LEN + header);
  messagePush(message, payload, bytes);
  countPort(port, PORT_TX_PACKETS, ETHERNET_LEN + header + bytes);
}
