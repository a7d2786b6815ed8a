// Which offloads this host gives, tried on descriptors that are thrown away.

#include <linux/if_tun.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <string>

#include "boundary.h"
#include "exports.h"
#include "netns.h"
#include "tap.h"

namespace overweft {
namespace {

constexpr const char* kProbeTap = "owprobe%d";

void tryTap(const TapOffloads& offloads) {
  std::string name = kProbeTap;
  UniqueFd fd = openTapQueue(name);
  if (ioctl(fd.get(), TUNSETOFFLOAD, static_cast<unsigned long>(offloadMask(offloads))) != 0) {
    throwErrno("ioctl(TUNSETOFFLOAD)", name);
  }
}

void tryMultiQueue() {
  std::string name = kProbeTap;
  UniqueFd first = openTapQueue(name);
  UniqueFd second = openTapQueue(name);
}

void tryTunnelGso() {
  std::string name = kProbeTap;
  UniqueFd fd = openTapQueue(name);
  takeTunnelSuperframes(fd.get(), name);
}

void trySocketOption(int level, int option, int value, const char* call) {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) throwErrno("socket", "probe");
  if (setsockopt(fd.get(), level, option, &value, sizeof value) != 0) throwErrno(call, "probe");
}

/// The errno with which the host refuses a feature, or nothing when it gives it.
using Outcome = std::optional<ErrnoError>;

struct Attempt {
  const char* feature;
  void (*run)();
};

constexpr Attempt kTapAttempts[] = {
    {"multiQueue", tryMultiQueue},
    {"tso",
     [] {
       tryTap({true, true, false});
     }},
    {"uso",
     [] {
       tryTap({true, true, true});
     }},
    {"tunnelGso", tryTunnelGso},
};

constexpr Attempt kSocketAttempts[] = {
    {"udpSegment", [] { trySocketOption(SOL_UDP, UDP_SEGMENT, 1200, "setsockopt(UDP_SEGMENT)"); }},
    {"udpGro", [] { trySocketOption(SOL_UDP, UDP_GRO, 1, "setsockopt(UDP_GRO)"); }},
    {"rcvbufForce",
     [] { trySocketOption(SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20, "setsockopt(SO_RCVBUFFORCE)"); }},
};

Outcome outcomeOf(const Attempt& attempt) {
  try {
    attempt.run();
    return std::nullopt;
  } catch (const ErrnoError& error) {
    return error;
  }
}

/// {available: true}, or {available: false, code, errno, syscall}.
void report(Result& result, napi_env env, const char* feature, const Outcome& outcome) {
  Result row(env);
  row.set("available", !outcome);
  if (outcome) {
    row.set("code", errnoName(outcome->number))
        .set("errno", double(-outcome->number))
        .set("syscall", std::string(outcome->syscall));
  }
  result.set(feature, row.value());
}

}  // namespace

napi_value probe(Environment&, const Arguments& arguments) {
  std::array<Outcome, std::size(kTapAttempts)> outcomes;
  auto tryTaps = [&] {
    for (size_t i = 0; i < outcomes.size(); i++) outcomes[i] = outcomeOf(kTapAttempts[i]);
  };
  // Throw-away TAPs stay out of sight in a namespace of their own, where one can be made.
  if (!inScratchNamespace(tryTaps)) tryTaps();

  napi_env env = arguments.env();
  Result result(env);
  for (size_t i = 0; i < outcomes.size(); i++) report(result, env, kTapAttempts[i].feature, outcomes[i]);
  for (const Attempt& attempt : kSocketAttempts) {
    report(result, env, attempt.feature, outcomeOf(attempt));
  }
  return result.value();
}

}  // namespace overweft
