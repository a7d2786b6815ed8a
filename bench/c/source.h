// Nobody speaks for somebody else, as asm/stage/source.ts; neighbour discovery, which asm/stage/neighbor.ts
// answers before, is not measured.
#pragma once
#include "table.h"

static inline bool is_martian6(const struct address* a) {
  if (a->low == 0) return a->high == 0 || a->high == 0x0100000000000000 || (uint32_t)a->high == 0xffff0000;
  return (uint8_t)a->low == 0xff;
}
static inline bool is_link_local(const struct address* a) { return (a->low & 0xc0ff) == 0x80fe; }

static inline bool is_unicast_ip(struct worker* w, struct packet* p) {
  const uint8_t* data = at(w, p->data);
  if (p->version == 4) {
    const uint8_t source = (uint8_t)(p->source.high >> 32),
                  destination = (uint8_t)(p->destination.high >> 32);
    if ((destination & 0xf0) == 0xe0 || p->destination.high >> 32 == 0xffffffff)
      p->verdict = VERDICT_Multicast;
    else if (source == 0 || source == 127 || source >= 224 || destination == 0 || destination == 127 ||
             destination >= 240)
      p->verdict = VERDICT_MartianAddress;
  } else if (p->protocol == 58) {
    w->is_lost = true;
  } else if ((uint8_t)p->destination.low == 0xff) {
    p->verdict = VERDICT_Multicast;
  } else if (is_martian6(&p->source) || is_martian6(&p->destination) || is_link_local(&p->source) ||
             is_link_local(&p->destination)) {
    p->verdict = VERDICT_MartianAddress;
  }
  if (in_progress(p) && (p->flags & PACKET_IS_ETHERNET) && (data[0] & 1)) p->verdict = VERDICT_Multicast;
  return in_progress(p);
}

static inline void source_from_port(struct worker* w, struct packet* p) {
  if (!is_unicast_ip(w, p)) return;
  const struct port* port = port_row(w, p->slot);
  if (!port || port->kind == 0) {
    p->verdict = VERDICT_PortDown;
    return;
  }
  const uint8_t* ethernet = at(w, p->data);
  if (!same_mac(ethernet, &tables(w)->router_mac)) {
    p->verdict = VERDICT_NotForUs;
    return;
  }
  const struct endpoint* from = endpoint_find(w, &p->source);
  p->from = from ? offset_of(w, from) : 0;
  if (port->kind == PORT_NODE || port->kind == PORT_FORWARD) {
    if (from && !(from->flags & ENDPOINT_IS_NODE))
      p->verdict = VERDICT_SourceSpoofed;
    else if (port->kind == PORT_NODE)
      p->flags |= PACKET_FROM_NODE;
    return;
  }
  if (!from || from->port != p->slot || !same_mac(ethernet + 6, &port->mac))
    p->verdict = VERDICT_SourceSpoofed;
}

static inline bool belongs_to_peer(const struct worker* w, const struct packet* p,
                                   const struct endpoint* from) {
  const uint32_t peer = tunnel_row(w, p->tunnel)->peer;
  if (from) {
    if (from->port != NO_PORT) return false;
    if (from->tunnel == p->tunnel) return true;
    if (from->tunnel != NO_ENDPOINT_TUNNEL) return tunnel_row(w, from->tunnel)->peer == peer;
  }
  const uint32_t route = route_find(w, &p->source);
  return route >> 16 == ROUTE_TUNNEL && tunnel_row(w, route & 0xffff)->peer == peer;
}

static inline void source_from_tunnel(struct worker* w, struct packet* p) {
  if (!is_unicast_ip(w, p)) return;
  const struct endpoint* from = endpoint_find(w, &p->source);
  p->from = from ? offset_of(w, from) : 0;
  if (!belongs_to_peer(w, p, from)) p->verdict = VERDICT_InnerSourceSpoofed;
}
