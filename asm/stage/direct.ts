/**
 * Direct: to and from peers on the same subnet, without a tunnel.
 *
 *     packet socket   │ vnet │ Ethernet, from device to device │ IP packet, superframe or not │
 *
 * Who sends is told by the frame's MAC, as it is by the outer source of a tunnel, and judged alike: the inner source
 * must belong to that peer. The node's kernel sees all that arrives here, too, and drops what is of the cluster.
 */
import { DIRECT_SLOT, VNET_HEADER } from '../layout/memory';
import {
  NO_ENDPOINT_TUNNEL,
  PEER_DIRECT,
  TUNNEL_DIRECT,
  TUNNEL_INNER_DESTINATION,
  TUNNEL_INNER_SOURCE,
  TUNNEL_KIND,
  TUNNEL_LAST_SEEN,
  TUNNEL_RX_PACKETS,
  TUNNEL_SLOT,
} from '../layout/tables';
import { Packet } from '../packet';
import { countTunnel, tunnelField } from '../table/counters';
import { endpointFind, peerFindByMac } from '../table/snapshot';
import { pendingFrame, transmitFits } from '../transmit/pending';
import { Verdict } from '../verdict';
import { Ethernet } from '../wire/ethernet';
import { area, now } from '../worker';
import { isInPodNetwork, sourceFromTunnel } from './source';

/** Offset of the source in an Ethernet header. */
const ETHERNET_SOURCE: u32 = 6;

/** Whether a tunnel's row stands for a peer that is reached without one. */
export function isDirect(tunnel: usize): bool {
  return <u32>load<u8>(tunnel, TUNNEL_KIND) === TUNNEL_DIRECT;
}

/** Whether a packet of egress came from the underlay. */
export function isFromUnderlay(packet: Packet): bool {
  return packet.slot() === DIRECT_SLOT;
}

/** Finds the peer that has sent a parsed packet from the underlay; sets TUNNEL. */
export function directPeer(packet: Packet): void {
  const peer = peerFindByMac(area, packet.data() + ETHERNET_SOURCE);
  const tunnel: u32 = peer === 0 ? NO_ENDPOINT_TUNNEL : <u32>load<u16>(peer, PEER_DIRECT);
  if (tunnel === NO_ENDPOINT_TUNNEL) {
    packet.setVerdict(isOfCluster(packet) ? Verdict.UnknownPeer : Verdict.Consumed);
    return;
  }
  packet.setTunnel(tunnel);
  countTunnel(tunnel, TUNNEL_RX_PACKETS, segmentsOf(packet), packet.length());
  store<u32>(tunnelField(tunnel, TUNNEL_LAST_SEEN), now);
}

/** Checks a packet of a direct peer; sets FROM. */
export function sourceFromDirect(packet: Packet): void {
  sourceFromTunnel(packet);
  if (packet.verdict() === Verdict.InnerSourceSpoofed && !isOfCluster(packet))
    packet.setVerdict(Verdict.Consumed);
}

/** Whether the source is a pod's or a node's: what the kernel drops. Anything else it routes as ever. */
function isOfCluster(packet: Packet): bool {
  return (
    packet.version() === 0 || endpointFind(area, packet.source()) !== 0 || isInPodNetwork(packet.source())
  );
}

function segmentsOf(packet: Packet): u32 {
  const size = packet.gsoSize();
  return size === 0 ? 1 : (packet.end() - packet.payload() + size - 1) / size;
}

/**
 * Sends a frame that fits, superframe or not, as it came from its TAP but for its Ethernet addresses.
 * @param index tunnel number
 * @returns false when the burst has no room left
 */
export function sendDirect(packet: Packet, tunnel: usize, index: u32): bool {
  if (!transmitFits(1, 1)) return false;
  const frame = packet.data();
  const ethernet = Ethernet.at(frame);
  ethernet.write(tunnel + TUNNEL_INNER_DESTINATION, tunnel + TUNNEL_INNER_SOURCE, ethernet.type());
  const segments = segmentsOf(packet);
  // Padding stays behind.
  const length = packet.end();
  const bytes = length + (segments - 1) * packet.payload();
  const slot = <u32>load<u16>(tunnel, TUNNEL_SLOT);
  pendingFrame(slot, slot, index, frame - VNET_HEADER, VNET_HEADER + length, 1, segments, bytes);
  return true;
}
