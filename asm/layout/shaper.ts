/**
 * Shaper: what ports with a rate have used of it, and the frames that wait for such a port.
 *
 *     shared by all workers, at CONTROL_BUCKETS, a row a port
 *       0               8                16
 *       ├ egress: i64 ──┼ ingress: i64 ──┤      nanoseconds of CLOCK_MONOTONIC until which the bucket is in debt
 *
 *     private to a worker, at WORKER_SHAPER
 *       ├ words ┼ switches ┼ paused ports ┼ holding ports ┼ queues ┼ blocks ──────► ┤
 *
 *     queue of a port ──► frame ──► frame ──► …        in the order in which they came
 *                           └ block ─► block ─► …
 */
// ---- bucket ----------------------------------------------------------------------------
export const BUCKET_ROW_SIZE: u32 = 16;
export const BUCKET_EGRESS: u32 = 0;
export const BUCKET_INGRESS: u32 = 8;

// ---- words of the private part, offsets from WORKER_SHAPER --------------------------------
/** u32: entries of SHAPER_PAUSED. */
export const SHAPER_PAUSED_COUNT: u32 = 0;
/** u32: entries of SHAPER_HOLDING. */
export const SHAPER_HOLDING_COUNT: u32 = 4;
/** u32: first block that was given back, absolute; 0: none. */
export const SHAPER_FREE: u32 = 8;
/** u32: blocks that were ever taken: those behind are untouched. */
export const SHAPER_TOUCHED: u32 = 12;
/** u32: blocks in use. */
export const SHAPER_USED: u32 = 16;

/** u32 each: ports whose TAP is to be read no more or again, see TAP_PAUSED. */
export const SHAPER_SWITCHES: u32 = 0x1000;
/** u32 each: ports that are not read until their bucket is out of debt. */
export const SHAPER_PAUSED: u32 = 0x3000;
/** u32 each: ports that frames wait for. */
export const SHAPER_HOLDING: u32 = 0x4000;
/** Rows of QUEUE_ROW_SIZE, indexed by port. */
export const SHAPER_QUEUES: u32 = 0x8000;
/** Blocks of SHAPER_BLOCK_SIZE. */
export const SHAPER_BLOCKS: u32 = 0x10000;
export const SHAPER_BLOCK_COUNT: u32 = 0x17e0;

// ---- queue of a port ------------------------------------------------------------------------
//
//      0       4      8       12      16
//      ├ first ┼ last ┼ bytes ┼ flags ┤
//
export const QUEUE_ROW_SIZE: u32 = 16;
/** u32: first block of the frame that waits longest, absolute; 0: none waits. */
export const QUEUE_FIRST: u32 = 0;
export const QUEUE_LAST: u32 = 4;
/** u32: bytes that wait, without vnet headers. */
export const QUEUE_BYTES: u32 = 8;
/** u32: not 0: the port's TAP is not read. */
export const QUEUE_IS_PAUSED: u32 = 12;

// ---- block ------------------------------------------------------------------------------------
//
//      0      4            8        12       16         2048
//      ├ next ┼ next frame ┼ length ┼ queue ─┼ bytes … ─┤
//
export const SHAPER_BLOCK_SIZE: u32 = 2048;
/** u32: next block of the frame, or next free one, absolute; 0: the last. */
export const BLOCK_NEXT: u32 = 0;
/** u32: first block of the next frame; in a frame's first block. */
export const BLOCK_NEXT_FRAME: u32 = 4;
/** u32: bytes of the frame with its vnet header; in its first block. */
export const BLOCK_LENGTH: u32 = 8;
/** u32: queue of the port that it goes to; in its first block. */
export const BLOCK_QUEUE: u32 = 12;
export const BLOCK_BYTES: u32 = 16;

/** Most entries of SHAPER_SWITCHES: every port once or twice. */
export const MAX_SWITCHES: u32 = 2048;
