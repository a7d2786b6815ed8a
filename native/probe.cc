// Which offloads this host gives, tried on descriptors that are thrown away.

#include <linux/if_tun.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <functional>
#include <string>

#include "boundary.h"
#include "exports.h"
#include "netns.h"
#include "tap.h"

namespace overweft {
namespace {

constexpr const char* kProbeTap = "owprobe%d";
// linux/if_tun.h since 6.17, linux/virtio_net.h virtio_net_hdr_v1_hash_tunnel.
constexpr unsigned kTunFUdpTunnel = 0x80 | 0x100;
constexpr int kTunnelHeader = 24;

void setOffload(int fd, unsigned mask) {
  if (ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(mask)) != 0) {
    throwErrno("ioctl(TUNSETOFFLOAD)", kProbeTap);
  }
}

void tryTap(const TapOffloads& offloads) {
  std::string name = kProbeTap;
  UniqueFd fd = openTapQueue(name);
  setOffload(fd.get(), offloadMask(offloads));
}

void tryMultiQueue() {
  std::string name = kProbeTap;
  UniqueFd first = openTapQueue(name);
  UniqueFd second = openTapQueue(name);
}

void tryTunnelGso() {
  std::string name = kProbeTap;
  UniqueFd fd = openTapQueue(name);
  int size = kTunnelHeader;
  if (ioctl(fd.get(), TUNSETVNETHDRSZ, &size) != 0) throwErrno("ioctl(TUNSETVNETHDRSZ)", name);
  setOffload(fd.get(), offloadMask({true, true, false}) | kTunFUdpTunnel);
}

void trySocketOption(int level, int option, int value, const char* call) {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) throwErrno("socket", "probe");
  if (setsockopt(fd.get(), level, option, &value, sizeof value) != 0) throwErrno(call, "probe");
}

/// {available: true}, or {available: false, code, errno, syscall}.
void report(Result& result, napi_env env, const char* feature, const std::function<void()>& attempt) {
  Result row(env);
  try {
    attempt();
    row.set("available", true);
  } catch (const ErrnoError& error) {
    row.set("available", false)
        .set("code", errnoName(error.number))
        .set("errno", double(-error.number))
        .set("syscall", std::string(error.syscall));
  }
  result.set(feature, row.value());
}

/// Throw-away TAPs stay out of sight in a namespace of their own, where one can be made.
std::function<void()> outOfSight(void (*attempt)()) {
  return [attempt] {
    if (!inScratchNamespace(attempt)) attempt();
  };
}

}  // namespace

napi_value probe(Environment&, const Arguments& arguments) {
  napi_env env = arguments.env();
  Result result(env);
  report(result, env, "multiQueue", outOfSight(tryMultiQueue));
  report(result, env, "tso", outOfSight([] { tryTap({true, true, false}); }));
  report(result, env, "uso", outOfSight([] { tryTap({true, true, true}); }));
  report(result, env, "tunnelGso", outOfSight(tryTunnelGso));
  report(result, env, "udpSegment",
         [] { trySocketOption(SOL_UDP, UDP_SEGMENT, 1200, "setsockopt(UDP_SEGMENT)"); });
  report(result, env, "udpGro", [] { trySocketOption(SOL_UDP, UDP_GRO, 1, "setsockopt(UDP_GRO)"); });
  report(result, env, "rcvbufForce",
         [] { trySocketOption(SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20, "setsockopt(SO_RCVBUFFORCE)"); });
  return result.value();
}

}  // namespace overweft
