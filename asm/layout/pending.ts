/**
 * Pending: datagrams for one socket and one peer, waiting to be grouped into messages.
 *
 *      0      2   3       4         8         12       14       16       20      24          28     32
 *      ├ slot ┼tos┼closed ┼ iov ────┼ iovs ───┼segment ┼ frames ┼ tunnel ┼ bytes ┼ datagrams ┼ next ┤
 */
export const PENDING_SIZE: u32 = 32;
/** u16. */
export const PENDING_SLOT: u32 = 0;
/** u8. */
export const PENDING_TOS: u32 = 2;
/** u32: first entry in WORKER_OPEN_IOVS. */
export const PENDING_IOV: u32 = 4;
/** u32. */
export const PENDING_IOVS: u32 = 8;
/** u16: bytes of every datagram but the last, which may be shorter. */
export const PENDING_SEGMENT: u32 = 12;
/** u16: received frames whose fate this row decides. */
export const PENDING_FRAMES: u32 = 14;
/** u32. */
export const PENDING_TUNNEL: u32 = 16;
/** u32. */
export const PENDING_BYTES: u32 = 20;
/** u32. */
export const PENDING_DATAGRAMS: u32 = 24;
/** u32: next row to the same peer and socket, 0: last. */
export const PENDING_NEXT: u32 = 28;
/** u32 × 2 each: first and last row of a chain. */
export const PENDING_BUCKETS: u32 = 256;
/** u32 × PENDING_BUCKETS behind WORKER_PENDING_CHAINS: the chains in use, in the order of their first rows. */
export const PENDING_USED: u32 = 2048;
