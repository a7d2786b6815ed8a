// Connection tracking, as asm/stage/track.ts and asm/table/flow.ts; new flows are not measured.
#pragma once
#include "table.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline struct flow* flow_find_in(const struct worker* w, struct packet* p, uint32_t bucket,
                                        uint32_t mask) {
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

static inline struct flow* flow_find(const struct worker* w, struct packet* p) {
  const uint32_t mask = *(const uint32_t*)at(w, w->flows + FLOWS_MASK);
  const uint32_t bucket = (p->hash >> 7) & mask;
  struct flow* flow = flow_find_in(w, p, bucket, mask);
  return flow ? flow : flow_find_in(w, p, (bucket ^ ((p->hash * 0x9e3779b1) >> 12) ^ 1) & mask, mask);
}

static inline bool is_expired(const struct worker* w, const struct flow* flow) {
  static const uint32_t tcp[] = {0, 120000, 60000, 432000000, 120000, 120000, 10000};
  const uint32_t idle = w->now - flow->seen;
  if (idle <= 10000) return false;
  if (flow->protocol == 6) return idle > tcp[flow->state];
  return idle > (flow->state == FLOW_IS_ESTABLISHED ? 120000 : 30000);
}

static inline void track(struct worker* w, struct packet* p) {
  p->route = ROUTE_NONE;
  p->target = 0;
  p->to = 0;
  p->decision = 0;
  p->direction = DIRECTION_FORWARD;
  p->flow = 0;
  if (p->protocol == 6) {
    const uint32_t possible = 1 << 0x02 | 1 << 0x12 | 1 << 0x04 | 1 << 0x14 | 1 << 0x10 | 1 << 0x11;
    if (!(possible >> (p->tcp_flags & 0x17) & 1)) {
      p->verdict = VERDICT_ConnectionInvalid;
      return;
    }
  } else if (p->protocol != 17) {
    w->is_lost = true;
    return;
  }
  const struct flow* flow = flow_find(w, p);
  if (!flow) return;
  p->flow = offset_of(w, flow);
  if (is_expired(w, flow) || (p->protocol == 6 && (p->tcp_flags & 0x12) == 0x02)) {
    w->is_lost = true;
    return;
  }
  const uint64_t path = flow->path[p->direction];
  const uint32_t out = (uint32_t)path;
  if (path >> 32 != (w->epoch ^ p->hash) || out == 0) return;
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
  const uint64_t stamp = (uint64_t)(w->epoch ^ p->hash) << 32;
  flow->judged = stamp | cell;
  flow->path[p->direction] = stamp | p->route << 16 | p->target;
}

static inline void track_denied(struct worker* w, const struct packet* p, uint32_t cell) {
  if (p->flow == 0) return;
  struct flow* flow = at(w, p->flow);
  flow->judged = (uint64_t)(w->epoch ^ p->hash) << 32 | cell;
}

// As tcpSeen in asm/stage/track-tcp.ts; handshakes and resets are not measured.
static inline void tcp_seen(struct worker* w, struct flow* flow, const struct packet* p) {
  if ((p->tcp_flags & 0x07) || flow->state < FLOW_IS_ESTABLISHED) {
    w->is_lost = true;
    return;
  }
  const uint8_t* tcp = at(w, p->data + p->l4);
  struct sent* mine = &flow->sent[p->direction];
  const struct sent* other = &flow->sent[p->direction ^ 1];
  const uint32_t sequence = load32_be(tcp + 4);
  const uint32_t ack = load32_be(tcp + 8);
  const uint32_t end = sequence + p->end - p->payload;
  const int32_t ahead = (int32_t)(end - mine->end);
  const int32_t acknowledged = (int32_t)(ack - other->end);
  const int32_t offered = (int32_t)mine->window;
  if ((int32_t)(sequence - other->ack - other->window) > 0 || ahead + (int32_t)other->window + 1 < 0 ||
      acknowledged > 0 || acknowledged + (offered > 66000 ? offered : 66000) < 0)
    return;
  if (ahead > 0) mine->end = end;
  if ((int32_t)(ack - mine->ack) > 0) mine->ack = ack;
  const uint32_t window = load16_be(tcp + 14) << flow->side[p->direction].scale;
  if (window > mine->window) mine->window = window;
}

static inline void track_seen(struct worker* w, const struct packet* p) {
  if (p->flow == 0) return;
  struct flow* flow = at(w, p->flow);
  flow->packets[p->direction] += 1;
  flow->bytes[p->direction] += p->end - p->l3;
  flow->seen = w->now;
  if (p->protocol == 6)
    tcp_seen(w, flow, p);
  else if (p->direction == DIRECTION_REVERSE)
    flow->state = FLOW_IS_ESTABLISHED;
}
