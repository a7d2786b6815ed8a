#include "tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "boundary.h"
#include "exports.h"
#include "netns.h"

namespace overweft {
namespace {

// linux/if_tun.h since 6.2, and either alone is EINVAL.
constexpr unsigned kTunFUso = 0x20 | 0x40;
// linux/if_tun.h since 6.17: TUN_F_UDP_TUNNEL_GSO, TUN_F_UDP_TUNNEL_GSO_CSUM.
constexpr unsigned kTunFUdpTunnel = 0x80 | 0x100;

void requireInterfaceName(const char* call, const std::string& name) {
  if (name.size() >= IFNAMSIZ) {
    throwRange(std::string(call) + ": interface name '" + name + "' is longer than 15 bytes");
  }
}

void setVnetHeader(int fd, int bytes, const std::string& name) {
  if (ioctl(fd, TUNSETVNETHDRSZ, &bytes) != 0) throwErrno("ioctl(TUNSETVNETHDRSZ)", name);
}

/// Sets the most that the kernel takes of `wanted`, giving up USO first, then TSO.
TapOffloads negotiate(int fd, TapOffloads wanted, const std::string& name) {
  if (!wanted.csum) wanted = {};
  for (;;) {
    if (ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(offloadMask(wanted))) == 0) return wanted;
    if (errno != EINVAL) throwErrno("ioctl(TUNSETOFFLOAD)", name);
    if (wanted.uso) {
      wanted.uso = false;
    } else if (wanted.tso) {
      wanted.tso = false;
    } else if (wanted.csum) {
      wanted.csum = false;
    } else {
      throwErrno("ioctl(TUNSETOFFLOAD)", name);
    }
  }
}

TapOffloads wantedOffloads(const Options& options) {
  std::optional<Options> wanted = options.optionalObject("offloads");
  if (!wanted) return {true, true, true};
  return {wanted->boolean("csum", true), wanted->boolean("tso", true), wanted->boolean("uso", true)};
}

}  // namespace

UniqueFd openTapQueue(std::string& name) {
  // The namespace in which this file is opened is the one that TUNSETIFF acts in.
  UniqueFd fd(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) throwErrno("open(/dev/net/tun)", name);
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
  if (ioctl(fd.get(), TUNSETIFF, &request) != 0) throwErrno("ioctl(TUNSETIFF)", name);
  name = request.ifr_name;
  return fd;
}

unsigned offloadMask(const TapOffloads& offloads) {
  unsigned mask = 0;
  if (offloads.csum) mask |= TUN_F_CSUM;
  if (offloads.tso) mask |= TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (offloads.uso) mask |= kTunFUso;
  return mask;
}

void takeTunnelSuperframes(int fd, const std::string& name) {
  setVnetHeader(fd, abi::VNET_TUNNEL_HEADER, name);
  unsigned mask = offloadMask({true, true, false}) | kTunFUdpTunnel;
  if (ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(mask)) != 0) {
    throwErrno("ioctl(TUNSETOFFLOAD)", name);
  }
}

napi_value openInjectionTap(Environment& environment, const Arguments& arguments) {
  Options options = arguments.options(0);
  std::string name = options.string("name");
  requireInterfaceName("openInjectionTap", name);
  UniqueFd fd = openTapQueue(name);
  takeTunnelSuperframes(fd.get(), name);
  return toNumber(arguments.env(), environment.held.hold(std::move(fd)));
}

napi_value openTap(Environment& environment, const Arguments& arguments) {
  Options options = arguments.options(0);
  std::string name = options.string("name");
  requireInterfaceName("openTap", name);
  bool persist = options.boolean("persist", false);
  const std::optional<std::string> presence = options.optionalString("presence");
  TapOffloads offloads = wantedOffloads(options);

  UniqueFd fd;
  inNetworkNamespace(options.optionalString("netns"), [&] {
    const bool isThere = if_nametoindex(name.c_str()) != 0;
    if (presence == "new" && isThere) throwErrno(EEXIST, "if_nametoindex", name);
    if (presence == "existing" && !isThere) throwErrno(ENODEV, "if_nametoindex", name);
    fd = openTapQueue(name);
  });
  setVnetHeader(fd.get(), abi::VNET_HEADER, name);
  offloads = negotiate(fd.get(), offloads, name);
  if (persist && ioctl(fd.get(), TUNSETPERSIST, 1) != 0) throwErrno("ioctl(TUNSETPERSIST)", name);

  napi_env env = arguments.env();
  Result taken(env);
  taken.set("csum", offloads.csum).set("tso", offloads.tso).set("uso", offloads.uso);
  return Result(env)
      .set("fd", double(environment.held.hold(std::move(fd))))
      .set("name", name)
      .set("offloads", taken.value())
      .value();
}

napi_value deleteTap(Environment&, const Arguments& arguments) {
  Options options = arguments.options(0);
  std::string name = options.string("name");
  requireInterfaceName("deleteTap", name);
  inNetworkNamespace(options.optionalString("netns"), [&] {
    if (if_nametoindex(name.c_str()) == 0) throwErrno(ENODEV, "if_nametoindex", name);
    UniqueFd fd = openTapQueue(name);
    if (ioctl(fd.get(), TUNSETPERSIST, 0) != 0) throwErrno("ioctl(TUNSETPERSIST)", name);
  });
  return toUndefined(arguments.env());
}

}  // namespace overweft
