// Traffic from one network namespace to another, measured at the receiver: what every contestant of `overweft
// bench` has to carry. One process makes the sockets of both ends, so both are measured by one clock and
// nothing has to be agreed upon over the path itself; then sender and receiver are processes of their own.
//
//     traffic tcp --from NETNS --to NETNS --address IP --window-ms N
//     traffic udp … --size BYTES --flows N --rate PACKETS/S (0: unlimited)
//     traffic rr  … --interval-us N (0: back to back) [--bulk]
//     traffic …   --port N --knock IP --knock-port N
//
// NETNS is a namespace's file, IP the receiver's address. The sender sends there, or where it is told to
// knock; the receiver listens at a port of the kernel's choice, or at the one given. Prints one line of JSON.
// Ends by itself, at the latest `patience` after its window, with status 1 and a message where something
// fails.
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common.h"

enum { most_samples = 1 << 20, batch = 64, most_flows = 16384, patience_s = 10 };

static const int64_t warm_up_ns = 150000000;

struct options {
  const char *from, *to, *address, *knock;
  int port, knock_port, window_ms, size, flows, interval_us;
  int64_t rate;
  bool bulk;
};

/** What the processes count, in memory that they share. */
struct counters {
  _Atomic uint64_t sent, received;
  /** Round trips in nanoseconds, in the order in which they ended. */
  _Atomic uint32_t samples;
  uint32_t nanoseconds[most_samples];
};

static struct counters* shared;

// --- sockets ---

/** The receiver's socket, and the address to reach it at. */
static int receiver(const struct options* options, int type, struct sockaddr_storage* at, socklen_t* length) {
  enter(options->to);
  *length = parse(options->address, options->port, at);
  const int fd = must(socket(at->ss_family, type | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
  must(bind(fd, (struct sockaddr*)at, *length), options->address);
  must(getsockname(fd, (struct sockaddr*)at, length), "getsockname");
  if (options->knock) *length = parse(options->knock, options->knock_port, at);
  return fd;
}

static int sender(const struct options* options, int type, const struct sockaddr_storage* to,
                  socklen_t length) {
  enter(options->from);
  const int fd = must(socket(to->ss_family, type | SOCK_CLOEXEC, 0), "socket");
  must(connect(fd, (const struct sockaddr*)to, length), "connect");
  return fd;
}

struct connection {
  int from, to;
};

static struct connection connection(const struct options* options) {
  struct sockaddr_storage at;
  socklen_t length;
  const int listener = receiver(options, SOCK_STREAM, &at, &length);
  must(listen(listener, 1), "listen");
  const int from = sender(options, SOCK_STREAM, &at, length);
  const int to = must(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept");
  close(listener);
  const int on = 1;
  for (int i = 0; i < 2; i++) {
    const int fd = i ? from : to;
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
    // Linux' own default whatever the host's is: what a path reaches depends on it.
    must(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5), "TCP_CONGESTION");
  }
  return (struct connection){from, to};
}

// --- processes ---

static void stream(int from) {
  static char buffer[128 << 10];
  while (write(from, buffer, sizeof buffer) > 0) {
  }
  exit(0);
}

static void sink(int to, _Atomic uint64_t* count) {
  static char buffer[256 << 10];
  ssize_t got;
  while ((got = read(to, buffer, sizeof buffer)) > 0) atomic_fetch_add(count, (uint64_t)got);
  exit(0);
}

static void echo(int to) {
  char byte;
  while (read(to, &byte, 1) == 1 && write(to, &byte, 1) == 1) {
  }
  exit(0);
}

static void ask(int from, int interval_us) {
  char byte = 0;
  for (int64_t next = now();;) {
    if (interval_us > 0) sleep_until(next += interval_us * 1000LL);
    const int64_t begin = now();
    if (write(from, &byte, 1) != 1 || read(from, &byte, 1) != 1) exit(1);
    const uint32_t sample = atomic_load(&shared->samples);
    if (sample == most_samples) exit(0);
    shared->nanoseconds[sample] = (uint32_t)(now() - begin);
    atomic_store(&shared->samples, sample + 1);
  }
}

static void receive_datagrams(int to) {
  static char buffers[batch][2048];
  static struct iovec iovs[batch];
  static struct mmsghdr messages[batch];
  for (int i = 0; i < batch; i++) {
    iovs[i] = (struct iovec){buffers[i], sizeof buffers[i]};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &iovs[i], .msg_iovlen = 1};
  }
  int got;
  while ((got = recvmmsg(to, messages, batch, MSG_WAITFORONE, NULL)) > 0)
    atomic_fetch_add(&shared->received, (uint64_t)got);
  exit(0);
}

/** Sends to the end of `until`. Flows take turns, a datagram each; one flow goes out in batches. */
static void send_datagrams(const int* from, const struct options* options, int64_t begin, int64_t until) {
  // Finer than what a queue of 1000 frames holds at a million packets a second.
  static const int64_t tick_ns = 200000;
  static char payload[2048];
  static struct mmsghdr messages[batch];
  struct iovec iov = {payload, (size_t)options->size};
  for (int i = 0; i < batch; i++) messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1};
  uint64_t sent = 0;
  int flow = 0;
  for (int64_t time = now(); time < until; time = now()) {
    uint64_t due = batch;
    if (options->rate > 0) {
      const uint64_t all = (uint64_t)((double)(time - begin) * (double)options->rate / 1e9);
      if (all <= sent) {
        sleep_until(time + tick_ns);
        continue;
      }
      due = all - sent < batch ? all - sent : batch;
    }
    if (options->flows == 1) {
      // What a full device refuses is lost, as an application would lose it.
      const int done = sendmmsg(from[0], messages, (unsigned)due, 0);
      sent += done > 0 ? (uint64_t)done : 1;
    } else {
      for (uint64_t i = 0; i < due; i++, flow = flow + 1 == options->flows ? 0 : flow + 1)
        send(from[flow], payload, (size_t)options->size, 0);
      sent += due;
    }
    atomic_store(&shared->sent, sent);
  }
  exit(0);
}

// --- measurements ---

struct window {
  double seconds, busy;
  uint64_t received;
  uint32_t first_sample, samples;
};

/** Looks at the counters twice, a window apart, after the warm-up. */
static struct window window(const struct options* options, int64_t begin) {
  sleep_until(begin + warm_up_ns);
  const int64_t opened = now();
  const double busy = busy_seconds();
  const uint64_t received = atomic_load(&shared->received);
  const uint32_t first = atomic_load(&shared->samples);
  sleep_until(opened + options->window_ms * 1000000LL);
  return (struct window){
      .seconds = (double)(now() - opened) / 1e9,
      .busy = busy_seconds() - busy,
      .received = atomic_load(&shared->received) - received,
      .first_sample = first,
      .samples = atomic_load(&shared->samples) - first,
  };
}

static void tcp(const struct options* options) {
  const struct connection pair = connection(options);
  pid_t processes[2];
  if ((processes[0] = start()) == 0) sink(pair.to, &shared->received);
  if ((processes[1] = start()) == 0) stream(pair.from);
  const struct window seen = window(options, now());
  end(processes, 2);
  printf("{\"seconds\":%.6f,\"bytes\":%lu,\"busySeconds\":%.3f}\n", seen.seconds, seen.received, seen.busy);
}

static void udp(const struct options* options) {
  static const int64_t quiet_ns = 20000000, drain_ns = 400000000;
  static int from[most_flows];
  struct sockaddr_storage at;
  socklen_t length;
  const int to = receiver(options, SOCK_DGRAM, &at, &length);
  // The path is to be measured, not how soon the receiving process gets its turn.
  const int bytes = 8 << 20;
  setsockopt(to, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  const struct rlimit files = {most_flows + 64, most_flows + 64};
  must(setrlimit(RLIMIT_NOFILE, &files), "RLIMIT_NOFILE");
  for (int i = 0; i < options->flows; i++) from[i] = sender(options, SOCK_DGRAM, &at, length);
  const int64_t begin = now();
  const int64_t until = begin + warm_up_ns + options->window_ms * 1000000LL;
  pid_t processes[2];
  if ((processes[0] = start()) == 0) receive_datagrams(to);
  if ((processes[1] = start()) == 0) send_datagrams(from, options, begin, until);
  const struct window seen = window(options, begin);
  waitpid(processes[1], NULL, 0);
  // What is still on its way is not lost.
  const int64_t ended = now();
  for (uint64_t before = UINT64_MAX; now() < ended + drain_ns && before != atomic_load(&shared->received);) {
    before = atomic_load(&shared->received);
    sleep_until(now() + quiet_ns);
  }
  end(processes, 1);
  printf("{\"seconds\":%.6f,\"packets\":%lu,\"busySeconds\":%.3f,\"sent\":%lu,\"received\":%lu}\n",
         seen.seconds, seen.received, seen.busy, atomic_load(&shared->sent), atomic_load(&shared->received));
}

static int by_value(const void* a, const void* b) {
  const uint32_t left = *(const uint32_t*)a, right = *(const uint32_t*)b;
  return (left > right) - (left < right);
}

static void rr(const struct options* options) {
  const struct connection asking = connection(options);
  pid_t processes[4];
  int count = 0;
  if (options->bulk) {
    const struct connection bulk = connection(options);
    if ((processes[count++] = start()) == 0) sink(bulk.to, &shared->received);
    if ((processes[count++] = start()) == 0) stream(bulk.from);
  }
  if ((processes[count++] = start()) == 0) echo(asking.to);
  if ((processes[count++] = start()) == 0) ask(asking.from, options->interval_us);
  const struct window seen = window(options, now());
  end(processes, count);
  if (seen.samples == 0) {
    errno = ETIMEDOUT;
    fail("no answer within the window");
  }
  uint32_t* samples = shared->nanoseconds + seen.first_sample;
  qsort(samples, seen.samples, sizeof *samples, by_value);
  printf(
      "{\"seconds\":%.6f,\"bytes\":%lu,\"busySeconds\":%.3f,\"roundTrips\":%u,\"p50\":%.9f,\"p99\":%.9f}\n",
      seen.seconds, seen.received, seen.busy, seen.samples, samples[seen.samples / 2] / 1e9,
      samples[(uint64_t)seen.samples * 99 / 100] / 1e9);
}

int main(int argc, char** argv) {
  enum { from = 1, to, address, port, knock, knock_port, window_ms, size, flows, rate, interval_us, bulk };
  static const struct option names[] = {
      {"from", required_argument, NULL, from},
      {"to", required_argument, NULL, to},
      {"address", required_argument, NULL, address},
      {"port", required_argument, NULL, port},
      {"knock", required_argument, NULL, knock},
      {"knock-port", required_argument, NULL, knock_port},
      {"window-ms", required_argument, NULL, window_ms},
      {"size", required_argument, NULL, size},
      {"flows", required_argument, NULL, flows},
      {"rate", required_argument, NULL, rate},
      {"interval-us", required_argument, NULL, interval_us},
      {"bulk", no_argument, NULL, bulk},
      {0},
  };
  struct options options = {.window_ms = 400, .size = 16, .flows = 1};
  for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    switch (name) {
      case from:
        options.from = optarg;
        break;
      case to:
        options.to = optarg;
        break;
      case address:
        options.address = optarg;
        break;
      case port:
        options.port = atoi(optarg);
        break;
      case knock:
        options.knock = optarg;
        break;
      case knock_port:
        options.knock_port = atoi(optarg);
        break;
      case window_ms:
        options.window_ms = atoi(optarg);
        break;
      case size:
        options.size = atoi(optarg);
        break;
      case flows:
        options.flows = atoi(optarg);
        break;
      case rate:
        options.rate = atoll(optarg);
        break;
      case interval_us:
        options.interval_us = atoi(optarg);
        break;
      case bulk:
        options.bulk = true;
        break;
      default:
        return 2;
    }
  }
  const char* mode = optind < argc ? argv[optind] : "";
  void (*const measure)(const struct options*) = strcmp(mode, "tcp") == 0   ? tcp
                                                 : strcmp(mode, "udp") == 0 ? udp
                                                 : strcmp(mode, "rr") == 0  ? rr
                                                                            : NULL;
  if (!measure || !options.from || !options.to || !options.address || options.flows < 1 ||
      options.flows > most_flows || options.size < 1 || options.size > 1400) {
    fprintf(stderr, "traffic: wrong arguments\n");
    return 2;
  }
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) fail("mmap");
  alarm((unsigned)(options.window_ms / 1000 + patience_s));
  measure(&options);
  return 0;
}
