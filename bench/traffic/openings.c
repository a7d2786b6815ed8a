// Connections that are opened and ended at once: how many a second a path opens, and which server they come
// to.
//
//     openings rate  --from NETNS --target IP,PORT … --server NETNS,IP,PORT … --first-port P --count N
//     --flight N openings watch --from NETNS --target IP,PORT   --server NETNS,IP,PORT … --first-port P
//     --interval-us N
//
// NETNS is a namespace's file. Every connection has a source port of its own, from P on, so that none is
// known to the path from before as long as nobody uses a port twice. `--targets FILE` names many, a line
// each.
//
// `rate` opens N connections, some at a time, to all targets in turn, and prints one line of JSON. `watch`
// opens one every interval until it is killed, and prints a line `NANOSECONDS SERVER` (CLOCK_MONOTONIC,
// number of the server) whenever one arrives at another server than the one before.
#include <getopt.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "common.h"

enum { most_servers = 64, most_targets = 65536, most_flight = 1024, least_port = 1024, patience_s = 30 };

struct end_point {
  struct sockaddr_storage address;
  socklen_t length;
};

static struct {
  const char* from;
  int first_port, count, flight, interval_us;
  int targets, servers;
} options = {.first_port = least_port, .count = 1000, .flight = 64, .interval_us = 1000};

static struct end_point targets[most_targets];
static int listeners[most_servers];

/** @param text IP,PORT; cut at the comma */
static struct end_point end_point(char* text) {
  char* const comma = strchr(text, ',');
  if (!comma) {
    errno = EINVAL;
    fail(text);
  }
  *comma = '\0';
  struct end_point point;
  point.length = parse(text, atoi(comma + 1), &point.address);
  return point;
}

static void add_target(char* text) {
  if (options.targets == most_targets) {
    errno = E2BIG;
    fail("--target");
  }
  targets[options.targets++] = end_point(text);
}

static void read_targets(const char* file) {
  FILE* const lines = fopen(file, "re");
  if (!lines) fail(file);
  char line[128];
  while (fgets(line, sizeof line, lines)) add_target(line);
  fclose(lines);
}

/** Listens inside a namespace; the process stays there. */
static void add_server(char* text) {
  char* const comma = strchr(text, ',');
  if (!comma || options.servers == most_servers) {
    errno = comma ? E2BIG : EINVAL;
    fail(text);
  }
  *comma = '\0';
  enter(text);
  const struct end_point at = end_point(comma + 1);
  const int fd = must(socket(at.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  const int on = 1;
  must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
  must(bind(fd, (const struct sockaddr*)&at.address, at.length), "bind");
  must(listen(fd, 4096), "listen");
  listeners[options.servers++] = fd;
}

static void until(int epoll, int fd, uint32_t events, uint32_t number) {
  struct epoll_event event = {.events = events, .data = {.u32 = number}};
  must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

/** Takes what comes, and ends it. @param tells whether it prints which server another one comes to */
_Noreturn static void serve(bool tells) {
  struct epoll_event events[most_servers];
  const int epoll = must(epoll_create1(EPOLL_CLOEXEC), "epoll");
  for (int i = 0; i < options.servers; i++) until(epoll, listeners[i], EPOLLIN, (uint32_t)i);
  uint32_t last = UINT32_MAX;
  for (;;) {
    const int ready = epoll_wait(epoll, events, most_servers, -1);
    for (int i = 0; i < ready; i++) {
      const uint32_t server = events[i].data.u32;
      for (int fd; (fd = accept4(listeners[server], NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        close(fd);
        if (!tells || server == last) continue;
        printf("%lld %u\n", (long long)now(), server);
        fflush(stdout);
        last = server;
      }
    }
  }
}

/** Begins to open connection `number`. */
static int open_connection(int64_t number) {
  const struct end_point* const to = &targets[number % options.targets];
  const int ports = 65536 - least_port;
  const uint16_t port = htons((uint16_t)(least_port + (options.first_port - least_port + number) % ports));
  const int fd = must(socket(to->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  // Ends by a reset: neither end keeps the port.
  const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), "SO_LINGER");
  struct sockaddr_storage own = {.ss_family = to->address.ss_family};
  // The port lies at one place in both families.
  ((struct sockaddr_in*)&own)->sin_port = port;
  must(bind(fd, (const struct sockaddr*)&own, to->length), "bind");
  if (connect(fd, (const struct sockaddr*)&to->address, to->length) < 0 && errno != EINPROGRESS)
    fail("connect");
  return fd;
}

static void rate(void) {
  static int open[most_flight];
  struct epoll_event events[most_flight];
  const int epoll = must(epoll_create1(EPOLL_CLOEXEC), "epoll");
  const double busy = busy_seconds();
  const int64_t begin = now();
  int begun = 0;
  for (int i = 0; i < options.flight && begun < options.count; i++) {
    open[i] = open_connection(begun++);
    until(epoll, open[i], EPOLLOUT, (uint32_t)i);
  }
  for (int done = 0; done < options.count;) {
    const int ready = must(epoll_wait(epoll, events, options.flight, -1), "epoll_wait");
    for (int i = 0; i < ready; i++, done++) {
      const uint32_t slot = events[i].data.u32;
      socklen_t length = sizeof errno;
      must(getsockopt(open[slot], SOL_SOCKET, SO_ERROR, &errno, &length), "SO_ERROR");
      if (errno != 0) fail("connect");
      close(open[slot]);
      if (begun == options.count) continue;
      open[slot] = open_connection(begun++);
      until(epoll, open[slot], EPOLLOUT, slot);
    }
  }
  const double seconds = (double)(now() - begin) / 1e9;
  printf("{\"opened\":%d,\"seconds\":%.6f,\"busySeconds\":%.3f}\n", options.count, seconds,
         busy_seconds() - busy);
}

_Noreturn static void watch(void) {
  static int open[most_flight];
  int64_t next = now();
  for (int64_t number = 0;; number++) {
    int* const slot = &open[number % options.flight];
    if (number >= options.flight) close(*slot);
    *slot = open_connection(number);
    sleep_until(next += options.interval_us * 1000LL);
  }
}

int main(int argc, char** argv) {
  enum { from = 1, target, target_file, server, first_port, count, flight, interval_us };
  static const struct option names[] = {
      {"from", required_argument, NULL, from},
      {"target", required_argument, NULL, target},
      {"targets", required_argument, NULL, target_file},
      {"server", required_argument, NULL, server},
      {"first-port", required_argument, NULL, first_port},
      {"count", required_argument, NULL, count},
      {"flight", required_argument, NULL, flight},
      {"interval-us", required_argument, NULL, interval_us},
      {0},
  };
  for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    switch (name) {
      case from:
        options.from = optarg;
        break;
      case target:
        add_target(optarg);
        break;
      case target_file:
        read_targets(optarg);
        break;
      case server:
        add_server(optarg);
        break;
      case first_port:
        options.first_port = atoi(optarg);
        break;
      case count:
        options.count = atoi(optarg);
        break;
      case flight:
        options.flight = atoi(optarg);
        break;
      case interval_us:
        options.interval_us = atoi(optarg);
        break;
      default:
        return 2;
    }
  }
  const char* const mode = optind < argc ? argv[optind] : "";
  const bool watches = strcmp(mode, "watch") == 0;
  if ((!watches && strcmp(mode, "rate") != 0) || !options.from || options.targets < 1 ||
      options.servers < 1 || options.flight < 1 || options.flight > most_flight ||
      options.first_port < least_port) {
    fprintf(stderr, "openings: wrong arguments\n");
    return 2;
  }
  const struct rlimit files = {most_flight + most_servers + 64, most_flight + most_servers + 64};
  must(setrlimit(RLIMIT_NOFILE, &files), "RLIMIT_NOFILE");
  const pid_t serving = start();
  if (serving == 0) serve(watches);
  enter(options.from);
  if (watches) watch();
  alarm(patience_s);
  rate();
  end(&serving, 1);
  return 0;
}
