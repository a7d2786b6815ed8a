// TTL, MTU and out, as asm/stage/forward.ts; packets too long, peers' superframes and local delivery of
// frames from TAPs are not measured.
#pragma once
#include "coalesce.h"
#include "segment.h"

enum { MAX_COPIED = 256 };

static inline void decrement_ttl(const struct worker* w, const struct packet* p) {
  uint8_t* ip = at(w, p->data + p->l3);
  if (p->version == 4) {
    const uint32_t before = load16(ip + 8);
    store16(ip + 8, (uint16_t)(before - 1));
    store16(ip + 10, (uint16_t)updated16(load16(ip + 10), before, before - 1));
  } else {
    ip[7]--;
  }
}

static inline void complete_partial(const struct worker* w, uint8_t* start, uint32_t bytes, uint32_t offset) {
  const uint32_t value = complement(sum(start, bytes));
  store16(start + offset, (uint16_t)(value == 0 ? 0xffff : value));
  count_stat(w, STAT_CHECKSUMS_COMPLETED, 1);
}

static inline void forward_from_port(struct worker* w, struct packet* p) {
  const struct port* from = port_row(w, p->slot);
  const struct tunnel* t = p->route == ROUTE_TUNNEL ? tunnel_row(w, p->target) : NULL;
  if (!t) {
    w->is_lost = true;
    return;
  }
  if (same_address(&p->destination, &t->remote) && same_address(&p->source, &t->local)) {
    p->verdict = VERDICT_TunnelLoop;
    return;
  }
  const bool is_routed = from->kind == PORT_POD;
  const uint32_t size = p->gso_size;
  const uint32_t longest = size == 0 ? p->end - p->l3 : (uint32_t)p->payload - p->l3 + size;
  if ((is_routed && p->ttl <= 1) || longest > t->mtu) {
    w->is_lost = true;
    return;
  }
  if (is_routed) decrement_ttl(w, p);
  bool sent;
  if (size != 0) {
    sent = segment(w, p, size, t);
  } else {
    if (p->flags & PACKET_IS_PARTIAL) {
      const uint8_t* vnet = at(w, p->data - VNET_HEADER);
      const uint32_t start = load16(vnet + 6);
      complete_partial(w, at(w, p->data + start), p->end - start, load16(vnet + 8));
    }
    sent = encap(w, p, t);
  }
  p->verdict = sent ? VERDICT_Forward : VERDICT_BurstFull;
}

enum { CHECKSUM_NONE = 0, CHECKSUM_ZERO = 2, CHECKSUM_PARTIAL = 3, CHECKSUM_BAD = 4 };

static inline uint32_t checksum_state(const struct worker* w, const struct packet* p) {
  const uint32_t field = p->protocol == 6 ? 16 : p->protocol == 17 ? 6 : 0;
  if (field == 0 || (p->flags & PACKET_IS_FRAGMENT)) return CHECKSUM_NONE;
  const uint8_t* transport = at(w, p->data + p->l4);
  const uint32_t value = load16(transport + field);
  if (value == 0 && field == 6) return CHECKSUM_ZERO;
  uint32_t length = p->end - p->l4;
  if (field == 6 && load16_be(transport + 4) < length) length = load16_be(transport + 4);
  const uint8_t* ip = at(w, p->data + p->l3);
  const uint64_t pseudo = p->version == 4 ? pseudo_sum(ip + 12, 8, p->protocol, length)
                                          : pseudo_sum(ip + 8, 32, p->protocol, length);
  if (fold(pseudo + sum(transport, length)) == 0xffff) return CHECKSUM_OK;
  return value == fold(pseudo) ? CHECKSUM_PARTIAL : CHECKSUM_BAD;
}

static inline bool to_port_alone(struct worker* w, const struct packet* p, uint32_t port) {
  const uint32_t bytes = p->end - p->l3;
  const uint32_t copied = bytes > MAX_COPIED ? 0 : bytes;
  if (!transmit_fits(w, 1, 2)) return false;
  const uint32_t arena = headers_alloc(w, VNET_HEADER + 14 + copied);
  if (arena == 0) return false;
  uint8_t* vnet = at(w, arena);
  memset(vnet, 0, VNET_HEADER);
  ether_write(w, vnet + VNET_HEADER, p->version, port);
  copy_short(vnet + VNET_HEADER + 14, at(w, p->data + p->l3), copied);
  coalesce_close(w);
  struct tx_message* m = message_to_port(w, port, 1);
  message_push(w, m, arena, VNET_HEADER + 14 + copied);
  if (copied == 0) message_push(w, m, p->data + p->l3, bytes);
  return true;
}

static inline void forward_from_tunnel(struct worker* w, struct packet* p) {
  const uint32_t port = p->target;
  const struct port* to = port_row(w, port);
  if (!to || to->kind == 0) {
    p->verdict = VERDICT_PortDown;
    return;
  }
  if (p->ttl == 0 || p->end - p->l3 > to->mtu) {
    w->is_lost = true;
    return;
  }
  const uint32_t state = p->gso_size == 0 ? checksum_state(w, p) : CHECKSUM_NONE;
  if (state == CHECKSUM_PARTIAL)
    complete_partial(w, at(w, p->data + p->l4), p->end - p->l4, p->protocol == 6 ? 16 : 6);
  const bool sent = may_coalesce(w, p, state) ? coalesce(w, p, port) : to_port_alone(w, p, port);
  p->verdict = sent ? VERDICT_Forward : VERDICT_BurstFull;
  if (sent) count_port(w, port, PORT_TX_PACKETS, 14 + p->end - p->l3);
}
