// Connection tracking, as asm/stage/track.ts and asm/table/flow.ts; new flows are not measured.
#pragma once
#include "table.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline struct flow* flow_find(const struct worker* w, struct packet* p) {
  const uint32_t mask = *(const uint32_t*)at(w, w->flows + FLOWS_MASK);
  const uint32_t bucket = (p->hash >> 7) & mask;
  const uint32_t* tags = at(w, w->flows + FLOWS_HEADER_SIZE + bucket * FLOW_TAGS_SIZE);
  struct flow* entries =
      (struct flow*)at(w, w->flows + FLOWS_HEADER_SIZE + (mask + 1) * FLOW_TAGS_SIZE) + bucket * FLOW_WAYS;
  const uint32_t tag = (p->hash | 1) & 0x7fffffff;
  uint32_t hits = 0;
#ifdef __SSE2__
  const __m128i wanted = _mm_set1_epi32((int)tag);
  const __m128i* vector = (const __m128i*)tags;
  hits = (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(_mm_load_si128(vector), wanted))) |
         (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(_mm_load_si128(vector + 1), wanted)))
             << 4;
#else
  for (uint32_t way = 0; way < FLOW_WAYS; way++) hits |= (uint32_t)(tags[way] == tag) << way;
#endif
  for (; hits != 0; hits &= hits - 1) {
    struct flow* flow = entries + __builtin_ctz(hits);
    if (flow->protocol != p->protocol) continue;
    if (flow->oport == p->sport && flow->rport == p->dport && same_address(&flow->originator, &p->source) &&
        same_address(&flow->responder, &p->destination)) {
      p->direction = DIRECTION_FORWARD;
      return flow;
    }
    if (flow->oport == p->dport && flow->rport == p->sport &&
        same_address(&flow->originator, &p->destination) && same_address(&flow->responder, &p->source)) {
      p->direction = DIRECTION_REVERSE;
      return flow;
    }
  }
  return NULL;
}

static inline bool is_expired(const struct worker* w, const struct flow* flow) {
  static const uint32_t tcp[] = {60000, 60000, 432000000, 120000};
  const uint32_t idle = w->now - flow->seen;
  if (idle <= 30000) return false;
  if (flow->protocol == 6) return idle > tcp[flow->state & 3];
  return flow->state != FLOW_IS_ESTABLISHED || idle > 180000;
}

static inline void track(struct worker* w, struct packet* p) {
  p->route = ROUTE_NONE;
  p->target = 0;
  p->to = 0;
  p->decision = 0;
  p->direction = DIRECTION_FORWARD;
  p->flow = 0;
  const struct flow* flow = flow_find(w, p);
  if (!flow) return;
  p->flow = offset_of(w, flow);
  const bool is_syn = p->protocol == 6 && (p->tcp_flags & 0x12) == 0x02;
  if (is_expired(w, flow) || (is_syn && flow->state == FLOW_IS_CLOSING)) {
    w->is_lost = true;
    return;
  }
  if (flow->epoch != w->epoch || !(flow->decision & POLICY_CELL_ALLOW)) return;
  const uint32_t out = flow->out[p->direction];
  if (out == 0) return;
  p->route = out >> 16;
  p->target = out & 0xffff;
  count_stat(w, STAT_FLOW_HITS, 1);
}

static inline void track_decided(struct worker* w, struct packet* p, uint32_t cell) {
  if (p->flow == 0) {
    w->is_lost = true;
    return;
  }
  struct flow* flow = at(w, p->flow);
  if (flow->epoch != w->epoch) {
    flow->out[0] = flow->out[1] = 0;
    flow->decision = cell;
    flow->epoch = w->epoch;
  }
  flow->out[p->direction] = (p->route << 16) | p->target;
}

static inline void track_seen(struct worker* w, const struct packet* p) {
  if (p->flow == 0) return;
  struct flow* flow = at(w, p->flow);
  flow->packets[p->direction] += 1;
  flow->bytes[p->direction] += p->end - p->l3;
  flow->seen = w->now;
  if (flow->state == FLOW_IS_NEW && p->direction == DIRECTION_REVERSE) flow->state = FLOW_IS_ESTABLISHED;
  if (p->tcp_flags & 0x05) flow->state = FLOW_IS_CLOSING;
}
