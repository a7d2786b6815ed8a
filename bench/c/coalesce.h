// Packets of one flow leave for the TAP as one superframe, as asm/stage/coalesce.ts.
#pragma once
#include "checksum.h"
#include "transmit.h"

enum { MAX_SUPERFRAME = 65000, MAX_PACKED = 128, MAX_GATHER = 1000, CHECKSUM_OK = 1 };

static inline void ether_write(const struct worker* w, uint8_t* frame, uint32_t version, uint32_t port) {
  ethernet_write(frame, &port_row(w, port)->mac, &tables(w)->router_mac, version == 4 ? 0x0800 : 0x86dd);
}

static inline void vnet_set(uint8_t* p, uint32_t flags, uint32_t type, uint32_t header, uint32_t size,
                            uint32_t start, uint32_t offset) {
  p[0] = (uint8_t)flags;
  p[1] = (uint8_t)type;
  store16(p + 2, (uint16_t)header);
  store16(p + 4, (uint16_t)size);
  store16(p + 6, (uint16_t)start);
  store16(p + 8, (uint16_t)offset);
  store16(p + 10, 0);
}

static inline void coalesce_close(struct worker* w) {
  struct group* g = &w->group;
  if (g->protocol != 0 && g->count > 1) {
    uint8_t* vnet = at(w, g->vnet);
    uint8_t* ip = vnet + VNET_HEADER + 14;
    uint8_t* transport = ip + g->ip_bytes;
    const uint32_t length = g->header_bytes - g->ip_bytes + g->payload_bytes;
    uint64_t pseudo;
    if (g->version == 4) {
      store16_be(ip + 2, 20 + length);
      store16(ip + 10, 0);
      store16(ip + 10, (uint16_t)complement(sum(ip, (ip[0] & 15) << 2)));
      pseudo = pseudo_sum(ip + 12, 8, g->protocol, length);
    } else {
      store16_be(ip + 4, length);
      pseudo = pseudo_sum(ip + 8, 32, g->protocol, length);
    }
    const uint32_t start = 14 + g->ip_bytes;
    if (g->protocol == 6) {
      store16(transport + 16, (uint16_t)fold(pseudo));
      vnet_set(vnet, 1, g->version == 4 ? 1 : 4, 14 + g->header_bytes, g->size, start, 16);
    } else {
      store16_be(transport + 4, length);
      store16(transport + 6, (uint16_t)fold(pseudo));
      vnet_set(vnet, 1, 5, start + 8, g->size, start, 6);
    }
    count_stat(w, STAT_COALESCED, 1);
    count_stat(w, STAT_COALESCED_PACKETS, g->count);
  }
  g->protocol = 0;
}

static inline bool may_coalesce(const struct worker* w, const struct packet* p, uint32_t checksum) {
  if (checksum != CHECKSUM_OK || !(w->offloads & OFFLOAD_COALESCE)) return false;
  if ((p->flags & (PACKET_HAS_OPTIONS | PACKET_IS_FRAGMENT)) || p->end == p->payload) return false;
  if (p->protocol == 6) return (w->offloads & OFFLOAD_TSO) && (p->tcp_flags & ~0x08) == 0x10;
  const uint8_t* transport = at(w, p->data + p->l4);
  return p->protocol == 17 && (w->offloads & OFFLOAD_USO) && load16_be(transport + 4) == p->end - p->l4;
}

static inline bool joins(const struct worker* w, const struct packet* p, uint32_t target) {
  const struct group* g = &w->group;
  if (g->protocol != p->protocol || g->port != target || g->is_closed || w->messages != g->number)
    return false;
  const uint32_t bytes = p->end - p->payload;
  if (g->version != p->version || g->header_bytes != (uint32_t)p->payload - p->l3 || bytes > g->size)
    return false;
  if (g->header_bytes + g->payload_bytes + bytes > MAX_SUPERFRAME) return false;
  const uint8_t* ip = at(w, p->data + p->l3);
  const uint8_t* head = at(w, g->vnet + VNET_HEADER + 14);
  if (g->version == 4) {
    if (load16(ip) != load16(head) || ip[8] != head[8] || load16(ip + 6) != load16(head + 6)) return false;
    if (load64(ip + 12) != load64(head + 12)) return false;
    if (!(p->flags & PACKET_IS_DF) && load16_be(ip + 4) != ((load16_be(head + 4) + g->count) & 0xffff))
      return false;
  } else if (load32(ip) != load32(head) || ip[7] != head[7] || memcmp(ip + 8, head + 8, 32) != 0) {
    return false;
  }
  const uint8_t* t = ip + g->ip_bytes;
  const uint8_t* h = head + g->ip_bytes;
  if (load32(t) != load32(h)) return false;
  if (g->protocol == 17) return g->count < w->max_batch;
  if (load32_be(t + 4) != g->next_sequence || load32(t + 8) != load32(h + 8)) return false;
  if (((load32(t + 12) ^ load32(h + 12)) & ~0x0800u) != 0 || load16(t + 18) != load16(h + 18)) return false;
  if (g->count + 1 >= MAX_GATHER) return false;
  const uint32_t end = g->header_bytes - g->ip_bytes;
  for (uint32_t i = 20; i < end; i += 4)
    if (load32(t + i) != load32(h + i)) return false;
  return true;
}

static inline bool join(struct worker* w, const struct packet* p) {
  struct group* g = &w->group;
  const uint32_t bytes = p->end - p->payload;
  const uint32_t payload = p->data + p->payload;
  if (g->packed != 0) {
    copy_short(at(w, g->packed), at(w, payload), bytes);
    g->packed += bytes;
    message_grow(w, g->message, bytes);
  } else {
    if (!transmit_fits(w, 0, 1)) return false;
    message_push(w, g->message, payload, bytes);
  }
  g->count++;
  g->payload_bytes += bytes;
  if (bytes < g->size || (g->packed != 0 && g->packed + g->size > g->packed_end)) g->is_closed = true;
  g->message->frames++;
  if (g->protocol == 6) {
    g->next_sequence += bytes;
    if (p->tcp_flags & 0x08) {
      uint8_t* tcp = at(w, g->vnet + VNET_HEADER + 14 + g->ip_bytes);
      tcp[13] |= 0x08;
      g->is_closed = true;
    }
  }
  return true;
}

static inline bool open_group(struct worker* w, const struct packet* p, uint32_t target) {
  struct group* g = &w->group;
  const uint32_t bytes = p->end - p->payload;
  const bool is_packed = p->protocol == 17 && bytes <= MAX_PACKED;
  const uint32_t header_bytes = (uint32_t)p->payload - p->l3;
  const uint32_t room = VNET_HEADER + 14 + header_bytes;
  if (!transmit_fits(w, 1, 2)) return false;
  const uint32_t arena = headers_alloc(w, is_packed ? room + bytes * w->max_batch : room);
  if (arena == 0) return false;
  uint8_t* vnet = at(w, arena);
  memset(vnet, 0, VNET_HEADER);
  ether_write(w, vnet + VNET_HEADER, p->version, target);
  copy_short(vnet + VNET_HEADER + 14, at(w, p->data + p->l3), header_bytes);
  struct tx_message* m = message_to_port(w, target, 1);
  const uint32_t payload = p->data + p->payload;
  if (is_packed) {
    copy_short(vnet + room, at(w, payload), bytes);
    message_push(w, m, arena, room + bytes);
  } else {
    message_push(w, m, arena, room);
    message_push(w, m, payload, bytes);
  }
  *g = (struct group){.protocol = p->protocol,
                      .port = target,
                      .number = w->messages,
                      .vnet = arena,
                      .header_bytes = header_bytes,
                      .ip_bytes = (uint32_t)p->l4 - p->l3,
                      .version = p->version,
                      .size = bytes,
                      .count = 1,
                      .payload_bytes = bytes,
                      .packed = is_packed ? arena + room + bytes : 0,
                      .packed_end = is_packed ? arena + room + bytes * w->max_batch : 0,
                      .is_closed = (p->tcp_flags & 0x08) || (is_packed && w->max_batch == 1),
                      .message = m};
  if (g->protocol == 6) g->next_sequence = load32_be(at(w, p->data + p->l4 + 4)) + bytes;
  return true;
}

static inline bool coalesce(struct worker* w, const struct packet* p, uint32_t target) {
  if (joins(w, p, target)) return join(w, p);
  coalesce_close(w);
  return open_group(w, p, target);
}
