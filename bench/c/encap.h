// A packet and its tunnel's template become one datagram, as asm/stage/encap.ts.
#pragma once
#include "checksum.h"
#include "transmit.h"

static inline bool is_ethernet_tunnel(const struct tunnel* t) { return t->flags & TUNNEL_IS_ETHERNET; }
static inline uint32_t encap_length(const struct tunnel* t) {
  return t->header_length + (is_ethernet_tunnel(t) ? 14 : 0);
}
static inline uint32_t encap_slot(const struct tunnel* t, uint32_t hash) {
  return t->slot + ((hash >> 16) & (t->slots - 1u));
}
static inline uint32_t outer_tos(const struct tunnel* t, uint32_t inner) {
  const uint32_t dscp = t->tos & 0xfc;
  return t->flags & TUNNEL_IS_ECN_COMPATIBILITY ? dscp : dscp | (inner & 3);
}

// Writes everything before the IP packet at ip; `bytes` is the packet's length.
static inline void encap_write(const struct tunnel* t, uint8_t* ip, uint32_t bytes, uint32_t version,
                               uint32_t tos, uint32_t hash) {
  const uint32_t header = t->header_length;
  uint8_t* p = ip;
  if (is_ethernet_tunnel(t)) {
    p -= 14;
    ethernet_write(p, &t->inner_destination, &t->inner_source, version == 4 ? 0x0800 : 0x86dd);
  }
  p -= header;
  store64(p, load64(t->header));
  for (uint32_t i = 8; i < header; i += 4) store32(p + i, load32(t->header + i));
  if (t->kind == TUNNEL_IPIP) {
    const uint8_t protocol = version == 4 ? 4 : 41;
    if (t->family == 4) {
      const uint32_t total = header + bytes;
      const uint32_t patched = ((tos - t->header[1]) << 8) + ((uint32_t)protocol << 8);
      p[1] = (uint8_t)tos;
      store16_be(p + 2, total);
      p[9] = protocol;
      store16(p + 10, (uint16_t)complement(ipv4_sum(t->header) + patched + word(total)));
    } else {
      store32_be(p, 0x60000000 | (tos << 20) | (hash & 0xfffff));
      store16_be(p + 4, header - 40 + bytes);
      p[6] = protocol;
    }
  } else if (t->flags & TUNNEL_IS_GENEVE_IP) {
    store16_be(p + 2, version == 4 ? 0x0800 : 0x86dd);
  }
}

static inline bool encap(struct worker* w, const struct packet* p, const struct tunnel* t) {
  if (!transmit_fits(w, 1, 1)) return false;
  const uint32_t outer = outer_tos(t, p->tos);
  const uint32_t ip = p->data + p->l3, bytes = p->end - p->l3;
  encap_write(t, at(w, ip), bytes, p->version, outer, p->hash);
  const uint32_t header = encap_length(t);
  pending_single(w, encap_slot(t, p->hash), outer, p->target, ip - header, header + bytes, 1);
  return true;
}
