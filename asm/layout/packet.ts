/**
 * Packet: what the parse stage learned, one row a packet of the vector.
 *
 * Rows live in WORKER_PACKETS and are valid for one vector. Addresses are 16 bytes
 * in network order, IPv4 as ::ffff:a.b.c.d; all other words are host order.
 */
export const PACKET_SIZE: u32 = 128;

/** u32: offset of the first byte (Ethernet header, or IP header where there is none). */
export const PACKET_DATA: u32 = 0;
/** u32: bytes from there on. */
export const PACKET_LENGTH: u32 = 4;
/** u32: Verdict. */
export const PACKET_VERDICT: u32 = 8;
/** u16: slot of the TAP or socket it came from. */
export const PACKET_SLOT: u32 = 12;
/** u16: bytes before the network header (tags counted in); 0 without Ethernet. */
export const PACKET_L3: u32 = 14;
/** u16: bytes before the transport header. */
export const PACKET_L4: u32 = 16;
/** u16: bytes before the transport payload; equals L4 where none is understood. */
export const PACKET_PAYLOAD: u32 = 18;
/** u16: EtherType behind any VLAN tags, host order. */
export const PACKET_ETHERTYPE: u32 = 20;
/** u8: transport protocol, after IPv6 extension headers. */
export const PACKET_PROTOCOL: u32 = 22;
/** u8: IP version, 4 or 6; 0 for anything else. */
export const PACKET_VERSION: u32 = 23;
/** u16: PACKET_IS_* bits. */
export const PACKET_FLAGS: u32 = 24;
/** u16: bytes of payload a segment of a superframe; 0: no superframe. */
export const PACKET_GSO_SIZE: u32 = 26;
/** u32: end of the IP packet relative to DATA: L3 plus its total length; padding lies behind. */
export const PACKET_END: u32 = 28;
/** 16 bytes. */
export const PACKET_SOURCE: u32 = 32;
/** 16 bytes. */
export const PACKET_DESTINATION: u32 = 48;
/** u16: source port, or ICMP identifier of an echo. */
export const PACKET_SPORT: u32 = 64;
/** u16: destination port, or ICMP identifier of an echo. */
export const PACKET_DPORT: u32 = 66;
/** u32: hash of addresses, ports and protocol, the same for both directions. */
export const PACKET_HASH: u32 = 68;
/** u32: offset of the flow's entry, 0 where there is none. */
export const PACKET_FLOW: u32 = 72;
/** u32: tunnel it came through, NO_TUNNEL from a TAP. */
export const PACKET_TUNNEL: u32 = 76;
/** u32: offset of the source's endpoint row, 0: not an endpoint. */
export const PACKET_FROM: u32 = 80;
/** u32: offset of the destination's endpoint row, 0: not an endpoint. */
export const PACKET_TO: u32 = 84;
/** u32: ROUTE_* kind of the way out. */
export const PACKET_ROUTE: u32 = 88;
/** u32: port or tunnel of the way out. */
export const PACKET_TARGET: u32 = 92;
/**
 * u32: policy cell that admitted or dropped it, of an ICMP error perhaps the one of the flow that it quotes; 0 where
 * none was looked up, as in a flow that was decided before.
 */
export const PACKET_DECISION: u32 = 96;
/** u16: fragment offset in bytes. */
export const PACKET_FRAGMENT_OFFSET: u32 = 100;
/** u8: TOS or traffic class. */
export const PACKET_TOS: u32 = 102;
/** u8: TTL or hop limit. */
export const PACKET_TTL: u32 = 103;
/** u32: identification of the datagram that a fragment belongs to. */
export const PACKET_FRAGMENT_ID: u32 = 104;
/** u16: MTU of the way out that the packet did not fit, or the octet that a parameter problem points at. */
export const PACKET_MTU: u32 = 108;
/** u8: outer TOS or traffic class it arrived under. */
export const PACKET_OUTER_TOS: u32 = 110;
/** u8: VLAN tags before the network header. */
export const PACKET_VLANS: u32 = 111;
/** u8: TCP flags. */
export const PACKET_TCP_FLAGS: u32 = 112;
/** u8: vnet header gso_type as received. */
export const PACKET_GSO_TYPE: u32 = 113;
/** u8: DIRECTION_* of the packet in its flow. */
export const PACKET_DIRECTION: u32 = 114;
/** u8: queue of the TAP it came from. */
export const PACKET_QUEUE: u32 = 115;
/** u16: offset of the next-header byte that names PROTOCOL, relative to DATA. */
export const PACKET_NEXT_HEADER: u32 = 116;
/** u32: of PACKET_IS_FOR_SERVICE: offset of the front's entry, 0: there is none yet. */
export const PACKET_FRONT: u32 = 120;

/** Has an Ethernet header. */
export const PACKET_IS_ETHERNET: u32 = 0x1;
/** A fragment, first or later. */
export const PACKET_IS_FRAGMENT: u32 = 0x2;
/** A fragment other than the first: no transport header. */
export const PACKET_IS_LATER_FRAGMENT: u32 = 0x4;
/** More fragments follow. */
export const PACKET_HAS_MORE: u32 = 0x8;
/** IPv4 Don't Fragment, and every IPv6 packet. */
export const PACKET_IS_DF: u32 = 0x10;
/** Transport checksum holds the pseudo-header sum only. */
export const PACKET_IS_PARTIAL: u32 = 0x20;
/** Ports are known. */
export const PACKET_HAS_PORTS: u32 = 0x80;
/** An ICMP error that quotes another packet. */
export const PACKET_IS_ICMP_ERROR: u32 = 0x100;
/** Was sent by a process of this node: came in through the node's own TAP. */
export const PACKET_FROM_NODE: u32 = 0x200;
/** IPv4 options, or IPv6 extension headers. */
export const PACKET_HAS_OPTIONS: u32 = 0x400;
/** Judged for itself, not as a packet of the connection in FLOW, which it may start anew. */
export const PACKET_IS_ALONE: u32 = 0x800;

/** Its bytes are others than were received: those stand in WORKER_TRANSLATIONS. */
export const PACKET_IS_TRANSLATED: u32 = 0x1000;
/** Goes to a Service: the connection that it opens needs a front. */
export const PACKET_IS_FOR_SERVICE: u32 = 0x2000;

/** Bytes from WORKER_PACKETS to a row beyond the vector, for a packet quoted by another: MAX_VECTOR rows on. */
export const PACKET_SCRATCH: u32 = 0x4000;
