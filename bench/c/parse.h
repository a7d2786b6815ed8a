// From bytes to a packet row, as asm/stage/parse.ts; tags, fragments and IPv6 extension headers are not
// measured.
#pragma once
#include "checksum.h"
#include "table.h"

enum { TCP = 6, UDP = 17, ICMP = 1, ICMPV6 = 58, SCTP = 132 };

static inline void hash_flow(const struct worker* w, struct packet* p) {
  const uint64_t low = p->source.low ^ p->destination.low;
  const uint64_t high = p->source.high ^ p->destination.high;
  const uint64_t both = p->source.high + p->destination.high;
  const uint32_t ports = p->sport ^ p->dport ^ ((uint32_t)(p->sport + p->dport) << 16);
  p->hash =
      hash_words(low + (both << 7), ((uint64_t)w->seed << 32) ^ high ^
                                        ((uint64_t)(ports ^ ((uint32_t)p->protocol << 8)) << 13) ^ both);
}

static inline void parse_transport(struct worker* w, struct packet* p, uint32_t l4) {
  p->l4 = (uint16_t)l4;
  p->payload = (uint16_t)l4;
  p->sport = p->dport = 0;
  p->tcp_flags = 0;
  const uint32_t bytes = p->end - l4;
  const uint8_t* t = at(w, p->data + l4);
  if (p->protocol == TCP) {
    const uint32_t header = bytes < 20 ? 0 : (t[12] >> 4) << 2;
    if (header < 20 || header > bytes) {
      p->verdict = VERDICT_TcpHeader;
      return;
    }
    p->tcp_flags = t[13];
    p->payload = (uint16_t)(l4 + header);
  } else if (p->protocol == UDP) {
    if (bytes < 8 || load16_be(t + 4) < 8 || load16_be(t + 4) > bytes) {
      p->verdict = VERDICT_UdpHeader;
      return;
    }
    p->payload = (uint16_t)(l4 + 8);
  } else {
    w->is_lost = true;
    return;
  }
  p->sport = (uint16_t)load16_be(t);
  p->dport = (uint16_t)load16_be(t + 2);
  p->flags |= PACKET_HAS_PORTS;
  hash_flow(w, p);
}

static inline void parse_ipv4(struct worker* w, struct packet* p, uint32_t l3) {
  const uint32_t available = p->length - l3;
  const uint8_t* ip = at(w, p->data + l3);
  if (available < 20 || ip[0] >> 4 != 4) {
    p->verdict = VERDICT_Ipv4Header;
    return;
  }
  const uint32_t header = (ip[0] & 15) << 2;
  if (header < 20 || header > available) {
    p->verdict = VERDICT_Ipv4Header;
    return;
  }
  const uint32_t total = load16_be(ip + 2);
  if (total < header || total > available) {
    p->verdict = VERDICT_Ipv4Length;
    return;
  }
  if (fold(ipv4_sum(ip)) != 0xffff) {
    p->verdict = VERDICT_Ipv4Checksum;
    return;
  }
  if (load16(ip + 6) & 0xff3f) {
    w->is_lost = true;
    return;
  }
  p->version = 4;
  p->end = l3 + total;
  p->tos = ip[1];
  p->ttl = ip[8];
  p->protocol = ip[9];
  p->next_header = (uint16_t)(l3 + 9);
  p->source = (struct address){0, 0xffff0000 | ((uint64_t)load32(ip + 12) << 32)};
  p->destination = (struct address){0, 0xffff0000 | ((uint64_t)load32(ip + 16) << 32)};
  p->fragment_offset = 0;
  p->fragment_id = load16_be(ip + 4);
  p->flags |= (uint16_t)((ip[6] & 0x40 ? PACKET_IS_DF : 0) | (header > 20 ? PACKET_HAS_OPTIONS : 0));
  parse_transport(w, p, l3 + header);
}

static inline void parse_ipv6(struct worker* w, struct packet* p, uint32_t l3) {
  const uint32_t available = p->length - l3;
  const uint8_t* ip = at(w, p->data + l3);
  if (available < 40 || ip[0] >> 4 != 6) {
    p->verdict = VERDICT_Ipv6Header;
    return;
  }
  const uint32_t total = 40 + load16_be(ip + 4);
  if (total > available) {
    p->verdict = VERDICT_Ipv6Length;
    return;
  }
  p->version = 6;
  p->end = l3 + total;
  p->tos = (uint8_t)(load16_be(ip) >> 4);
  p->ttl = ip[7];
  p->protocol = ip[6];
  p->next_header = (uint16_t)(l3 + 6);
  memcpy(&p->source, ip + 8, 16);
  memcpy(&p->destination, ip + 24, 16);
  p->fragment_offset = 0;
  p->fragment_id = 0;
  p->flags |= PACKET_IS_DF;
  parse_transport(w, p, l3 + 40);
}

static inline void parse(struct worker* w, struct packet* p) {
  const uint8_t* data = at(w, p->data);
  uint32_t l3 = 0, type;
  p->vlans = 0;
  p->version = 0;
  if (p->flags & PACKET_IS_ETHERNET) {
    if (p->length < 14) {
      p->verdict = VERDICT_FrameTooShort;
      return;
    }
    l3 = 14;
    type = load16_be(data + 12);
  } else {
    if (p->length == 0) {
      p->verdict = VERDICT_FrameTooShort;
      return;
    }
    type = data[0] >> 4 == 6 ? 0x86dd : 0x0800;
  }
  p->l3 = (uint16_t)l3;
  p->ether_type = (uint16_t)type;
  p->end = p->length;
  if (type == 0x0800)
    parse_ipv4(w, p, l3);
  else if (type == 0x86dd)
    parse_ipv6(w, p, l3);
  else
    w->is_lost = true;
}
