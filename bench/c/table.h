// Look-ups in the table area, as asm/table/*.ts.
#pragma once
#include "worker.h"

static inline uint32_t hash_words(uint64_t low, uint64_t high) {
  uint64_t h = (low ^ (high * 0x9e3779b97f4a7c15)) * 0xff51afd7ed558ccd;
  h ^= h >> 32;
  h *= 0xc4ceb9fe1a85ec53;
  return (uint32_t)(h >> 32) ^ (uint32_t)h;
}

static inline const struct endpoint* endpoint_find(const struct worker* w, const struct address* a) {
  const struct table* t = &tables(w)->endpoints;
  const struct endpoint* rows = at(w, t->base);
  for (uint32_t slot = hash_words(a->low, a->high) & t->mask;; slot = (slot + 1) & t->mask) {
    const struct endpoint* row = rows + slot;
    if (!(row->flags & ENDPOINT_IS_USED)) return NULL;
    if (same_address(&row->address, a)) return row;
  }
}

static inline const struct peer* peer_find(const struct worker* w, const struct address* a) {
  const struct table* t = &tables(w)->peers;
  const struct peer* rows = at(w, t->base);
  for (uint32_t slot = hash_words(a->low, a->high) & t->mask;; slot = (slot + 1) & t->mask) {
    const struct peer* row = rows + slot;
    if (row->used == 0) return NULL;
    if (same_address(&row->address, a)) return row;
  }
}

static inline uint64_t mask64(uint32_t n) { return n == 0 ? 0 : __builtin_bswap64(UINT64_MAX << (64 - n)); }

static inline const struct prefix* prefix_find(const struct worker* w, const struct table* t,
                                               uint32_t lengths4, uint32_t lengths6,
                                               const struct address* a) {
  const bool is_mapped = a->low == 0 && (uint32_t)a->high == 0xffff0000;
  const uint8_t* lengths = at(w, w->area + (is_mapped ? lengths4 : lengths6));
  const struct prefix* rows = at(w, t->base);
  for (uint32_t i = 1; i <= lengths[0]; i++) {
    const uint32_t length = lengths[i];
    const struct address key = {length >= 64 ? a->low : a->low & mask64(length),
                                length > 64 ? a->high & mask64(length - 64) : 0};
    for (uint32_t slot = hash_words(key.low, key.high ^ ((uint64_t)length << 32)) & t->mask;;
         slot = (slot + 1) & t->mask) {
      const struct prefix* row = rows + slot;
      if (row->length == 0) break;
      if (row->length == length + 1 && same_address(&row->address, &key)) return row;
    }
  }
  return NULL;
}
static inline const struct prefix* route_find(const struct worker* w, const struct address* a) {
  return prefix_find(w, &tables(w)->routes, TABLES_ROUTE_LENGTHS4, TABLES_ROUTE_LENGTHS6, a);
}
static inline const struct prefix* cidr_find(const struct worker* w, const struct address* a) {
  return prefix_find(w, &tables(w)->cidrs, TABLES_CIDR_LENGTHS4, TABLES_CIDR_LENGTHS6, a);
}

static inline uint32_t policy_cell(const struct worker* w, const struct policy_set* set, uint32_t peer_class,
                                   uint32_t protocol, uint32_t port) {
  const uint32_t map = protocol == 6 ? set->tcp : protocol == 17 ? set->udp : protocol == 132 ? set->sctp : 0;
  uint32_t port_class = set->other;
  if (map != 0) {
    const uint16_t* page = at(w, ((const uint32_t*)at(w, map))[port >> 8]);
    port_class = page[port & 255];
  }
  const uint32_t* rows = at(w, set->rows);
  const uint32_t* row = at(w, rows[peer_class < set->count ? peer_class : 0]);
  return row[port_class];
}
