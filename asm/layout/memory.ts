/**
 * Memory map: every region of the one linear memory, drawn, then named.
 *
 *     0x0000_0000 ┌──────────────────────────────┐
 *                 │ null page: offset 0 is never │  a zero descriptor points nowhere useful
 *     CONTROL     ├──────────────────────────────┤
 *                 │ control block (shared)       │  epoch, region bases, settings, socket kinds
 *     WORKERS     ├──────────────────────────────┤
 *                 │ worker 0   WORKER_STRIDE     │  private: descriptors, arenas, counters
 *                 │ worker 1 …                   │
 *                 ├──────────────────────────────┤  = WORKERS + workers × WORKER_STRIDE
 *                 │ flow region (file-backed)    │  address in CONTROL_FLOWS, page aligned
 *                 ├──────────────────────────────┤
 *                 │ table area A                 │  address in CONTROL_AREA_A
 *                 │ table area B                 │  address in CONTROL_AREA_B
 *                 └──────────────────────────────┘
 *
 * The module has no static data: nothing is ever written at instantiation, so
 * any number of instances (one a worker, one for the control thread) share the
 * memory. All multi-byte words are little-endian unless a name ends in `Be`.
 */

/** Bytes in a WebAssembly page. */
export const WASM_PAGE: u32 = 0x10000;

/** Most workers that one memory can serve. */
export const MAX_WORKERS: u32 = 8;

// ---- control block ---------------------------------------------------------

/** Start of the control block; one page of words shared by all threads. */
export const CONTROL: u32 = 0x1000;
/** u32, atomic: epoch of the live tables; its lowest bit selects area A (0) or B (1). */
export const CONTROL_EPOCH: u32 = 0x1000;
/** u32, atomic: non-zero asks every worker to leave its loop. */
export const CONTROL_STOP: u32 = 0x1004;
/** u32: milliseconds since an arbitrary start, written by each worker before a burst. */
export const CONTROL_CLOCK: u32 = 0x1008;
/** u32: byte offset of the flow region. */
export const CONTROL_FLOWS: u32 = 0x100c;
/** u32: byte size of the flow region. */
export const CONTROL_FLOWS_SIZE: u32 = 0x1010;
/** u32: byte offset of table area A. */
export const CONTROL_AREA_A: u32 = 0x1014;
/** u32: byte offset of table area B. */
export const CONTROL_AREA_B: u32 = 0x1018;
/** u32: byte size of one table area. */
export const CONTROL_AREA_SIZE: u32 = 0x101c;
/** u32: hash seed, drawn at random when the flow region is formatted. */
export const CONTROL_SEED: u32 = 0x1020;
/** u32: offload switches, OFFLOAD_* bits. */
export const CONTROL_OFFLOADS: u32 = 0x1024;

/** u32: most datagrams in one send; 0: DEFAULT_BATCH. Kernels before 6.9 refuse more than 64 (UDP_MAX_SEGMENTS). */
export const CONTROL_MAX_BATCH: u32 = 0x1028;
export const DEFAULT_BATCH: u32 = 64;

/** u32: not 0: workers write events of connections (asm/layout/events.ts). */
export const CONTROL_EVENTS: u32 = 0x102c;

/** u32: queues of each TAP that a worker reads, a power of two up to MAX_QUEUES; 0: one. */
export const CONTROL_QUEUES: u32 = 0x1030;

/** Rows of BUCKET_ROW_SIZE, indexed by port: how much of its rates it has used. */
export const CONTROL_BUCKETS: u32 = 0x4000;

/** One u8 a socket slot: SOCKET_* kind of what arrives there. */
export const CONTROL_SOCKET_KINDS: u32 = 0x1400;
/** Socket slots in all. */
export const MAX_SOCKETS: u32 = 512;
/** One u16 a socket slot: local UDP port, 0: none. */
export const CONTROL_SOCKET_PORTS: u32 = 0x1800;

/** Offloads that the host gives and the operator has not switched off. */
export const OFFLOAD_TSO: u32 = 0x1;
/** UDP superframes to and from TAPs. */
export const OFFLOAD_USO: u32 = 0x2;
/** Several datagrams in one send (UDP_SEGMENT). */
export const OFFLOAD_UDP_SEGMENT: u32 = 0x4;
/** Coalescing of inner TCP and UDP towards TAPs. */
export const OFFLOAD_COALESCE: u32 = 0x8;

// ---- worker region, offsets relative to the worker's base ---------------------

/** Start of worker 0. */
export const WORKERS: u32 = 0x10000;
/** Bytes from one worker's region to the next. */
export const WORKER_STRIDE: u32 = 0x2000000;

/** u32, atomic: the epoch under which the worker's current burst runs; 0 while it sleeps. */
export const WORKER_EPOCH: u32 = 0x0;
/** u32: transmit messages that wait for the addon. */
export const WORKER_TX_COUNT: u32 = 0x4;
/** u32: gather entries in use by them. */
export const WORKER_IOV_COUNT: u32 = 0x8;
/** u32: not 0: `shape` is to be called again within a millisecond. */
export const WORKER_SHAPING: u32 = 0xc;
/** u32: entries of SHAPER_SWITCHES that wait for the addon. */
export const WORKER_SWITCH_COUNT: u32 = 0x10;
/** u64: microseconds of CLOCK_MONOTONIC, written by the worker before a burst. */
export const WORKER_TIME: u32 = 0x18;
/** u32, atomic: events that the worker has written, and */
export const WORKER_EVENT_HEAD: u32 = 0x40;
/** u32, atomic: those of them that the control thread has read; it alone writes here. */
export const WORKER_EVENT_TAIL: u32 = 0x80;

/** u64 × MAX_VERDICTS, indexed by Verdict. */
export const WORKER_VERDICTS: u32 = 0x1000;
export const MAX_VERDICTS: u32 = 256;
/** u64 × STAT_COUNT: statistics that are no verdict. */
export const WORKER_STATS: u32 = 0x1800;
/** Rows of PORT_COUNTER_SIZE bytes, indexed by port. */
export const WORKER_PORT_COUNTERS: u32 = 0x10000;
/** Rows of TUNNEL_COUNTER_SIZE bytes, indexed by tunnel. */
export const WORKER_TUNNEL_COUNTERS: u32 = 0x20000;

/** Received frames of a burst: RX_FRAME_SIZE each. */
export const WORKER_RX_FRAMES: u32 = 0x120000;
/** Received datagrams of a burst: RX_DATAGRAM_SIZE each. */
export const WORKER_RX_DATAGRAMS: u32 = 0x121000;
/** Parsed packets of a vector: PACKET_SIZE each. */
export const WORKER_PACKETS: u32 = 0x124000;
/** What translated packets were before: rows of TRANSLATION_SIZE in the order of WORKER_PACKETS and its scratch row. */
export const WORKER_TRANSLATIONS: u32 = 0x12a000;
/** Transmit messages as the addon takes them: TX_MESSAGE_SIZE each. */
export const WORKER_TX_MESSAGES: u32 = 0x130000;
/** Gather list as the addon takes it: IOV_SIZE each. */
export const WORKER_TX_IOVS: u32 = 0x170000;
/** Gather list while messages to many peers are still open: IOV_SIZE each. */
export const WORKER_OPEN_IOVS: u32 = 0x1b0000;
/** Messages before they are grouped by peer and source port: PENDING_SIZE each. */
export const WORKER_PENDING: u32 = 0x1f0000;
/** First and last row of each chain of messages: u32 × 2 × PENDING_BUCKETS. */
export const WORKER_PENDING_CHAINS: u32 = 0x230000;
/** Ports of first fragments, so that later ones follow: FRAGMENT_SIZE each. */
export const WORKER_FRAGMENTS: u32 = 0x270000;
/** Segment headers, vnet headers and generated packets; a bump arena, reset each burst. */
export const WORKER_HEADERS: u32 = 0x290000;
/** End of the header arena. */
export const WORKER_HEADERS_END: u32 = 0x3f0000;
/** Frames read from TAPs, one after another, each behind FRAME_HEADROOM bytes. */
export const WORKER_FRAME_ARENA: u32 = 0x400000;
export const WORKER_FRAME_ARENA_END: u32 = 0x4c0000;
/** u8 a flow: queue of a TAP that it came by (asm/table/queue.ts), */
export const WORKER_QUEUES: u32 = 0x4c0000;
/** and how many there are, less one. */
export const WORKER_QUEUES_MASK: u32 = 0xffff;
/** Events of connections: EVENT_SIZE each. */
export const WORKER_EVENTS: u32 = 0x500000;
/** Flows whose packets were denied: DENIAL_SIZE each. */
export const WORKER_DENIALS: u32 = 0x600000;
/** u64 × MAX_DECISIONS: packets dropped under each policy decision. */
export const WORKER_DECISION_COUNTERS: u32 = 0x800000;
/** Datagrams read from sockets, DATAGRAM_STRIDE apart. */
export const WORKER_DATAGRAM_ARENA: u32 = 0xa00000;
export const WORKER_DATAGRAM_ARENA_END: u32 = 0x1220000;

/** What holds ports to their rates (asm/layout/shaper.ts), up to the region's end. */
export const WORKER_SHAPER: u32 = 0x1400000;

/**
 * Bytes after which a burst reads no more: a port or peer that always has some waits no longer than this takes for all
 * others, and as much stays in a core's cache.
 */
export const BURST_BYTES: u32 = 0x20000;
/** Most frames in a burst from TAPs. */
export const MAX_RX_FRAMES: u32 = 128;
/** Most messages in a burst from sockets; each can hold many datagrams. */
export const MAX_RX_DATAGRAMS: u32 = 128;
/** Packets that go through the stages together. */
export const MAX_VECTOR: u32 = 128;
/** Most messages that one call of the data path can leave for transmission, pending ones counted in. */
export const MAX_TX_MESSAGES: u32 = 8192;
/** Most gather entries behind them. */
export const MAX_IOVS: u32 = 32768;

/** Room before each frame: outer Ethernet, IPv6, UDP, GENEVE with options, aligned. */
export const FRAME_HEADROOM: u32 = 192;
/** Largest frame from a TAP: vnet header and a 64 KiB superframe with its Ethernet header. */
export const MAX_FRAME: u32 = 65664;
/** Largest datagram buffer. */
export const MAX_DATAGRAM: u32 = 65536;
/** From one datagram buffer to the next: room before and after, 64-byte aligned. */
export const DATAGRAM_STRIDE: u32 = 66048;
/** Room before each datagram, for the headers of a reply. */
export const DATAGRAM_HEADROOM: u32 = 256;

// ---- limits of the tables ----------------------------------------------------------

/** Local ports (pods and node TAPs). Queue q of port p is slot q × MAX_PORTS + p in the addon. */
export const MAX_PORTS: u32 = 1024;
/** Queues of one TAP that one worker reads. */
export const MAX_QUEUES: u32 = 8;
/** Slot of the TAP through which superframes are injected into the node's kernel; no pod's. */
export const INJECTION_SLOT: u32 = 1023;
/** Slot of the packet socket by which peers of the same subnet are reached without a tunnel; no pod's. */
export const DIRECT_SLOT: u32 = 1022;
/** Slots from here on are sockets: MAX_PORTS × MAX_QUEUES. */
export const FIRST_SOCKET_SLOT: u32 = 8192;
/** Tunnels: one a peer, encapsulation and underlay family. */
export const MAX_TUNNELS: u32 = 16384;
/** Policy decisions that are counted one by one. */
export const MAX_DECISIONS: u32 = 0x40000;

/** Bytes of virtio_net_hdr_v1 (linux/virtio_net.h) before each frame of a TAP. */
export const VNET_HEADER: u32 = 12;
/** Bytes of virtio_net_hdr_v1_hash_tunnel before each injected frame. */
export const VNET_TUNNEL_HEADER: u32 = 24;
