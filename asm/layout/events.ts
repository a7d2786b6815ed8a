/**
 * Events: what a worker tells of connections, in a ring of its own that the control thread drains.
 *
 *     worker ── writes row, then HEAD ──►│ e₀ │ e₁ │ … │ e₈₁₉₁ │── reads up to HEAD, then stores TAIL ──► control
 *
 * HEAD and TAIL count rows for ever; a row lies at its number modulo EVENTS. A full ring loses what
 * comes next, and counts it (STAT_EVENTS_LOST). Off unless CONTROL_EVENTS is set.
 */

/** Rows of a worker's ring, a power of two. */
export const EVENTS: u32 = 8192;

// ---- event --------------------------------------------------------------------------
//
//      0     1       2      3     4       8      12     16       32            48      50      52
//      ├kind ┼reason ┼proto ┼ (0)─┼verdict┼ cell ┼ time ┼ source ┼ destination ┼ sport ┼ dport ┤
//      52      54     56          64          72        80        88      96         112  128
//      ├ fport ┼ zero ┼ packets → ┼ packets ← ┼ bytes → ┼ bytes ← ┼ zero  ┼ frontend ┼ zero ┤
//
export const EVENT_SIZE: u32 = 128;
/** u8: EVENT_OPENED … */
export const EVENT_KIND: u32 = 0;
/** u8: CLOSED_* of EVENT_CLOSED. */
export const EVENT_REASON: u32 = 1;
/** u8. */
export const EVENT_PROTOCOL: u32 = 2;
/** u32: Verdict of EVENT_DENIED. */
export const EVENT_VERDICT: u32 = 4;
/** u32: policy cell that decided; 0: none was asked. */
export const EVENT_CELL: u32 = 8;
/** u32: CONTROL_CLOCK. */
export const EVENT_TIME: u32 = 12;
/** 16 bytes: the originator, of EVENT_DENIED the packet's source. */
export const EVENT_SOURCE: u32 = 16;
/** 16 bytes. */
export const EVENT_DESTINATION: u32 = 32;
/** u16: of an echo the identifier. */
export const EVENT_SPORT: u32 = 48;
/** u16. */
export const EVENT_DPORT: u32 = 50;
/** u16: port of the Service that the source knocked at; 0: none. */
export const EVENT_FPORT: u32 = 52;
/** 16 bytes: its address. */
export const EVENT_FRONTEND: u32 = 96;
/** u64: from the source; of EVENT_DENIED the packets since the flow's event before. */
export const EVENT_PACKETS_FORWARD: u32 = 56;
/** u64: to the source. */
export const EVENT_PACKETS_REVERSE: u32 = 64;
export const EVENT_BYTES_FORWARD: u32 = 72;
export const EVENT_BYTES_REVERSE: u32 = 80;

export const EVENT_OPENED: u32 = 1;
export const EVENT_DENIED: u32 = 2;
export const EVENT_CLOSED: u32 = 3;

/** Both sides have sent FIN. */
export const CLOSED_FINISHED: u32 = 1;
/** RST, ABORT or SHUTDOWN COMPLETE. */
export const CLOSED_RESET: u32 = 2;
/** Silent for too long. */
export const CLOSED_EXPIRED: u32 = 3;
/** Gave way to a new connection. */
export const CLOSED_EVICTED: u32 = 4;

// ---- denial: when a flow's packets were last told of ------------------------------------
//
//      0      4      8       12     16
//      ├ hash ┼ time ┼ count ┼ (zero)┤
//
/** Rows, a power of two: a flow's packets of one verdict take the row of their hash. */
export const DENIALS: u32 = 4096;
export const DENIAL_SIZE: u32 = 16;
/** u32: of the flow and the verdict. */
export const DENIAL_HASH: u32 = 0;
/** u32: CONTROL_CLOCK of the flow's event. */
export const DENIAL_TIME: u32 = 4;
/** u32: packets since, the next one counted in; 0: the row is free. */
export const DENIAL_COUNT: u32 = 8;
