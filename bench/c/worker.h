// The linear memory as C structures, drawn in asm/layout/*.ts, and the state of one worker.
//
// Offsets are generated from the same files (layout.h), so a layout that has moved does not compile.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "layout.h"

struct address {
  uint64_t low, high;
};

struct mac {
  uint8_t bytes[6];
};

struct rx_frame {
  uint32_t offset, length;
  uint16_t port, unused[3];
};
_Static_assert(sizeof(struct rx_frame) == RX_FRAME_SIZE, "rx_frame");

struct rx_datagram {
  uint32_t offset, length, segment;
  uint16_t slot;
  uint8_t tos, flags;
  struct address source;
  uint16_t sport, unused[7];
};
_Static_assert(sizeof(struct rx_datagram) == RX_DATAGRAM_SIZE, "rx_datagram");

struct iov {
  uint32_t offset, length;
};

struct tx_message {
  uint16_t slot;
  uint8_t tos, flags;
  uint32_t iov, iovs;
  uint16_t segment, frames;
  uint32_t address;
  int32_t status;
  uint32_t tunnel, bytes;
};
_Static_assert(sizeof(struct tx_message) == TX_MESSAGE_SIZE, "tx_message");

struct pending {
  uint16_t slot;
  uint8_t tos, closed;
  uint32_t iov, iovs;
  uint16_t segment, frames;
  uint32_t tunnel, bytes, datagrams, next;
};
_Static_assert(sizeof(struct pending) == PENDING_SIZE, "pending");

struct chain {
  uint32_t first, last;
};

struct packet {
  uint32_t data, length, verdict;
  uint16_t slot, l3, l4, payload, ether_type;
  uint8_t protocol, version;
  uint16_t flags, gso_size;
  uint32_t end;
  struct address source, destination;
  uint16_t sport, dport;
  uint32_t hash, flow, tunnel, from, to, route, target, decision;
  uint16_t fragment_offset;
  uint8_t tos, ttl;
  uint32_t fragment_id;
  uint16_t mtu;
  uint8_t outer_tos, vlans, tcp_flags, gso_type, direction, unused;
  uint16_t next_header;
  uint8_t rest[10];
};
_Static_assert(sizeof(struct packet) == PACKET_SIZE, "packet");
_Static_assert(offsetof(struct packet, end) == PACKET_END, "packet.end");
_Static_assert(offsetof(struct packet, hash) == PACKET_HASH, "packet.hash");
_Static_assert(offsetof(struct packet, next_header) == PACKET_NEXT_HEADER, "packet.next_header");

struct flow {
  struct address originator, responder;
  uint16_t oport, rport;
  uint8_t protocol, state;
  uint16_t flags;
  uint64_t judged, path[2];
  uint32_t seen;
  struct {
    uint8_t scale, marks;
  } side[2];
  uint64_t packets[2], bytes[2];
  struct sent {
    uint32_t end, ack, window;
  } sent[2];
};
_Static_assert(sizeof(struct flow) == FLOW_SIZE, "flow");
_Static_assert(offsetof(struct flow, path) == FLOW_PATH_FORWARD, "flow.path");
_Static_assert(offsetof(struct flow, packets) == FLOW_PACKETS_FORWARD, "flow.packets");
_Static_assert(offsetof(struct flow, sent) == FLOW_SENT_FORWARD, "flow.sent");

struct endpoint {
  struct address address;
  uint32_t identity;
  uint16_t port, flags;
  struct mac mac;
  uint16_t tunnel;
};
_Static_assert(sizeof(struct endpoint) == HASH_ROW_SIZE, "endpoint");

struct trie_node {
  struct address key;
  uint32_t at, outside, children, leaves;
  uint8_t children_before[4], leaves_before[4];
  uint64_t zero[3];
  struct {
    uint64_t children, leaves;
  } slots[4];
};
_Static_assert(sizeof(struct trie_node) == TRIE_NODE_SIZE, "trie_node");
_Static_assert(offsetof(struct trie_node, slots) == TRIE_SLOTS, "trie_node.slots");

struct trie_bucket {
  struct address keys[2];
  uint32_t bits[2], values[2], around, zero[3];
};
_Static_assert(sizeof(struct trie_bucket) == TRIE_BUCKET_SIZE, "trie_bucket");

struct peer {
  struct address address;
  uint16_t tunnels[3], used;
  uint32_t zero[2];
};
_Static_assert(sizeof(struct peer) == HASH_ROW_SIZE, "peer");

struct tunnel {
  uint8_t kind, family;
  uint16_t header_length;
  uint32_t peer, mtu;
  uint16_t slot, slots;
  uint32_t vni;
  uint8_t tos, ttl;
  uint16_t flags;
  uint8_t sockaddr[SOCKADDR_SIZE];
  struct mac inner_destination, inner_source;
  struct address remote, local;
  uint8_t header[96];
  uint16_t outer_length;
  uint8_t outer[62];
};
_Static_assert(sizeof(struct tunnel) == TUNNEL_SIZE, "tunnel");
_Static_assert(offsetof(struct tunnel, header) == TUNNEL_HEADER, "tunnel.header");

struct port {
  uint8_t kind, flags;
  uint16_t mtu;
  struct mac mac;
  uint16_t zero;
  uint32_t egress_set, ingress_set, rest[11];
};
_Static_assert(sizeof(struct port) == PORT_SIZE, "port");

struct policy_set {
  uint32_t rows, count, tcp, udp, sctp, other;
};

struct table {
  uint32_t base, mask, count;
};

struct tables {
  uint32_t epoch, free, end;
  struct table endpoints;
  uint32_t routes4, routes6, cidrs4, cidrs6, zero[2];
  struct table peers;
  uint32_t tunnels, tunnels_count, ports, ports_count, node_port;
  struct mac router_mac;
};
_Static_assert(offsetof(struct tables, peers) == TABLES_PEERS, "tables.peers");
_Static_assert(offsetof(struct tables, router_mac) == TABLES_ROUTER_MAC, "tables.router_mac");

// The open group of coalesce.h.
struct group {
  uint32_t protocol, port, number, vnet, header_bytes, ip_bytes, version, size, count, payload_bytes;
  uint32_t next_sequence, packed, packed_end;
  bool is_closed;
  struct tx_message* message;
};

struct worker {
  uint8_t* memory;
  uint32_t base, area, epoch, now, flows, offloads, max_batch, seed, headers, headers_end;
  uint32_t messages, iovs, rows, open_iovs, chains;
  struct group group;
  // A packet left the ways that this program knows; what it emitted is worthless.
  bool is_lost;
};

static inline void* at(const struct worker* w, uint32_t offset) { return w->memory + offset; }
static inline uint32_t offset_of(const struct worker* w, const void* p) {
  return (uint32_t)((const uint8_t*)p - w->memory);
}
static inline const struct tables* tables(const struct worker* w) { return at(w, w->area); }

static inline uint16_t load16(const void* p) {
  uint16_t v;
  memcpy(&v, p, sizeof v);
  return v;
}
static inline uint32_t load32(const void* p) {
  uint32_t v;
  memcpy(&v, p, sizeof v);
  return v;
}
static inline uint64_t load64(const void* p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
  return v;
}
static inline void store16(void* p, uint16_t v) { memcpy(p, &v, sizeof v); }
static inline void store32(void* p, uint32_t v) { memcpy(p, &v, sizeof v); }
static inline void store64(void* p, uint64_t v) { memcpy(p, &v, sizeof v); }
static inline uint32_t load16_be(const void* p) { return __builtin_bswap16(load16(p)); }
static inline uint32_t load32_be(const void* p) { return __builtin_bswap32(load32(p)); }
static inline void store16_be(void* p, uint32_t v) { store16(p, __builtin_bswap16((uint16_t)v)); }
static inline void store32_be(void* p, uint32_t v) { store32(p, __builtin_bswap32(v)); }

// As asm/wire/copy.ts: memcpy of a few bytes whose number is not constant is a call, or a string instruction.
static inline void copy_short(uint8_t* to, const uint8_t* from, uint32_t n) {
  uint32_t i = 0;
  for (const uint32_t vectors = n & ~15u; i < vectors; i += 16) memcpy(to + i, from + i, 16);
  if (n & 8) {
    store64(to + i, load64(from + i));
    i += 8;
  }
  if (n & 4) {
    store32(to + i, load32(from + i));
    i += 4;
  }
  if (n & 2) {
    store16(to + i, load16(from + i));
    i += 2;
  }
  if (n & 1) to[i] = from[i];
}

// Ethernet addresses and type; two bytes more are read behind each address.
static inline void ethernet_write(uint8_t* p, const void* destination, const void* source, uint32_t type) {
  store64(p, load64(destination));
  store64(p + 6, load64(source));
  store16_be(p + 12, type);
}

static inline bool same_address(const struct address* a, const struct address* b) {
  return a->low == b->low && a->high == b->high;
}
// Two bytes more are read behind each.
static inline bool same_mac(const void* a, const void* b) { return (load64(a) ^ load64(b)) << 16 == 0; }
static inline bool in_progress(const struct packet* p) { return p->verdict == VERDICT_InProgress; }

static inline const struct port* port_row(const struct worker* w, uint32_t port) {
  const struct tables* t = tables(w);
  return port < t->ports_count ? (const struct port*)at(w, t->ports) + port : NULL;
}
static inline const struct tunnel* tunnel_row(const struct worker* w, uint32_t tunnel) {
  const struct tables* t = tables(w);
  return tunnel < t->tunnels_count ? (const struct tunnel*)at(w, t->tunnels) + tunnel : NULL;
}

static inline uint64_t* counter(const struct worker* w, uint32_t region, uint32_t index) {
  return (uint64_t*)at(w, w->base + region) + index;
}
static inline void count_stat(const struct worker* w, uint32_t stat, uint64_t n) {
  *counter(w, WORKER_STATS, stat) += n;
}
static inline void count_port(const struct worker* w, uint32_t port, uint32_t field, uint32_t bytes) {
  if (port >= MAX_PORTS) return;
  uint64_t* c = counter(w, WORKER_PORT_COUNTERS + port * PORT_COUNTER_SIZE + field, 0);
  c[0] += 1;
  c[1] += bytes;
}
static inline void count_tunnel(const struct worker* w, uint32_t tunnel, uint32_t field, uint32_t packets,
                                uint32_t bytes) {
  if (tunnel >= MAX_TUNNELS) return;
  uint64_t* c = counter(w, WORKER_TUNNEL_COUNTERS + tunnel * TUNNEL_COUNTER_SIZE + field, 0);
  c[0] += packets;
  c[1] += bytes;
}

// Room in the header arena, 64-byte aligned; 0: none left.
static inline uint32_t headers_alloc(struct worker* w, uint32_t bytes) {
  const uint32_t start = w->headers;
  const uint32_t next = (start + bytes + 63) & ~63u;
  if (next > w->headers_end) return 0;
  w->headers = next;
  return start;
}

static inline bool burst_begin(struct worker* w) {
  const uint32_t* control = at(w, CONTROL);
  w->epoch = __atomic_load_n(&control[(CONTROL_EPOCH - CONTROL) / 4], __ATOMIC_SEQ_CST);
  __atomic_store_n((uint32_t*)at(w, w->base + WORKER_EPOCH), w->epoch, __ATOMIC_SEQ_CST);
  w->area = control[((w->epoch & 1 ? CONTROL_AREA_B : CONTROL_AREA_A) - CONTROL) / 4];
  w->now = control[(CONTROL_CLOCK - CONTROL) / 4];
  w->flows = control[(CONTROL_FLOWS - CONTROL) / 4];
  w->offloads = control[(CONTROL_OFFLOADS - CONTROL) / 4];
  w->seed = control[(CONTROL_SEED - CONTROL) / 4];
  const uint32_t batch = control[(CONTROL_MAX_BATCH - CONTROL) / 4];
  w->max_batch = batch == 0 ? DEFAULT_BATCH : batch;
  w->headers = w->base + WORKER_HEADERS;
  w->headers_end = w->base + WORKER_HEADERS_END;
  w->messages = w->iovs = w->rows = w->open_iovs = w->chains = 0;
  w->is_lost = w->epoch == 0 || tables(w)->epoch != w->epoch;
  return !w->is_lost;
}
