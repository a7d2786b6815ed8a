/**
 * Flow region: connections, kept in a file that outlives the daemon.
 *
 *     FLOWS ┌──────────────────────────────────────┐
 *           │ header, one page                     │  magic, version, size, epoch, seed
 *           ├──────────────────────────────────────┤
 *           │ tags: 8 × u32 a bucket               │  0: free, FLOW_TAG_BUSY: being written
 *           ├──────────────────────────────────────┤
 *           │ entries: 8 × FLOW_SIZE a bucket      │  same order
 *           ├──────────────────────────────────────┤
 *           │ translations: 8 × TRANSLATION_SIZE   │  same order
 *           └──────────────────────────────────────┘
 *
 * One entry a connection, found from either direction: the hash is symmetrical. A connection to a Service has two, each
 * of which finds the other: the flow, between the ends that the packets have once they are translated, and its front,
 * between the ends that the client knows. Only the flow is judged, counted and moved on.
 *
 *     client ──► frontend address    front ──translation──► flow    client ──► backend
 *                                          ◄──translation──
 */

/** u32: "OWFL". */
export const FLOWS_MAGIC: u32 = 0;
export const FLOWS_MAGIC_VALUE: u32 = 0x4c46574f;
/** u32: version of this layout. */
export const FLOWS_VERSION: u32 = 4;
export const FLOWS_VERSION_VALUE: u32 = 4;
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
//      0            16           32      34      36     37     38      40       48       56       64
//      ├ originator ┼ responder ─┼ oport ┼ rport ┼proto ┼ state┼ flags ┼ judged ┼ path → ┼ path ← ┤
//      64     68     69     70     71     72          80          88        96        104   116   128
//      ├ seen ┼scale→┼marks→┼scale←┼marks←┼ packets → ┼ packets ← ┼ bytes → ┼ bytes ← ┼ TCP→┼ TCP←┤
//
// The first half changes with the tables, the second with every packet. Words of one direction are
// written by packets of that direction alone, so that two workers do not undo each other's work.
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
/** u8: FLOW_IS_NEW …; rises while the connection lasts. */
export const FLOW_STATE: u32 = 37;
/** u16: FLOW_FLAG_* bits. */
export const FLOW_FLAGS: u32 = 38;
//
// What was decided, each in one word that is stored at once. Its high half is the epoch that it was
// decided under, exclusive-or the flow's hash: a word of another epoch, or written late by a worker
// whose flow has lost this entry, says nothing.
//
/** u64: policy cell that decided; POLICY_CELL_ALLOW set: may pass. */
export const FLOW_JUDGED: u32 = 40;
/** u64: way out of packets from the originator: ROUTE_* << 16 | target; 0: not known. */
export const FLOW_PATH_FORWARD: u32 = 48;
/** u64: way out of packets from the responder. */
export const FLOW_PATH_REVERSE: u32 = 56;
/** u32: CONTROL_CLOCK of the last packet. */
export const FLOW_SEEN: u32 = 64;
/** u8 × 2: shift of the originator's TCP window (RFC 7323 §2.2), FLOW_MARK_* bits; the responder's follow. */
export const FLOW_SCALE_FORWARD: u32 = 68;
export const FLOW_MARKS_FORWARD: u32 = 69;
/** u64. */
export const FLOW_PACKETS_FORWARD: u32 = 72;
export const FLOW_PACKETS_REVERSE: u32 = 80;
export const FLOW_BYTES_FORWARD: u32 = 88;
export const FLOW_BYTES_REVERSE: u32 = 96;
/** What the originator has sent; what the responder has follows. */
export const FLOW_SENT_FORWARD: u32 = 104;
export const FLOW_SENT_SIZE: u32 = 12;
/** u32: behind the last sequence number sent. SCTP: the verification tag that packets of this direction carry. */
export const SENT_END: u32 = 0;
/** u32: largest acknowledgement sent. */
export const SENT_ACK: u32 = 4;
/** u32: largest window offered, in bytes. */
export const SENT_WINDOW: u32 = 8;

/** Only the originator has spoken. */
export const FLOW_IS_NEW: u32 = 1;
/** TCP: SYN and SYN+ACK were seen; SCTP: INIT and INIT ACK. */
export const FLOW_IS_ANSWERED: u32 = 2;
/** Both have spoken; TCP: the SYN+ACK was acknowledged; SCTP: the cookie. */
export const FLOW_IS_ESTABLISHED: u32 = 3;
/** TCP: one side has sent its FIN. */
export const FLOW_IS_CLOSING: u32 = 4;
/** TCP: both have. */
export const FLOW_IS_CLOSED: u32 = 5;
/** TCP: a RST was seen; SCTP: ABORT or SHUTDOWN COMPLETE. */
export const FLOW_IS_RESET: u32 = 6;

/** The originator is a process of this node: always admitted here. */
export const FLOW_FLAG_FROM_NODE: u32 = 0x1;
/** TCP, SCTP: taken up in the middle. */
export const FLOW_FLAG_PICKED_UP: u32 = 0x2;
/** The flow log has been told of its end. */
export const FLOW_FLAG_TOLD: u32 = 0x4;

/** Not a connection but what its client sees of one: TRANSLATION names the flow. */
export const FLOW_FLAG_FRONT: u32 = 0x8;
/** TRANSLATION tells the ends that the client sees. */
export const FLOW_FLAG_TRANSLATED: u32 = 0x10;

/**
 * Of a translated flow: TRANSLATION_BESIDE names the connection past the Service whose client sees the same ends as the
 * endpoint of this one does.
 */
export const FLOW_FLAG_HAS_BESIDE: u32 = 0x40;

/** Not a connection but the endpoint that a client keeps at a Service: TRANSLATION names it. */
export const FLOW_FLAG_AFFINITY: u32 = 0x20;
/** FLOW_PROTOCOL of those, which no packet has (RFC 5237: reserved). */
export const AFFINITY_PROTOCOL: u32 = 255;

/** What was sent is known. */
export const FLOW_MARK_SPOKEN: u32 = 0x1;
/** Its SYN offered window scaling. */
export const FLOW_MARK_SCALES: u32 = 0x2;
/** Has sent a FIN. */
export const FLOW_MARK_FIN: u32 = 0x4;

/** PACKET_DIRECTION: from the originator. */
export const DIRECTION_FORWARD: u32 = 0;
/** From the responder. */
export const DIRECTION_REVERSE: u32 = 1;

// ---- translation: the other ends of a connection, in the direction from its originator ---------
//
//      0        16            32      34      36     40        44     48     52       56     64
//      ├ source ┼ destination ┼ sport ┼ dport ┼ twin ┼ checked ┼ hint ┼ keep ┼ beside ┼ zero ┤
//
// A front, or an affinity, which counts nothing, has its own in its entry, so that a look-up has it at hand.
//
export const TRANSLATION_SIZE: u32 = 64;
/** Where it begins in a front's or an affinity's entry; what lies behind `keep` is left out. */
export const FRONT_TRANSLATION: u32 = 72;
/** 16 bytes. */
export const TRANSLATION_SOURCE: u32 = 0;
/** 16 bytes. */
export const TRANSLATION_DESTINATION: u32 = 16;
/** u32: both ports as PACKET_SPORT has them. */
export const TRANSLATION_PORTS: u32 = 32;
/** u32: entry that has these ends, from the region's start; it may have gone. */
export const TRANSLATION_TWIN: u32 = 36;
/** u32: epoch under which the backend was last found to serve; of fronts. */
export const TRANSLATION_CHECKED: u32 = 40;
/** u32: place of the backend in its pool then; of fronts. */
export const TRANSLATION_HINT: u32 = 44;
/** u32: milliseconds for which a client keeps its endpoint; of FLOW_FLAG_AFFINITY. */
export const TRANSLATION_KEEP: u32 = 48;
/** u32: entry of a connection past the Service, from the region's start; it may have gone. Of FLOW_FLAG_HAS_BESIDE. */
export const TRANSLATION_BESIDE: u32 = 52;

/** Clients' ports begin here: ip_local_port_range of Linux, and all others begin higher. */
export const FIRST_CLIENT_PORT: u32 = 32_768;
