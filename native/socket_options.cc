#include "socket_options.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <climits>

#include "netns.h"

namespace overweft {
namespace {

struct PathMtuMode {
  const char* name;
  int value;
};

// IP_PMTUDISC_* and IPV6_PMTUDISC_* have the same numbers.
constexpr PathMtuMode kPathMtuModes[] = {{"dont", IP_PMTUDISC_DONT},
                                         {"want", IP_PMTUDISC_WANT},
                                         {"do", IP_PMTUDISC_DO},
                                         {"probe", IP_PMTUDISC_PROBE}};

int pathMtuMode(const std::string& name) {
  for (const PathMtuMode& mode : kPathMtuModes) {
    if (name == mode.name) return mode.value;
  }
  throwType("pmtudisc must be 'do', 'probe', 'dont' or 'want', not '" + name + "'");
}

}  // namespace

SocketBuilder::SocketBuilder(const Options& options, const SocketAddress& address, std::string object)
    : options_(options), address_(address), object_(std::move(object)) {}

void SocketBuilder::open(int type, int protocol) {
  inNetworkNamespace(options_.optionalString("netns"), [&] {
    fd_.reset(socket(address_.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!fd_) throwErrno("socket", object_);
  });
}

bool SocketBuilder::trySet(int level, int option, int value) {
  return setsockopt(fd_.get(), level, option, &value, sizeof value) == 0;
}

void SocketBuilder::set(int level, int option, int value, const char* call) {
  if (!trySet(level, option, value)) throwErrno(call, object_);
}

void SocketBuilder::setBuffer(int forced, int plain, std::optional<uint32_t> bytes) {
  if (!bytes) return;
  int value = *bytes > INT_MAX ? INT_MAX : static_cast<int>(*bytes);
  // Past the sysctl limit needs CAP_NET_ADMIN; without it, as much as the limit allows.
  if (!trySet(SOL_SOCKET, forced, value)) {
    set(SOL_SOCKET, plain, value, plain == SO_RCVBUF ? "setsockopt(SO_RCVBUF)" : "setsockopt(SO_SNDBUF)");
  }
}

void SocketBuilder::applyCommon() {
  setBuffer(SO_RCVBUFFORCE, SO_RCVBUF, options_.optionalNumber("receiveBuffer"));
  setBuffer(SO_SNDBUFFORCE, SO_SNDBUF, options_.optionalNumber("sendBuffer"));
  if (std::optional<std::string> mode = options_.optionalString("pmtudisc")) {
    int value = pathMtuMode(*mode);
    if (six()) {
      set(IPPROTO_IPV6, IPV6_MTU_DISCOVER, value, "setsockopt(IPV6_MTU_DISCOVER)");
    } else {
      set(IPPROTO_IP, IP_MTU_DISCOVER, value, "setsockopt(IP_MTU_DISCOVER)");
    }
  }
  if (options_.boolean("receiveTos", false)) {
    if (six()) {
      set(IPPROTO_IPV6, IPV6_RECVTCLASS, 1, "setsockopt(IPV6_RECVTCLASS)");
    } else {
      set(IPPROTO_IP, IP_RECVTOS, 1, "setsockopt(IP_RECVTOS)");
    }
  }
  if (std::optional<std::string> device = options_.optionalString("device")) {
    if (setsockopt(fd_.get(), SOL_SOCKET, SO_BINDTODEVICE, device->data(),
                   static_cast<socklen_t>(device->size())) != 0) {
      throwErrno("setsockopt(SO_BINDTODEVICE)", object_ + " on " + *device);
    }
  }
  if (options_.boolean("freebind", false)) {
    if (six()) {
      set(IPPROTO_IPV6, IPV6_FREEBIND, 1, "setsockopt(IPV6_FREEBIND)");
    } else {
      set(IPPROTO_IP, IP_FREEBIND, 1, "setsockopt(IP_FREEBIND)");
    }
  }
}

void SocketBuilder::bind() {
  if (::bind(fd_.get(), address_.data(), address_.length) != 0) throwErrno("bind", object_);
}

uint32_t SocketBuilder::bufferSize(int option) const {
  int value = 0;
  socklen_t size = sizeof value;
  if (getsockopt(fd_.get(), SOL_SOCKET, option, &value, &size) != 0) throwErrno("getsockopt", object_);
  return static_cast<uint32_t>(value);
}

}  // namespace overweft
