/**
 * Table area: one complete snapshot of what the data path knows.
 *
 *     area ┌───────────────────────────────┐
 *          │ header: bases, masks, lengths │  TABLES_HEADER_SIZE
 *          ├───────────────────────────────┤
 *          │ endpoints, peers              │  open-addressed hashes, half full at most
 *          │ tunnels, ports                │  plain arrays
 *          │ routes, CIDR classes          │  tries (asm/layout/trie.ts), appended by tablesAlloc
 *          │ frontends, pools              │  Services (asm/layout/services.ts)
 *          │ policy sets, maps, rows       │  appended as well
 *          └───────────────────────────────┘
 *
 * Two areas take turns: the control thread fills the one that no worker reads, then
 * switches the epoch. Bases are absolute offsets in linear memory. Addresses are 16
 * bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
 */

/** u32: epoch that this area was compiled for. */
export const TABLES_EPOCH: u32 = 0;
/** u32: next free byte, absolute. */
export const TABLES_FREE: u32 = 4;
/** u32: first byte behind the area, absolute. */
export const TABLES_END: u32 = 8;
/** Hash of endpoints: HASH_BASE, HASH_MASK, HASH_COUNT. */
export const TABLES_ENDPOINTS: u32 = 12;
/** u32: trie of IPv4 routes, absolute; 0: there is none. A value is ROUTE_* << 16 | tunnel. */
export const TABLES_ROUTES4: u32 = 24;
/** The same of IPv6 routes. */
export const TABLES_ROUTES6: u32 = 28;
/** u32: trie of IPv4 blocks that policy names, absolute; 0: there is none. A value is a policy class. */
export const TABLES_CIDRS4: u32 = 32;
/** The same of IPv6 blocks. */
export const TABLES_CIDRS6: u32 = 36;
/** Hash of peers. */
export const TABLES_PEERS: u32 = 48;
export const TABLES_TUNNELS: u32 = 60;
/** u32: rows. */
export const TABLES_TUNNELS_COUNT: u32 = 64;
export const TABLES_PORTS: u32 = 68;
/** u32: rows. */
export const TABLES_PORTS_COUNT: u32 = 72;
/** u32: port of the TAP for packets to this node and to the outside, NO_PORT: none. */
export const TABLES_NODE_PORT: u32 = 76;
/** 6 bytes: MAC that pods see as their gateway and peers as this router. */
export const TABLES_ROUTER_MAC: u32 = 80;
/** 16 bytes: gateway that pods resolve by ARP. */
export const TABLES_GATEWAY4: u32 = 96;
/** 16 bytes: gateway that pods resolve by neighbour discovery. */
export const TABLES_GATEWAY6: u32 = 112;
/** 16 bytes: this node in the pod network, source of its ICMP errors over IPv4. */
export const TABLES_NODE4: u32 = 128;
/** 16 bytes: the same over IPv6. */
export const TABLES_NODE6: u32 = 144;
/**
 * 16 bytes: stands for this node in what it sends to itself, or to the world, through a Service: from its own address an
 * answer would not come back here. The first address of its podCIDR, which is nobody's. Unspecified: there is none.
 */
export const TABLES_SELF4: u32 = 176;
/** 16 bytes: the same over IPv6. */
export const TABLES_SELF6: u32 = 192;
/** 16 bytes: address of this node that has every node port over IPv4. Unspecified: there is none. */
export const TABLES_NODE_PORTS4: u32 = 208;
/** 16 bytes: the same over IPv6. */
export const TABLES_NODE_PORTS6: u32 = 224;
/** u32: first of the source ports that the node puts in place of clients' ones. */
export const TABLES_FIRST_SOURCE_PORT: u32 = 240;
/** u32: how many there are, at least 1. */
export const TABLES_SOURCE_PORTS: u32 = 244;
/** Hash of frontends (asm/layout/services.ts): HASH_BASE, HASH_MASK, HASH_COUNT. */
export const TABLES_FRONTENDS: u32 = 160;
/** u32: not 0: some frontend is a host port, so that what comes through a tunnel may be for one. */
export const TABLES_HOST_PORTS: u32 = 172;
/** u32: not 0: some port has a rate. */
export const TABLES_SHAPED: u32 = 256;
export const TABLES_HEADER_SIZE: u32 = 1024;

// ---- hash: rows by address, in open addressing ----------------------------------------------
/** u32: absolute offset of the rows. */
export const HASH_BASE: u32 = 0;
/** u32: slots − 1; slots are a power of two. */
export const HASH_MASK: u32 = 4;
/** u32: slots that are taken. */
export const HASH_COUNT: u32 = 8;
/** Endpoints and peers alike: the address first, */
export const HASH_ROW_SIZE: u32 = 32;
/** and u16: not zero where the slot is taken. */
export const HASH_ROW_TAKEN: u32 = 22;

// ---- endpoint: who an address is ------------------------------------------------------
//
//      0                16         20     22      24        30       32
//      ├ address ───────┼ identity ┼ port ┼ flags ┼ MAC ────┼ tunnel ┤
//
export const ENDPOINT_ADDRESS: u32 = 0;
/** u32: policy class; below TABLES' policy rows' length. */
export const ENDPOINT_IDENTITY: u32 = 16;
/** u16: local port, NO_PORT: on another node. */
export const ENDPOINT_PORT: u32 = 20;
/** u16: ENDPOINT_IS_* bits. */
export const ENDPOINT_FLAGS: u32 = 22;
/** 6 bytes: MAC of a local endpoint. */
export const ENDPOINT_MAC: u32 = 24;
/** u16: tunnel towards it, NO_ENDPOINT_TUNNEL: local, or by route. */
export const ENDPOINT_TUNNEL: u32 = 30;

/** The slot is taken. */
export const ENDPOINT_IS_USED: u32 = 0x1;
/** An address of a node, this one's or another's: also that of its host-network pods. */
export const ENDPOINT_IS_NODE: u32 = 0x2;
export const NO_PORT: u32 = 0xffff;
export const NO_ENDPOINT_TUNNEL: u32 = 0xffff;

// ---- route: the way of the addresses whose longest prefix it is ---------------------------
/** No route, or none looked for yet. */
export const ROUTE_NONE: u32 = 0;
/** A port of this node. */
export const ROUTE_LOCAL: u32 = 1;
/** Through a tunnel. */
export const ROUTE_TUNNEL: u32 = 2;
/** Out of the cluster, by the node's own routes. */
export const ROUTE_OUTSIDE: u32 = 3;
/** Answered or refused: a range of this node in which every live address is an endpoint. */
export const ROUTE_EMPTY: u32 = 4;
/** No way: a range of the pod network that no node has. */
export const ROUTE_UNASSIGNED: u32 = 5;

// ---- peer: outer source address to its tunnels -----------------------------------------------
//
//      0                16      18       20     22    24       26       32
//      ├ outer source ──┼ vxlan ┼ geneve ┼ ipip ┼used ┼ direct ┼ (zero) ┤
//
// A peer that sends without a tunnel is found by its MAC, which stands for an address that no packet comes from:
//
//      ├ ff │ nine bytes of zero │ MAC ┤
//
export const PEER_ADDRESS: u32 = 0;
/** u16 × 3, indexed by TUNNEL_* kind − 1: tunnel, NO_ENDPOINT_TUNNEL: none. */
export const PEER_TUNNELS: u32 = 16;
/** u16: 1. */
export const PEER_USED: u32 = 22;
/** u16: row of TUNNEL_DIRECT, NO_ENDPOINT_TUNNEL: none. */
export const PEER_DIRECT: u32 = 24;

// ---- tunnel: one peer under one encapsulation and one outer family ------------------------------
//
//      0     1     2      4     8     12    14     16   20  21  22     24       52       58      64
//      ├kind ┼famly┼hdrlen┼peer ┼ mtu ┼slot ┼slots ┼vni ┼tos┼ttl┼flags ┼sockaddr┼dst MAC ┼src MAC ┤
//      64              80              96                                192
//      ├ remote ───────┼ local ────────┼ header template, hdrlen bytes ──┤
//      192      194                                                      256
//      ├ outlen ┼ Ethernet, IP and UDP header of injected frames, outlen ┤
//
export const TUNNEL_SIZE: u32 = 256;
/** u8: TUNNEL_VXLAN, TUNNEL_GENEVE, TUNNEL_IPIP, TUNNEL_DIRECT; 0: no tunnel. */
export const TUNNEL_KIND: u32 = 0;
/** u8: outer IP version, 4 or 6. */
export const TUNNEL_FAMILY: u32 = 1;
/** u16: bytes of template. */
export const TUNNEL_HEADER_LENGTH: u32 = 2;
/** u32: number of the peer, the same for all tunnels to it. */
export const TUNNEL_PEER: u32 = 4;
/** u32: largest inner IP packet. */
export const TUNNEL_MTU: u32 = 8;
/** u16: first socket slot to send from (absolute slot number). */
export const TUNNEL_SLOT: u32 = 12;
/** u16: how many slots from there, a power of two: source-port entropy. */
export const TUNNEL_SLOTS: u32 = 14;
/** u32: 24 bits. */
export const TUNNEL_VNI: u32 = 16;
/** u8: outer DSCP << 2. */
export const TUNNEL_TOS: u32 = 20;
/** u8: outer TTL or hop limit (raw sockets; UDP sockets have it set once). */
export const TUNNEL_TTL: u32 = 21;
/** u16: TUNNEL_IS_* bits. */
export const TUNNEL_FLAGS: u32 = 22;
/** struct sockaddr_in or sockaddr_in6, as the addon takes it. */
export const TUNNEL_SOCKADDR: u32 = 24;
/** 6 bytes: destination of inner Ethernet frames: the peer's router, of TUNNEL_DIRECT its device. */
export const TUNNEL_INNER_DESTINATION: u32 = 52;
/** 6 bytes: source of inner Ethernet frames: this router, of TUNNEL_DIRECT this node's device. */
export const TUNNEL_INNER_SOURCE: u32 = 58;
/** 16 bytes. */
export const TUNNEL_REMOTE: u32 = 64;
/** 16 bytes. */
export const TUNNEL_LOCAL: u32 = 80;
/**
 * Bytes put before each inner packet: VXLAN or GENEVE header as it goes on the wire,
 * or the outer IP header (IPIP) with lengths, identification and checksum zero.
 */
export const TUNNEL_HEADER: u32 = 96;
/** u16: bytes of TUNNEL_OUTER; 0: superframes are split here instead of injected. */
export const TUNNEL_OUTER_LENGTH: u32 = 192;
/**
 * Ethernet, IP and UDP header before a superframe that the kernel splits: lengths, identification, checksums and
 * UDP source port zero.
 */
export const TUNNEL_OUTER: u32 = 194;

export const TUNNEL_VXLAN: u32 = 1;
export const TUNNEL_GENEVE: u32 = 2;
export const TUNNEL_IPIP: u32 = 3;
/**
 * No tunnel: the peer is on the same subnet, and what goes to it stands behind an Ethernet header alone. The template is
 * the vnet header of a frame that asks nothing of the kernel; the slot is DIRECT_SLOT.
 */
export const TUNNEL_DIRECT: u32 = 4;

/** Inner packets carry an Ethernet header. */
export const TUNNEL_IS_ETHERNET: u32 = 0x1;
/** The inner ECN field is not copied out: the far end is not known to handle it (RFC 6040 §4.1). */
export const TUNNEL_IS_ECN_COMPATIBILITY: u32 = 0x2;
/** GENEVE: protocol type of the template is patched for each inner family. */
export const TUNNEL_IS_GENEVE_IP: u32 = 0x4;
/** Datagrams carry an outer UDP checksum. */
export const TUNNEL_HAS_CHECKSUM: u32 = 0x8;

// ---- socket kinds (CONTROL_SOCKET_KINDS): what a socket slot receives ------------------------------
export const SOCKET_NONE: u32 = 0;
export const SOCKET_VXLAN: u32 = 1;
export const SOCKET_GENEVE: u32 = 2;
/** Raw IPv4: the outer header comes first. */
export const SOCKET_IPIP4: u32 = 3;
/** Raw IPv6, protocol 4: the payload only. */
export const SOCKET_IPIP6_4: u32 = 4;
/** Raw IPv6, protocol 41: the payload only. */
export const SOCKET_IPIP6_6: u32 = 5;

// ---- port: a TAP of this node --------------------------------------------------------------------------
//
//      0     1      2     4       10     12       16        20       24        64
//      ├kind ┼flags ┼ mtu ┼ MAC ──┼(zero)┼ egress ┼ ingress ┼ to node ┼ rates ──┤
//
//      24             32              40              48               56      60
//      ├ egress cost ─┼ egress burst ─┼ ingress cost ─┼ ingress burst ─┼ limit ┤
//
export const PORT_SIZE: u32 = 64;
/** u8: PORT_POD … ; 0: no port. */
export const PORT_KIND: u32 = 0;
/** u8: PORT_IS_* bits. */
export const PORT_FLAGS: u32 = 1;
/** u16: MTU of the interface. */
export const PORT_MTU: u32 = 2;
/** 6 bytes: MAC of the interface. */
export const PORT_MAC: u32 = 4;
/** u32: policy set for what the pod sends, absolute; 0: no policy applies. */
export const PORT_EGRESS_SET: u32 = 12;
/** u32: policy set for what the pod receives, absolute; 0: no policy applies. */
export const PORT_INGRESS_SET: u32 = 16;
/** u32: policy set for what the pod sends to its own node, absolute; 0: no policy applies. */
export const PORT_NODE_SET: u32 = 20;

/** u64: nanoseconds × 2^PORT_COST_SHIFT that a byte from the pod takes at its rate, below 2^46; 0: no rate. */
export const PORT_EGRESS_COST: u32 = 24;
/** u64: nanoseconds that it can save up. */
export const PORT_EGRESS_BURST: u32 = 32;
/** The same of what goes to the pod. */
export const PORT_INGRESS_COST: u32 = 40;
export const PORT_INGRESS_BURST: u32 = 48;
export const PORT_COST_SHIFT: u32 = 16;
/** u32: most bytes that wait for the pod at one worker. */
export const PORT_INGRESS_LIMIT: u32 = 56;

export const PORT_POD: u32 = 1;
/** The node's own processes. */
export const PORT_NODE: u32 = 2;
/** What the node's kernel forwards. */
export const PORT_FORWARD: u32 = 3;

/** The pod's policies are not known yet: nothing passes but ARP and ND. */
export const PORT_IS_PENDING: u32 = 0x1;

// ---- policy set: what a pod under policies may do in one direction --------------------------------------------
//
//     protocol, port ──► map page ──► port class ─┐
//     peer address ──► identity or CIDR class ──► page of its row ──► cell: allow bit, decision
//
//      0      4       8     12    16     20      24      64
//      ├ rows ┼ count ┼ TCP ┼ UDP ┼ SCTP ┼ other ┼ (zero)┤
//
export const POLICY_SET_SIZE: u32 = 64;
/** u32: base of u32 × count × pages, indexed by page of the port class, then peer's class: absolute offset of its cells. */
export const POLICY_SET_ROWS: u32 = 0;
/** u32: classes; a class beyond is treated as class 0. */
export const POLICY_SET_COUNT: u32 = 4;
/** u32: base of u32 × 256, indexed by port >> 8: absolute offset of a page of u16 × 256 port classes. */
export const POLICY_SET_TCP: u32 = 8;
export const POLICY_SET_UDP: u32 = 12;
export const POLICY_SET_SCTP: u32 = 16;
/** u32: port class of every other protocol, and of ICMP. */
export const POLICY_SET_OTHER: u32 = 20;
/** A page of a row has this power of two of cells; where a set has no more port classes, as many as these. */
export const POLICY_ROW_SHIFT: u32 = 5;
/** Entries of a map, and of each of its pages. */
export const POLICY_PAGE_ENTRIES: u32 = 256;
/** Bit of a cell (u32): the packet may pass. The low bits are the decision, below MAX_DECISIONS. */
export const POLICY_CELL_ALLOW: u32 = 0x80000000;
export const POLICY_CELL_DECISION: u32 = 0x3ffff;
/** Policy class of an address that no endpoint has and no CIDR of a policy contains. */
export const CLASS_UNKNOWN: u32 = 0;

// ---- counters in the worker region -------------------------------------------------------------------------
/** u64 words. */
export const PORT_COUNTER_SIZE: u32 = 64;
export const PORT_RX_PACKETS: u32 = 0;
export const PORT_RX_BYTES: u32 = 8;
export const PORT_TX_PACKETS: u32 = 16;
export const PORT_TX_BYTES: u32 = 24;
export const PORT_DROPS: u32 = 32;
export const TUNNEL_COUNTER_SIZE: u32 = 64;
export const TUNNEL_RX_PACKETS: u32 = 0;
export const TUNNEL_RX_BYTES: u32 = 8;
export const TUNNEL_TX_PACKETS: u32 = 16;
export const TUNNEL_TX_BYTES: u32 = 24;
/** u32: CONTROL_CLOCK when a packet last arrived. */
export const TUNNEL_LAST_SEEN: u32 = 32;
export const TUNNEL_DROPS: u32 = 40;

// ---- statistics (WORKER_STATS), u64 each, by index -----------------------------------------------------------
/** Frames and datagrams received: forwarded + consumed + dropped equals it at all times. */
export const STAT_RECEIVED: u32 = 0;
/** Superframes received from TAPs. */
export const STAT_SUPERFRAMES: u32 = 1;
/** Segments that superframes were split into. */
export const STAT_SEGMENTS: u32 = 2;
/** Superframes made for TAPs, */
export const STAT_COALESCED: u32 = 3;
/** and the packets in them. */
export const STAT_COALESCED_PACKETS: u32 = 4;
/** Packets made here: ARP, ND, ICMP. */
export const STAT_GENERATED: u32 = 5;
/** Inner checksums completed. */
export const STAT_CHECKSUMS_COMPLETED: u32 = 6;
/** Messages that carried more than one datagram. */
export const STAT_BATCHES: u32 = 7;
export const STAT_FLOWS_CREATED: u32 = 8;
export const STAT_FLOWS_EVICTED: u32 = 9;
/** Packets whose fate an established flow decided. */
export const STAT_FLOW_HITS: u32 = 10;
/** Inner IPv4 packets fragmented because they did not fit a tunnel. */
export const STAT_FRAGMENTED: u32 = 11;
/** Generated packets that were not sent: rate limit or no room. */
export const STAT_GENERATED_SUPPRESSED: u32 = 12;
/** Messages that the kernel refused: frames, groups of frames, or segments of one. */
export const STAT_MESSAGES_LOST: u32 = 13;
/** Connections that found their bucket full of established ones and were carried without an entry. */
export const STAT_FLOWS_REFUSED: u32 = 14;
/** Superframes that the node's kernel was given to split. */
export const STAT_INJECTED: u32 = 20;
/** Events of the flow log that found the ring full. */
export const STAT_EVENTS_LOST: u32 = 15;
export const STAT_COUNT: u32 = 32;
