// Route and policy of a packet whose flow is not decided, as asm/stage/route.ts and asm/stage/policy.ts; ICMP
// errors are not measured.
#pragma once
#include "table.h"
#include "track.h"

static inline void route(struct worker* w, struct packet* p) {
  const struct endpoint* to = endpoint_find(w, &p->destination);
  p->to = to ? offset_of(w, to) : 0;
  uint32_t tunnel;
  if (to && to->port != NO_PORT) {
    p->route = ROUTE_LOCAL;
    p->target = to->port;
    return;
  }
  if (to && to->tunnel != NO_ENDPOINT_TUNNEL) {
    tunnel = to->tunnel;
  } else {
    const uint32_t found = route_find(w, &p->destination);
    if (found >> 16 != ROUTE_TUNNEL) {
      w->is_lost = true;
      return;
    }
    tunnel = found & 0xffff;
  }
  if (p->tunnel != NO_TUNNEL) {
    p->verdict = VERDICT_TunnelToTunnel;
    return;
  }
  p->route = ROUTE_TUNNEL;
  p->target = tunnel;
}

static inline const struct policy_set* set_of(const struct worker* w, const struct endpoint* endpoint,
                                              bool is_egress) {
  const struct port* port = endpoint ? port_row(w, endpoint->port) : NULL;
  if (!port || port->kind != PORT_POD) return NULL;
  const uint32_t set = is_egress ? port->egress_set : port->ingress_set;
  return set ? at(w, set) : NULL;
}

static inline bool is_pending(const struct worker* w, const struct endpoint* endpoint) {
  const struct port* port = endpoint ? port_row(w, endpoint->port) : NULL;
  return port && (port->flags & PORT_IS_PENDING);
}

static inline uint32_t class_of(const struct worker* w, const struct endpoint* endpoint,
                                const struct address* a) {
  if (endpoint && !(endpoint->flags & ENDPOINT_IS_NODE)) return endpoint->identity;
  return cidr_find(w, a);
}

static inline void policy(struct worker* w, struct packet* p) {
  const struct endpoint* from = p->from ? at(w, p->from) : NULL;
  const struct endpoint* to = p->to ? at(w, p->to) : NULL;
  if (is_pending(w, from) || is_pending(w, to)) {
    p->verdict = VERDICT_PolicyPending;
    return;
  }
  const bool forward = p->direction == DIRECTION_FORWARD;
  const struct flow* flow = p->flow ? at(w, p->flow) : NULL;
  const bool from_node = !flow || forward ? p->flags & PACKET_FROM_NODE : flow->flags & FLOW_FLAG_FROM_NODE;
  const struct endpoint* originator = forward ? from : to;
  const struct endpoint* responder = forward ? to : from;
  const uint32_t port = forward ? p->dport : p->sport;
  const struct policy_set* egress = set_of(w, originator, true);
  const struct policy_set* ingress = set_of(w, responder, false);
  const bool is_own_node = responder && (responder->flags & ENDPOINT_IS_NODE) && responder->port != NO_PORT;
  uint32_t cell = POLICY_CELL_ALLOW;
  if (egress && !is_own_node) {
    const uint32_t peer = class_of(w, responder, forward ? &p->destination : &p->source);
    cell = policy_cell(w, egress, peer, p->protocol, port);
    if (!(cell & POLICY_CELL_ALLOW)) p->verdict = VERDICT_PolicyEgress;
  }
  if (in_progress(p) && ingress && !from_node) {
    const uint32_t peer = class_of(w, originator, forward ? &p->source : &p->destination);
    cell = policy_cell(w, ingress, peer, p->protocol, port);
    if (!(cell & POLICY_CELL_ALLOW)) p->verdict = VERDICT_PolicyIngress;
  }
  if (in_progress(p)) {
    track_decided(w, p, cell);
    return;
  }
  p->decision = cell;
  track_denied(w, p, cell);
}
