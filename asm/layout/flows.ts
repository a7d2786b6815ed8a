/**
 * Flow region: connections, kept in a file that outlives the daemon.
 *
 *     FLOWS ┌──────────────────────────────────────┐
 *           │ header, one page                     │  magic, version, size, epoch, seed
 *           ├──────────────────────────────────────┤
 *           │ tags: 8 × u32 a bucket               │  0: free, FLOW_TAG_BUSY: being written
 *           ├──────────────────────────────────────┤
 *           │ entries: 8 × FLOW_SIZE a bucket      │  same order
 *           └──────────────────────────────────────┘
 *
 * One entry a connection, found from either direction: the hash is symmetrical.
 */

/** u32: "OWFL". */
export const FLOWS_MAGIC: u32 = 0;
export const FLOWS_MAGIC_VALUE: u32 = 0x4c46574f;
/** u32: version of this layout. */
export const FLOWS_VERSION: u32 = 4;
export const FLOWS_VERSION_VALUE: u32 = 1;
/** u32: bytes of the region. */
export const FLOWS_SIZE: u32 = 8;
/** u32: epoch of the tables last published over it. */
export const FLOWS_EPOCH: u32 = 12;
/** u32: CONTROL_SEED of the hashes in it. */
export const FLOWS_SEED: u32 = 16;
/** u32: buckets − 1. */
export const FLOWS_MASK: u32 = 20;
/** u32: times that a region which did not fit was thrown away. */
export const FLOWS_DISCARDED: u32 = 24;
export const FLOWS_HEADER_SIZE: u32 = 4096;
/** Entries in a bucket. */
export const FLOW_WAYS: u32 = 8;
/** Bytes of one bucket's tags. */
export const FLOW_TAGS_SIZE: u32 = 32;
export const FLOW_TAG_BUSY: u32 = 0xffffffff;

// ---- flow -----------------------------------------------------------------------------
//
//      0            16           32      34      36     37    38      40      44         48     52
//      ├ originator ┼ responder ─┼ oport ┼ rport ┼proto ┼state┼ flags ┼ epoch ┼ decision ┼ seen ┤
//      52        56        60      72          80          88        96        104      128
//      ├ out → ──┼ out ← ──┼ (zero)┼ packets → ┼ packets ← ┼ bytes → ┼ bytes ← ┼ (zero) ┤
//
export const FLOW_SIZE: u32 = 128;
/** 16 bytes: who sent the first packet. */
export const FLOW_ORIGINATOR: u32 = 0;
/** 16 bytes. */
export const FLOW_RESPONDER: u32 = 16;
/** u16: port of the originator. */
export const FLOW_OPORT: u32 = 32;
/** u16: port of the responder. */
export const FLOW_RPORT: u32 = 34;
/** u8. */
export const FLOW_PROTOCOL: u32 = 36;
/** u8: FLOW_IS_NEW … */
export const FLOW_STATE: u32 = 37;
/** u16: FLOW_FLAG_* bits. */
export const FLOW_FLAGS: u32 = 38;
/** u32: epoch that it was last decided under. */
export const FLOW_EPOCH: u32 = 40;
/** u32: policy cell that decided; POLICY_CELL_ALLOW set: may pass. */
export const FLOW_DECISION: u32 = 44;
/** u32: CONTROL_CLOCK of the last packet. */
export const FLOW_SEEN: u32 = 48;
/** u32: way out of packets from the originator: ROUTE_* << 16 | target; 0: not known. */
export const FLOW_OUT_FORWARD: u32 = 52;
/** u32: way out of packets from the responder. */
export const FLOW_OUT_REVERSE: u32 = 56;
/** u64. */
export const FLOW_PACKETS_FORWARD: u32 = 72;
export const FLOW_PACKETS_REVERSE: u32 = 80;
export const FLOW_BYTES_FORWARD: u32 = 88;
export const FLOW_BYTES_REVERSE: u32 = 96;

/** Only the originator has spoken. */
export const FLOW_IS_NEW: u32 = 1;
/** Both have. */
export const FLOW_IS_ESTABLISHED: u32 = 2;
/** TCP: a FIN or RST was seen. */
export const FLOW_IS_CLOSING: u32 = 3;

/** The originator is a process of this node: always admitted here. */
export const FLOW_FLAG_FROM_NODE: u32 = 0x1;

/** PACKET_DIRECTION: from the originator. */
export const DIRECTION_FORWARD: u32 = 0;
/** From the responder. */
export const DIRECTION_REVERSE: u32 = 1;
