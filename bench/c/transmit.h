// Messages and datagrams waiting to be grouped into them, as asm/transmit/*.ts.
#pragma once
#include "worker.h"

enum { MAX_MESSAGE_BYTES = 65000, MAX_MESSAGE_IOVS = 1024 };

static inline bool transmit_fits(const struct worker* w, uint32_t count, uint32_t entries) {
  return w->rows + w->messages + count <= MAX_TX_MESSAGES && w->open_iovs + w->iovs + entries <= MAX_IOVS;
}

static inline struct tx_message* message_begin(struct worker* w, uint32_t slot, uint32_t tos, uint32_t frames,
                                               uint32_t address, uint32_t tunnel) {
  struct tx_message* m = (struct tx_message*)at(w, w->base + WORKER_TX_MESSAGES) + w->messages++;
  *m = (struct tx_message){.slot = (uint16_t)slot,
                           .tos = (uint8_t)tos,
                           .iov = w->iovs,
                           .frames = (uint16_t)frames,
                           .address = address,
                           .tunnel = tunnel};
  return m;
}
static inline struct tx_message* message_to_port(struct worker* w, uint32_t port, uint32_t frames) {
  return message_begin(w, port, 0, frames, 0, NO_TUNNEL);
}
static inline void message_push(struct worker* w, struct tx_message* m, uint32_t offset, uint32_t length) {
  ((struct iov*)at(w, w->base + WORKER_TX_IOVS))[w->iovs++] = (struct iov){offset, length};
  m->iovs++;
  m->bytes += length;
}
static inline void message_grow(struct worker* w, struct tx_message* m, uint32_t length) {
  ((struct iov*)at(w, w->base + WORKER_TX_IOVS))[w->iovs - 1].length += length;
  m->bytes += length;
}
static inline uint32_t messages_end(struct worker* w) {
  *(uint32_t*)at(w, w->base + WORKER_TX_COUNT) = w->messages;
  *(uint32_t*)at(w, w->base + WORKER_IOV_COUNT) = w->iovs;
  return w->messages;
}

// Puts a row behind those of its peer and source port.
static inline void chain_append(struct worker* w, struct pending* row) {
  struct chain* chains = at(w, w->base + WORKER_PENDING_CHAINS);
  if (w->chains == 0) memset(chains, 0, PENDING_USED);
  struct chain* chain = chains + ((row->slot ^ (row->tunnel * 31)) & (PENDING_BUCKETS - 1));
  const uint32_t offset = offset_of(w, row);
  if (chain->last != 0) {
    ((struct pending*)at(w, chain->last))->next = offset;
  } else {
    chain->first = offset;
    ((uint32_t*)at(w, w->base + WORKER_PENDING_CHAINS + PENDING_USED))[w->chains++] = offset_of(w, chain);
  }
  chain->last = offset;
}

static inline struct pending* pending_begin(struct worker* w, uint32_t slot, uint32_t tos, uint32_t tunnel,
                                            uint32_t segment, uint32_t frames) {
  struct pending* row = (struct pending*)at(w, w->base + WORKER_PENDING) + w->rows++;
  *row = (struct pending){.slot = (uint16_t)slot,
                          .tos = (uint8_t)tos,
                          .iov = w->open_iovs,
                          .segment = (uint16_t)segment,
                          .frames = (uint16_t)frames,
                          .tunnel = tunnel};
  chain_append(w, row);
  return row;
}
static inline void pending_push(struct worker* w, struct pending* row, uint32_t offset, uint32_t length) {
  ((struct iov*)at(w, w->base + WORKER_OPEN_IOVS))[w->open_iovs++] = (struct iov){offset, length};
  row->iovs++;
  row->bytes += length;
}

static inline void pending_single(struct worker* w, uint32_t slot, uint32_t tos, uint32_t tunnel,
                                  uint32_t offset, uint32_t length, uint32_t frames) {
  struct pending* row = (struct pending*)at(w, w->base + WORKER_PENDING) + w->rows++;
  *row = (struct pending){.slot = (uint16_t)slot,
                          .tos = (uint8_t)tos,
                          .iov = w->open_iovs,
                          .iovs = 1,
                          .segment = (uint16_t)length,
                          .frames = (uint16_t)frames,
                          .tunnel = tunnel,
                          .bytes = length,
                          .datagrams = 1};
  ((struct iov*)at(w, w->base + WORKER_OPEN_IOVS))[w->open_iovs++] = (struct iov){offset, length};
  chain_append(w, row);
}

static inline void chain_flush(struct worker* w, const struct pending* row) {
  const struct iov* open_iovs = at(w, w->base + WORKER_OPEN_IOVS);
  while (row) {
    const struct pending* head = row;
    const struct tunnel* t = tunnel_row(w, row->tunnel);
    const bool is_batched = t->kind != TUNNEL_IPIP && (w->offloads & OFFLOAD_UDP_SEGMENT);
    const uint32_t limit = is_batched ? w->max_batch : 1;
    struct tx_message* m =
        message_begin(w, row->slot, row->tos, 0, offset_of(w, t) + TUNNEL_SOCKADDR, row->tunnel);
    struct iov* to = (struct iov*)at(w, w->base + WORKER_TX_IOVS) + w->iovs;
    uint32_t datagrams = 0, bytes = 0, frames = 0, entries = 0;
    do {
      const struct iov* from = open_iovs + row->iov;
      for (uint32_t i = 0; i < row->iovs; i++) to[entries + i] = from[i];
      entries += row->iovs;
      datagrams += row->datagrams;
      bytes += row->bytes;
      frames += row->frames;
      row = row->next ? at(w, row->next) : NULL;
    } while (row && bytes == datagrams * head->segment && row->slot == head->slot && row->tos == head->tos &&
             row->tunnel == head->tunnel && datagrams + row->datagrams <= limit &&
             bytes + row->bytes <= MAX_MESSAGE_BYTES && entries + row->iovs <= MAX_MESSAGE_IOVS &&
             (row->segment == head->segment || (row->segment < head->segment && row->datagrams == 1)));
    w->iovs += entries;
    m->segment = datagrams > 1 ? head->segment : 0;
    m->frames = (uint16_t)frames;
    m->iovs = entries;
    m->bytes = bytes;
    if (datagrams > 1) count_stat(w, STAT_BATCHES, 1);
    count_tunnel(w, head->tunnel, TUNNEL_TX_PACKETS, datagrams, bytes);
  }
}

static inline void pending_flush(struct worker* w) {
  const uint32_t* used = at(w, w->base + WORKER_PENDING_CHAINS + PENDING_USED);
  for (uint32_t i = 0; i < w->chains; i++) {
    const struct chain* chain = at(w, used[i]);
    chain_flush(w, at(w, chain->first));
  }
}
