/**
 * Injection: a TCP superframe goes to the node's kernel whole, and the kernel splits it, or its network card does.
 *
 *     headroom … │ vnet │ Ethernet │ IP │ UDP │ tunnel │ Ethernet │ IP packet, 64 KiB
 *                 24    └ TUNNEL_OUTER, patched ┘└──── encapWrite ───┘
 *
 * The frame is written to a TAP of the node, comes in there as if from outside, and is forwarded to the peer. Every
 * segment gets its own outer and inner headers from these (Linux net/ipv4/udp_offload.c, skb_udp_tunnel_segment),
 * so all lengths here are those of the whole, and both checksums are left open: the fields hold the sums of the
 * pseudo-headers.
 */
import {
  CONTROL_SOCKET_PORTS,
  FIRST_SOCKET_SLOT,
  INJECTION_SLOT,
  VNET_HEADER,
  VNET_TUNNEL_HEADER,
} from '../layout/memory';
import {
  STAT_INJECTED,
  TUNNEL_FAMILY,
  TUNNEL_FLAGS,
  TUNNEL_HAS_CHECKSUM,
  TUNNEL_OUTER,
  TUNNEL_OUTER_LENGTH,
} from '../layout/tables';
import { Packet } from '../packet';
import { countStat } from '../table/counters';
import { pendingFrame, transmitFits } from '../transmit/pending';
import { fold, pseudoSum } from '../wire/checksum';
import { copyShort } from '../wire/copy';
import { ETHERNET_LEN } from '../wire/ethernet';
import { Ipv4 } from '../wire/ipv4';
import { IPV6_LEN, Ipv6 } from '../wire/ipv6';
import { PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/protocol';
import { TCP_CHECKSUM } from '../wire/tcp';
import { UDP_LEN, Udp } from '../wire/udp';
import {
  VNET_GSO_ECN,
  VNET_GSO_UDP_TUNNEL_IPV4,
  VNET_GSO_UDP_TUNNEL_IPV6,
  VNET_NEEDS_CSUM,
  VNET_UDP_TUNNEL_CSUM,
  Vnet,
} from '../wire/vnet';
import { outerTos } from './ecn';
import { encapLength, encapSlot, encapWrite } from './encap';

/** Largest outer IP packet, and largest payload of an IPv6 one. */
const MAX_LENGTH: u32 = 65_535;

/** Whether the kernel takes this superframe for this tunnel. */
export function mayInject(packet: Packet, tunnel: usize): bool {
  return (
    load<u16>(tunnel, TUNNEL_OUTER_LENGTH) !== 0 &&
    packet.protocol() === PROTOCOL_TCP &&
    packet.ipLength() + encapLength(tunnel) + IPV6_LEN + UDP_LEN <= MAX_LENGTH
  );
}

/**
 * Sends a superframe for which mayInject() holds; its headroom is overwritten.
 * @param index tunnel number
 * @returns false when the burst has no room left
 */
export function inject(packet: Packet, tunnel: usize, index: u32): bool {
  if (!transmitFits(1, 1)) return false;
  const ecn = Vnet.at(packet.data() - VNET_HEADER).gsoType() & VNET_GSO_ECN;
  const isV6 = <u32>load<u8>(tunnel, TUNNEL_FAMILY) === 6;
  const outer = <u32>load<u16>(tunnel, TUNNEL_OUTER_LENGTH);
  const bytes = packet.ipLength();
  const tos = outerTos(tunnel, packet.tos());
  const prefix = encapLength(tunnel);
  const slot = encapSlot(tunnel, packet.hash());
  const at = encapWrite(tunnel, packet.ip(), bytes, packet.version(), tos, packet.hash());

  const ether = at - outer;
  copyShort(ether, tunnel + TUNNEL_OUTER, outer);
  const ip = ether + ETHERNET_LEN;
  const datagram = UDP_LEN + prefix + bytes;
  const udp = Udp.at(at - UDP_LEN);
  // The flow's own source port, so that whoever spreads flows by it keeps this one together.
  const port: usize = CONTROL_SOCKET_PORTS + ((slot - FIRST_SOCKET_SLOT) << 1);
  udp.setSourcePort(<u32>load<u16>(port));
  udp.setLength(datagram);
  let pseudo: u64;
  if (isV6) {
    Ipv6.at(ip).setFirstWord(tos, packet.hash());
    Ipv6.at(ip).setPayloadLength(datagram);
    pseudo = pseudoSum(ip + 8, 32, PROTOCOL_UDP, datagram);
  } else {
    store<u8>(ip, <u8>tos, 1);
    Ipv4.at(ip).setTotalLength(outer - ETHERNET_LEN - UDP_LEN + datagram);
    Ipv4.at(ip).completeChecksum();
    pseudo = pseudoSum(ip + 12, 8, PROTOCOL_UDP, datagram);
  }
  const hasChecksum = (<u32>load<u16>(tunnel, TUNNEL_FLAGS) & TUNNEL_HAS_CHECKSUM) !== 0;
  if (hasChecksum) udp.setChecksum(fold(pseudo));

  const inner = <u32>(packet.ip() - ether);
  const transport = inner + packet.l4() - packet.l3();
  const headers = packet.payload() - packet.l3();
  const vnet = Vnet.at(ether - VNET_TUNNEL_HEADER);
  vnet.set(
    VNET_NEEDS_CSUM | (hasChecksum ? VNET_UDP_TUNNEL_CSUM : 0),
    packet.gsoType() | ecn | (isV6 ? VNET_GSO_UDP_TUNNEL_IPV6 : VNET_GSO_UDP_TUNNEL_IPV4),
    inner + headers,
    packet.gsoSize(),
    transport,
    TCP_CHECKSUM,
  );
  vnet.setTunnel(outer - UDP_LEN, inner);

  const payload = bytes - headers;
  const segments = (payload + packet.gsoSize() - 1) / packet.gsoSize();
  const frame = ether - VNET_TUNNEL_HEADER;
  const length = VNET_TUNNEL_HEADER + outer + prefix + bytes;
  pendingFrame(
    slot,
    INJECTION_SLOT,
    index,
    frame,
    length,
    1,
    segments,
    segments * (prefix + headers) + payload,
  );
  countStat(STAT_INJECTED, 1);
  return true;
}
