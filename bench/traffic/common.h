// What the programs of this folder share: time, namespaces, processes.
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

_Noreturn static void fail(const char* what) {
  fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
  exit(1);
}

static int must(int result, const char* what) {
  if (result < 0) fail(what);
  return result;
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void sleep_until(int64_t ns) {
  const struct timespec until = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
  }
}

/** Seconds of all cores that were not idle, interrupts included, those taken by the hypervisor not:
 * proc_stat(5). */
static double busy_seconds(void) {
  FILE* file = fopen("/proc/stat", "re");
  unsigned long long user, nice, system, idle, iowait, irq, softirq;
  if (!file || fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait,
                      &irq, &softirq) != 7)
    fail("/proc/stat");
  fclose(file);
  return (double)(user + nice + system + irq + softirq) / (double)sysconf(_SC_CLK_TCK);
}

static void enter(const char* netns) {
  const int fd = must(open(netns, O_RDONLY | O_CLOEXEC), netns);
  must(setns(fd, CLONE_NEWNET), netns);
  close(fd);
}

static socklen_t parse(const char* address, int port, struct sockaddr_storage* into) {
  struct addrinfo* found;
  const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM};
  char service[16];
  snprintf(service, sizeof service, "%d", port);
  if (getaddrinfo(address, service, &hints, &found) != 0) {
    errno = EINVAL;
    fail(address);
  }
  const socklen_t length = found->ai_addrlen;
  memcpy(into, found->ai_addr, length);
  freeaddrinfo(found);
  return length;
}

/** Starts a process that ends with this one. Returns 0 in it. */
static pid_t start(void) {
  const pid_t pid = must(fork(), "fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
  }
  return pid;
}

static void end(const pid_t* processes, int count) {
  for (int i = 0; i < count; i++) kill(processes[i], SIGKILL);
  for (int i = 0; i < count; i++) waitpid(processes[i], NULL, 0);
}
