// The C twin of the data path as a Node-API addon over the same linear memory: what WebAssembly costs is the
// difference between the two.
//
// Every export takes and returns numbers, as those of asm/index.ts and bench/asm/stages.ts of the same name
// do.
#include <node_api.h>

#include "path.h"

static struct worker worker;
static napi_ref attached;

enum { MAX_ARGUMENTS = 4 };

static bool arguments_of(napi_env env, napi_callback_info info, size_t count, uint32_t* out) {
  napi_value values[MAX_ARGUMENTS];
  size_t given = MAX_ARGUMENTS;
  if (napi_get_cb_info(env, info, &given, values, NULL, NULL) != napi_ok) return false;
  for (size_t i = 0; i < count; i++)
    if (napi_get_value_uint32(env, values[i], &out[i]) != napi_ok) return false;
  return true;
}

static napi_value number(napi_env env, uint32_t value) {
  napi_value result;
  napi_create_uint32(env, value, &result);
  if (worker.is_lost) napi_throw_error(env, NULL, "a packet left the ways that the C twin knows");
  return result;
}

// attach(memory: Uint8Array, base: number)
static napi_value attach(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t given = 2;
  void* data;
  size_t length;
  napi_get_cb_info(env, info, &given, values, NULL, NULL);
  if (napi_get_typedarray_info(env, values[0], NULL, &length, &data, NULL, NULL) != napi_ok) return NULL;
  if (attached) napi_delete_reference(env, attached);
  napi_create_reference(env, values[0], 1, &attached);
  worker = (struct worker){.memory = data};
  napi_get_value_uint32(env, values[1], &worker.base);
  return NULL;
}

static uint32_t call_begin(const uint32_t* a) { return (void)a, burst_begin(&worker); }
static uint32_t call_egress(const uint32_t* a) { return egress(&worker, a[0]); }
static uint32_t call_ingress(const uint32_t* a) { return ingress(&worker, a[0]); }

static struct packet* rows(void) { return at(&worker, worker.base + WORKER_PACKETS); }

static uint32_t call_parse(const uint32_t* a) {
  for (struct packet *p = rows(), *end = p + a[0]; p < end; p++) {
    p->verdict = VERDICT_InProgress;
    p->flags = PACKET_IS_ETHERNET;
    parse(&worker, p);
  }
  return a[0];
}

static uint32_t call_track(const uint32_t* a) {
  for (struct packet *p = rows(), *end = p + a[0]; p < end; p++) track(&worker, p);
  return a[0];
}

static uint32_t call_cells(const uint32_t* a) {
  const struct policy_set* set = at(&worker, a[1]);
  uint32_t found = 0;
  for (const struct packet *p = rows(), *end = p + a[0]; p < end; p++)
    found += policy_cell(&worker, set, p->sport & 7, p->protocol, p->dport);
  return found;
}

static uint32_t call_endpoints(const uint32_t* a) {
  uint32_t found = 0;
  for (const struct packet *p = rows(), *end = p + a[0]; p < end; p++) {
    const struct endpoint* row = endpoint_find(&worker, &p->destination);
    found += row ? offset_of(&worker, row) : 0;
  }
  return found;
}

static uint32_t call_routes(const uint32_t* a) {
  uint32_t found = 0;
  for (const struct packet *p = rows(), *end = p + a[0]; p < end; p++)
    found += route_find(&worker, &p->destination);
  return found;
}

static uint32_t call_encap(const uint32_t* a) {
  worker.messages = worker.iovs = worker.rows = worker.open_iovs = worker.chains = 0;
  const struct tunnel* t = tunnel_row(&worker, a[1]);
  for (const struct packet *p = rows(), *end = p + a[0]; p < end; p++) encap(&worker, p, t);
  pending_flush(&worker);
  return messages_end(&worker);
}

static uint32_t call_sums(const uint32_t* a) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < a[3]; i++) found += fold(sum(at(&worker, a[0] + i * a[2]), a[1]));
  return found;
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint32_t call_sums_avx2(const uint32_t* a) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < a[3]; i++) found += fold(sum_avx2(at(&worker, a[0] + i * a[2]), a[1]));
  return found;
}
#endif

#define EXPORT(name, count)                                                \
  static napi_value export_##name(napi_env env, napi_callback_info info) { \
    uint32_t a[MAX_ARGUMENTS];                                             \
    if (!arguments_of(env, info, count, a)) return NULL;                   \
    return number(env, call_##name(a));                                    \
  }
EXPORT(begin, 0)
EXPORT(egress, 1)
EXPORT(ingress, 1)
EXPORT(parse, 1)
EXPORT(track, 1)
EXPORT(cells, 2)
EXPORT(endpoints, 1)
EXPORT(routes, 1)
EXPORT(encap, 2)
EXPORT(sums, 4)
#ifdef __x86_64__
EXPORT(sums_avx2, 4)
#endif

static void define(napi_env env, napi_value exports, const char* name, napi_callback call) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, call, NULL, &function);
  napi_set_named_property(env, exports, name, function);
}

NAPI_MODULE_INIT() {
  define(env, exports, "attach", attach);
  define(env, exports, "begin", export_begin);
  define(env, exports, "egress", export_egress);
  define(env, exports, "ingress", export_ingress);
  define(env, exports, "parse", export_parse);
  define(env, exports, "track", export_track);
  define(env, exports, "cells", export_cells);
  define(env, exports, "endpoints", export_endpoints);
  define(env, exports, "routes", export_routes);
  define(env, exports, "encap", export_encap);
  define(env, exports, "sums", export_sums);
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2")) define(env, exports, "sumsAvx2", export_sums_avx2);
#endif
  return exports;
}
