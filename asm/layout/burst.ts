/**
 * Descriptors that cross the boundary between the addon and the data path.
 *
 * All words little-endian; offsets in bytes from the descriptor's start;
 * memory offsets are absolute in linear memory.
 */

// ---- RxFrame: one read from a TAP; written by the addon ----------------------------
//
//      0         4         8    10    11         16
//      ├ offset ─┼ length ─┼port┼queue┼ (unused) ┤      offset points at the vnet header
//
export const RX_FRAME_SIZE: u32 = 16;
export const RX_FRAME_OFFSET: u32 = 0;
export const RX_FRAME_LENGTH: u32 = 4;
/** u16: port of the TAP. */
export const RX_FRAME_PORT: u32 = 8;
/** u8: its queue. */
export const RX_FRAME_QUEUE: u32 = 10;

// ---- RxDatagram: one message from a socket, GRO-merged or not; written by the addon --
//
//      0         4         8          12    14  15       16                32      34  36
//      ├ offset ─┼ length ─┼ segment ─┼ slot ┼tos┼ flags ┼ source address ─┼ sport ┼hop┤ … 48
//
export const RX_DATAGRAM_SIZE: u32 = 48;
export const RX_DATAGRAM_OFFSET: u32 = 0;
/** u32: bytes received. */
export const RX_DATAGRAM_LENGTH: u32 = 4;
/** u32: bytes of each merged datagram (UDP_GRO), the last may be shorter; 0: a single one. */
export const RX_DATAGRAM_SEGMENT: u32 = 8;
/** u16: slot of the socket. */
export const RX_DATAGRAM_SLOT: u32 = 12;
/** u8: outer TOS or traffic class. */
export const RX_DATAGRAM_TOS: u32 = 14;
/** u8: RX_FLAG_* bits. */
export const RX_DATAGRAM_FLAGS: u32 = 15;
/** 16 bytes, network order; IPv4 as ::ffff:a.b.c.d. */
export const RX_DATAGRAM_SOURCE: u32 = 16;
/** u16: outer source port, host order; 0 for raw sockets. */
export const RX_DATAGRAM_SPORT: u32 = 32;

/** The datagram was longer than its buffer (MSG_TRUNC). */
export const RX_FLAG_TRUNCATED: u32 = 1;

// ---- TxMessage: one writev to a TAP or one message of a sendmmsg -----------------------
//
//      0      2   3       4         8         12       14       16        20       24
//      ├ slot ┼tos┼ queue ┼ iov ────┼ iovs ───┼segment ┼ frames ┼ address ┼ status ┼ tunnel … 32
//
export const TX_MESSAGE_SIZE: u32 = 32;
/** u16: port of the TAP, or slot of the socket. */
export const TX_SLOT: u32 = 0;
/** u8: outer TOS or traffic class, sockets only. */
export const TX_TOS: u32 = 2;
/** u8: queue of the TAP; 0 for sockets. */
export const TX_QUEUE: u32 = 3;
/** u32: index of the first gather entry. */
export const TX_IOV: u32 = 4;
/** u32: number of gather entries, at most 1024. */
export const TX_IOVS: u32 = 8;
/** u16: UDP_SEGMENT size; 0 sends a single datagram. */
export const TX_SEGMENT: u32 = 12;
/** u16: received frames whose fate this message decides. */
export const TX_FRAMES: u32 = 14;
/** u32: offset of a SOCKADDR_SIZE image, sockets only; 0 for TAPs. */
export const TX_ADDRESS: u32 = 16;
/** i32: written by the addon: 0, or the errno with which the kernel refused the message. */
export const TX_STATUS: u32 = 20;
/** u32: tunnel whose counters the message went to, or NO_TUNNEL. */
export const TX_TUNNEL: u32 = 24;
/** u32: payload bytes of the message. */
export const TX_BYTES: u32 = 28;

/** TX_TUNNEL of messages to a TAP. */
export const NO_TUNNEL: u32 = 0xffffffff;

// ---- switch of a TAP: u32, its port and perhaps this bit -----------------------------------------
/** Its frames are not to be read; without it, they are again. */
export const TAP_PAUSED: u32 = 0x80000000;

// ---- gather entry -------------------------------------------------------------------------
export const IOV_SIZE: u32 = 8;
export const IOV_OFFSET: u32 = 0;
export const IOV_LENGTH: u32 = 4;

/** Bytes of struct sockaddr_in6 (linux/in6.h); a sockaddr_in occupies its first 16. */
export const SOCKADDR_SIZE: u32 = 28;
