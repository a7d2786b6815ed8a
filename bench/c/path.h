// Both directions, stage by stage over the vector, as asm/path/*.ts.
#pragma once
#include "forward.h"
#include "parse.h"
#include "policy.h"
#include "source.h"

static inline void account(struct worker* w, const struct packet* first, const struct packet* end) {
  uint64_t forwarded = 0;
  for (const struct packet* p = first; p < end; p++) forwarded += p->verdict == VERDICT_Forward;
  *counter(w, WORKER_VERDICTS, VERDICT_Forward) += forwarded;
  if (forwarded != (uint64_t)(end - first)) w->is_lost = true;
}

static inline void admit_frame(struct worker* w, struct packet* p, const struct rx_frame* frame) {
  p->verdict = VERDICT_InProgress;
  p->slot = frame->port;
  p->tunnel = NO_TUNNEL;
  p->flags = PACKET_IS_ETHERNET;
  p->gso_type = 0;
  p->gso_size = 0;
  p->route = ROUTE_NONE;
  p->target = 0;
  if (frame->length < VNET_HEADER) {
    p->length = 0;
    p->verdict = VERDICT_FrameTooShort;
    return;
  }
  p->data = frame->offset + VNET_HEADER;
  p->length = frame->length - VNET_HEADER;
  count_port(w, p->slot, PORT_RX_PACKETS, p->length);
}

static inline void admit_superframe(struct worker* w, struct packet* p) {
  const uint8_t* vnet = at(w, p->data - VNET_HEADER);
  const uint32_t type = vnet[1] & ~0x80u, size = load16(vnet + 4), start = load16(vnet + 6);
  if (vnet[0] & 1) {
    if (start < p->l4 || start + load16(vnet + 8) + 2 > p->end) {
      p->verdict = VERDICT_VnetHeader;
      return;
    }
    p->flags |= PACKET_IS_PARTIAL;
  }
  if (type == 0) return;
  const bool is_tcp = (type == 1 && p->version == 4) || (type == 4 && p->version == 6);
  const bool is_known = is_tcp ? p->protocol == TCP : type == 5 && p->protocol == UDP;
  if (!is_known || p->payload <= p->l4 || size == 0 || !(vnet[0] & 1) || start != p->l4) {
    p->verdict = VERDICT_VnetHeader;
    return;
  }
  count_stat(w, STAT_SUPERFRAMES, 1);
  if (p->end - p->payload > size) {
    p->gso_type = (uint8_t)type;
    p->gso_size = (uint16_t)size;
  }
}

static inline uint32_t egress(struct worker* w, uint32_t n) {
  if (!burst_begin(w)) return 0;
  const struct rx_frame* frames = at(w, w->base + WORKER_RX_FRAMES);
  struct packet* first = at(w, w->base + WORKER_PACKETS);
  struct packet* end = first + n;
  for (uint32_t i = 0; i < n; i++) admit_frame(w, first + i, frames + i);
  for (struct packet* p = first; p < end; p++) {
    if (in_progress(p)) parse(w, p);
    if (in_progress(p)) admit_superframe(w, p);
  }
  for (struct packet* p = first; p < end; p++)
    if (in_progress(p)) source_from_port(w, p);
  for (struct packet* p = first; p < end; p++)
    if (in_progress(p)) track(w, p);
  for (struct packet* p = first; p < end; p++) {
    if (in_progress(p) && p->route == ROUTE_NONE) {
      route(w, p);
      if (in_progress(p)) policy(w, p);
    }
    if (in_progress(p)) {
      track_seen(w, p);
      forward_from_port(w, p);
    }
  }
  account(w, first, end);
  count_stat(w, STAT_RECEIVED, n);
  coalesce_close(w);
  pending_flush(w);
  return messages_end(w);
}

static inline void admit_datagram(struct packet* p, const struct rx_datagram* d) {
  p->verdict = d->flags & RX_FLAG_TRUNCATED ? VERDICT_FrameTooLong : VERDICT_InProgress;
  p->slot = d->slot;
  p->tunnel = NO_TUNNEL;
  p->flags = 0;
  p->gso_type = 0;
  p->gso_size = 0;
  p->outer_tos = d->tos;
}

static inline uint32_t check_geneve(const uint8_t* p, uint32_t bytes) {
  if (bytes < 8) return VERDICT_GeneveTooShort;
  if (p[0] >> 6 != 0) return VERDICT_GeneveVersion;
  const uint32_t end = 8 + ((p[0] & 0x3fu) << 2);
  if (end > bytes) return VERDICT_GeneveOptions;
  bool critical = false;
  for (uint32_t at = 8; at < end;) {
    const uint32_t length = 4 + ((p[at + 3] & 0x1fu) << 2);
    if (at + length > end) return VERDICT_GeneveOptions;
    critical = critical || (p[at + 2] & 0x80);
    at += length;
  }
  if (critical) return VERDICT_GeneveCriticalOption;
  if (p[1] & 0x80) return VERDICT_GeneveOam;
  const uint32_t protocol = load16_be(p + 2);
  return protocol == 0x6558 || protocol == 0x0800 || protocol == 0x86dd ? VERDICT_InProgress
                                                                        : VERDICT_GeneveProtocol;
}

static inline void strip(struct packet* p, uint32_t bytes) {
  p->data += bytes;
  p->length -= bytes;
}

static inline void decap(struct worker* w, struct packet* p, const struct tunnel* t, uint32_t kind) {
  const uint8_t* d = at(w, p->data);
  if (kind == SOCKET_VXLAN) {
    if (p->length < 8)
      p->verdict = VERDICT_VxlanTooShort;
    else if (!(d[0] & 0x08))
      p->verdict = VERDICT_VxlanNoVni;
    else if (load32_be(d + 4) >> 8 != t->vni)
      p->verdict = VERDICT_VxlanWrongVni;
    if (!in_progress(p)) return;
    strip(p, 8);
    p->flags |= PACKET_IS_ETHERNET;
  } else if (kind == SOCKET_GENEVE) {
    p->verdict = check_geneve(d, p->length);
    if (in_progress(p) && load32_be(d + 4) >> 8 != t->vni) p->verdict = VERDICT_GeneveWrongVni;
    if (!in_progress(p)) return;
    if (load16_be(d + 2) == 0x6558) p->flags |= PACKET_IS_ETHERNET;
    strip(p, 8 + ((d[0] & 0x3fu) << 2));
  } else {
    uint32_t protocol = kind == SOCKET_IPIP6_4 ? 4 : 41;
    if (kind == SOCKET_IPIP4) {
      const uint32_t header = (d[0] & 15u) << 2;
      if (p->length < 20 || header < 20 || header > p->length) {
        p->verdict = VERDICT_OuterLength;
        return;
      }
      protocol = d[9];
      p->outer_tos = d[1];
      strip(p, header);
    }
    if (protocol != 4 && protocol != 41)
      p->verdict = VERDICT_IpipProtocol;
    else if (p->length == 0)
      p->verdict = VERDICT_OuterLength;
    else if (*(const uint8_t*)at(w, p->data) >> 4 != (protocol == 4 ? 4 : 6))
      p->verdict = VERDICT_IpipProtocol;
  }
}

static inline void ecn_decap(struct worker* w, struct packet* p) {
  const uint32_t outer = p->outer_tos & 3, inner = p->tos & 3;
  if (outer == 0 || outer == inner) return;
  w->is_lost = true;
}

static inline void ingress_stages(struct worker* w, struct packet* first, struct packet* end) {
  for (struct packet* p = first; p < end; p++) {
    if (in_progress(p)) parse(w, p);
    if (in_progress(p)) ecn_decap(w, p);
  }
  for (struct packet* p = first; p < end; p++)
    if (in_progress(p)) source_from_tunnel(w, p);
  for (struct packet* p = first; p < end; p++)
    if (in_progress(p)) track(w, p);
  for (struct packet* p = first; p < end; p++) {
    if (in_progress(p) && p->route == ROUTE_NONE) {
      route(w, p);
      if (in_progress(p)) policy(w, p);
    }
    if (in_progress(p)) {
      track_seen(w, p);
      forward_from_tunnel(w, p);
    }
  }
  account(w, first, end);
  count_stat(w, STAT_RECEIVED, (uint64_t)(end - first));
}

static inline uint32_t ingress(struct worker* w, uint32_t n) {
  if (!burst_begin(w)) return 0;
  const struct rx_datagram* d = at(w, w->base + WORKER_RX_DATAGRAMS);
  const uint8_t* kinds = at(w, CONTROL_SOCKET_KINDS);
  struct packet* first = at(w, w->base + WORKER_PACKETS);
  struct packet* limit = first + MAX_VECTOR;
  struct packet* p = first;
  for (const struct rx_datagram* last = d + n; d < last; d++) {
    const uint32_t kind = kinds[d->slot - FIRST_SOCKET_SLOT];
    const uint32_t encapsulation = kind == SOCKET_VXLAN    ? TUNNEL_VXLAN
                                   : kind == SOCKET_GENEVE ? TUNNEL_GENEVE
                                                           : TUNNEL_IPIP;
    const struct peer* peer = peer_find(w, &d->source);
    const uint32_t tunnel = peer ? peer->tunnels[encapsulation - 1] : NO_ENDPOINT_TUNNEL;
    if (tunnel == NO_ENDPOINT_TUNNEL) {
      w->is_lost = true;
      return 0;
    }
    const uint32_t step = d->segment != 0 ? d->segment : d->length == 0 ? 1 : d->length;
    const uint32_t packets = (d->length + step - 1) / step;
    count_tunnel(w, tunnel, TUNNEL_RX_PACKETS, packets == 0 ? 1 : packets, d->length);
    *(uint32_t*)counter(w, WORKER_TUNNEL_COUNTERS + tunnel * TUNNEL_COUNTER_SIZE + TUNNEL_LAST_SEEN, 0) =
        w->now;
    const struct tunnel* t = tunnel_row(w, tunnel);
    uint32_t offset = 0;
    do {
      admit_datagram(p, d);
      p->data = d->offset + offset;
      p->length = step < d->length - offset ? step : d->length - offset;
      p->tunnel = tunnel;
      if (in_progress(p)) decap(w, p, t, kind);
      if (++p == limit) {
        ingress_stages(w, first, p);
        p = first;
      }
      offset += step;
    } while (offset < d->length);
  }
  ingress_stages(w, first, p);
  coalesce_close(w);
  pending_flush(w);
  return messages_end(w);
}
