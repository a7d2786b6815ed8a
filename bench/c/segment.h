// A superframe becomes packets that fit a tunnel, as asm/stage/segment.ts.
#pragma once
#include "encap.h"

static inline bool segment(struct worker* w, const struct packet* p, uint32_t size, const struct tunnel* t) {
  const uint32_t repeated = (uint32_t)p->payload - p->l3;
  const uint32_t prefix = encap_length(t);
  const uint32_t head = prefix + repeated;
  const uint32_t stride = (head + 63) & ~63u;
  const uint32_t payload = p->end - p->payload;
  const uint32_t count = payload == 0 ? 1 : (payload + size - 1) / size;
  if (!transmit_fits(w, count, count << 1)) return false;
  const uint32_t arena = headers_alloc(w, count * stride);
  if (arena == 0) return false;

  const bool is_tcp = p->protocol == 6;
  const uint32_t tos = outer_tos(t, p->tos);
  const uint32_t l4 = (uint32_t)p->l4 - p->l3;
  const uint32_t transport_header = repeated - l4;
  uint8_t* first = at(w, arena + prefix);
  copy_short(first, at(w, p->data + p->l3), repeated);
  uint32_t id = 0;
  uint64_t ip_sum = 0, pseudo;
  if (p->version == 4) {
    id = load16_be(first + 4);
    store32(first + 2, 0);
    store16(first + 10, 0);
    ip_sum = sum(first, l4);
    pseudo = pseudo_sum(first + 12, 8, p->protocol, 0);
  } else {
    pseudo = pseudo_sum(first + 8, 32, p->protocol, 0);
  }
  uint8_t* transport = first + l4;
  uint32_t sequence = 0, flags = 0, first_flags = 0, last_flags = 0;
  if (is_tcp) {
    sequence = load32_be(transport + 4);
    last_flags = transport[13] & 0x09u;
    first_flags = transport[13] & ~0x09u;
    flags = first_flags & ~0x80u;
    store32(transport + 4, 0);
    transport[13] = 0;
    store16(transport + 16, 0);
    pseudo += sum(transport, transport_header);
    transport[13] = (uint8_t)first_flags;
  } else {
    store32(transport + 4, 0);
    pseudo += sum(transport, 8);
  }
  encap_write(t, first, repeated + (size < payload ? size : payload), p->version, tos, p->hash);

  const bool is_raw = t->kind == TUNNEL_IPIP;
  uint32_t limit = 1;
  if (!is_raw && (w->offloads & OFFLOAD_UDP_SEGMENT)) {
    const uint32_t fitting = MAX_MESSAGE_BYTES / (head + size);
    limit = fitting < 1 ? 1 : fitting < w->max_batch ? fitting : w->max_batch;
  }
  const uint32_t slot = encap_slot(t, p->hash);
  struct pending* row = NULL;
  uint32_t in_row = 0, from = p->data + p->payload, left = payload;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t bytes = size < left ? size : left;
    const uint32_t start = arena + i * stride;
    if (i != 0) copy_short(at(w, start), at(w, arena), head);
    uint8_t* ip = at(w, start + prefix);
    const uint32_t length = transport_header + bytes;
    if (p->version == 4) {
      const uint32_t total = l4 + length;
      store16_be(ip + 2, total);
      store16_be(ip + 4, id + i);
      store16(ip + 10, (uint16_t)complement(ip_sum + word(total) + word(id + i)));
    } else {
      store16_be(ip + 4, l4 - 40 + length);
    }
    uint8_t* l4_header = ip + l4;
    uint64_t s = pseudo + __builtin_bswap32(length) + sum(at(w, from), bytes);
    if (is_tcp) {
      const uint32_t own = (i == 0 ? first_flags : flags) | (i == count - 1 ? last_flags : 0);
      l4_header[13] = (uint8_t)own;
      store32_be(l4_header + 4, sequence);
      s += (uint64_t)__builtin_bswap32(sequence) + (own << 8);
      store16(l4_header + 16, (uint16_t)complement(s));
      sequence += bytes;
    } else {
      store16_be(l4_header + 4, length);
      const uint32_t value = complement(s + word(length));
      store16(l4_header + 6, (uint16_t)(value == 0 ? 0xffff : value));
    }
    if (is_raw && i != 0) encap_write(t, ip, repeated + bytes, p->version, tos, p->hash);
    if (in_row == 0) {
      row = pending_begin(w, slot, tos, p->target, head + bytes, i == 0 ? 1 : 0);
    }
    pending_push(w, row, start, head);
    if (bytes != 0) pending_push(w, row, from, bytes);
    row->datagrams++;
    in_row = in_row + 1 == limit ? 0 : in_row + 1;
    from += bytes;
    left -= bytes;
  }
  count_stat(w, STAT_SEGMENTS, count);
  return true;
}
