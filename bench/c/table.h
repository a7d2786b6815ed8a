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

static inline bool is_mapped(const struct address* a) {
  return a->low == 0 && (uint32_t)a->high == 0xffff0000;
}

static inline uint32_t agreeing_bytes(const struct address* key, const struct address* a) {
  const uint64_t low = a->low ^ key->low, high = a->high ^ key->high;
  return (low ? __builtin_ctzll(low) : high ? 64 + __builtin_ctzll(high) : 128) >> 3;
}

static inline bool is_within(const struct address* key, uint32_t bits, const struct address* a) {
  const uint32_t agreeing = agreeing_bytes(key, a), whole = bits >> 3;
  if (agreeing != whole) return agreeing > whole;
  return (((const uint8_t*)key)[whole] ^ ((const uint8_t*)a)[whole]) >> (8 - (bits & 7)) == 0;
}

static inline uint32_t bucket_find(const struct trie_bucket* bucket, const struct address* a) {
  for (int i = 0; i < 2; i++)
    if (is_within(&bucket->keys[i], bucket->bits[i], a)) return bucket->values[i];
  return bucket->around;
}

static inline uint32_t prefix_find(const struct worker* w, uint32_t trie, const struct address* a) {
  if (trie == 0) return TRIE_NOTHING;
  for (const struct trie_node* node = at(w, trie);;) {
    if (agreeing_bytes(&node->key, a) < node->at) return node->outside;
    const uint32_t slot = ((const uint8_t*)a)[node->at], word = slot >> 6;
    const uint64_t bit = 1ull << (slot & 63), children = node->slots[word].children;
    if (!(children & bit)) {
      const uint64_t begun = node->slots[word].leaves & (bit | (bit - 1));
      const uint32_t leaf = node->leaves_before[word] + __builtin_popcountll(begun) - 1;
      const uint32_t found = ((const uint32_t*)at(w, trie + node->leaves))[leaf];
      return found & TRIE_IS_BUCKET ? bucket_find(at(w, trie + (found & ~TRIE_IS_BUCKET)), a) : found;
    }
    const uint32_t child = node->children_before[word] + __builtin_popcountll(children & (bit - 1));
    node = (const struct trie_node*)at(w, trie + node->children) + child;
  }
}
static inline uint32_t route_find(const struct worker* w, const struct address* a) {
  return prefix_find(w, is_mapped(a) ? tables(w)->routes4 : tables(w)->routes6, a);
}
static inline uint32_t cidr_find(const struct worker* w, const struct address* a) {
  return prefix_find(w, is_mapped(a) ? tables(w)->cidrs4 : tables(w)->cidrs6, a);
}

static inline uint32_t policy_cell(const struct worker* w, const struct policy_set* set, uint32_t peer_class,
                                   uint32_t protocol, uint32_t port) {
  const uint32_t map = protocol == 6 ? set->tcp : protocol == 17 ? set->udp : protocol == 132 ? set->sctp : 0;
  uint32_t port_class = set->other;
  if (map != 0) {
    const uint16_t* page = at(w, ((const uint32_t*)at(w, map))[port >> 8]);
    port_class = page[port & 255];
  }
  const uint32_t row =
      (port_class >> POLICY_ROW_SHIFT) * set->count + (peer_class < set->count ? peer_class : 0);
  const uint32_t* cells = at(w, ((const uint32_t*)at(w, set->rows))[row]);
  return cells[port_class & ((1 << POLICY_ROW_SHIFT) - 1)];
}
