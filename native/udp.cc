// UDP sockets of the underlay.

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <cerrno>

#include "address.h"
#include "boundary.h"
#include "exports.h"
#include "socket_options.h"

namespace overweft {
namespace {

std::string describe(const std::string& address, uint32_t port) {
  bool six = address.find(':') != std::string::npos;
  return (six ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

/// Zero outer checksums, RFC 6935 and 6936; IPv4 accepts them always.
void applyChecksum(SocketBuilder& builder, const Options& options) {
  if (!options.boolean("checksum", true)) {
    if (builder.six()) {
      builder.set(SOL_UDP, UDP_NO_CHECK6_TX, 1, "setsockopt(UDP_NO_CHECK6_TX)");
    } else {
      builder.set(SOL_SOCKET, SO_NO_CHECK, 1, "setsockopt(SO_NO_CHECK)");
    }
  }
  if (builder.six() && options.boolean("acceptZeroChecksum", false)) {
    builder.set(SOL_UDP, UDP_NO_CHECK6_RX, 1, "setsockopt(UDP_NO_CHECK6_RX)");
  }
}

void applyTtl(SocketBuilder& builder, uint32_t ttl) {
  if (ttl < 1 || ttl > 255) {
    throwRange("openUdp: ttl " + std::to_string(ttl) + " is not in 1..255");
  }
  if (builder.six()) {
    builder.set(IPPROTO_IPV6, IPV6_UNICAST_HOPS, int(ttl), "setsockopt(IPV6_UNICAST_HOPS)");
  } else {
    builder.set(IPPROTO_IP, IP_TTL, int(ttl), "setsockopt(IP_TTL)");
  }
}

}  // namespace

napi_value openUdp(Environment& environment, const Arguments& arguments) {
  Options options = arguments.options(0);
  std::string text = options.string("address");
  uint32_t port = options.number("port");
  if (port > 0xffff) {
    throwRange("openUdp: port " + std::to_string(port) + " is not in 0..65535");
  }
  SocketAddress address = parseAddress("openUdp", text, static_cast<uint16_t>(port));

  SocketBuilder builder(options, address, describe(text, port));
  builder.open(SOCK_DGRAM, IPPROTO_UDP);
  if (builder.six()) builder.set(IPPROTO_IPV6, IPV6_V6ONLY, 1, "setsockopt(IPV6_V6ONLY)");
  builder.applyCommon();
  if (options.boolean("reusePort", false)) {
    builder.set(SOL_SOCKET, SO_REUSEPORT, 1, "setsockopt(SO_REUSEPORT)");
  }
  applyChecksum(builder, options);
  if (std::optional<uint32_t> ttl = options.optionalNumber("ttl")) applyTtl(builder, *ttl);
  bool gro = options.boolean("gro", false) && builder.trySet(SOL_UDP, UDP_GRO, 1);
  builder.bind();

  Result result(arguments.env());
  result.set("port", double(boundPort(builder.fd(), text)))
      .set("gro", gro)
      .set("receiveBuffer", double(builder.bufferSize(SO_RCVBUF)))
      .set("sendBuffer", double(builder.bufferSize(SO_SNDBUF)))
      .set("fd", double(environment.held.hold(builder.take())));
  return result.value();
}

napi_value pathMtu(Environment& environment, const Arguments& arguments) {
  int fd = arguments.descriptor(0);
  std::string text = arguments.string(1, "address");
  if (!environment.held.holds(fd)) throwErrno(EBADF, "pathMtu", "fd " + std::to_string(fd));
  // Connecting sends nothing: it looks the route up. Any port will do, and the discard service's is nobody's.
  constexpr uint16_t kDiscard = 9;
  SocketAddress address = parseAddress("pathMtu", text, kDiscard);
  if (connect(fd, address.data(), address.length) != 0) throwErrno("connect", text);
  bool six = address.family() == AF_INET6;
  int mtu = 0;
  socklen_t size = sizeof mtu;
  if (getsockopt(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_MTU : IP_MTU, &mtu, &size) != 0) {
    throwErrno(six ? "getsockopt(IPV6_MTU)" : "getsockopt(IP_MTU)", text);
  }
  return toNumber(arguments.env(), mtu);
}

}  // namespace overweft
