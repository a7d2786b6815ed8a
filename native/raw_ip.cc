// Raw IP sockets of the underlay, for IPIP in its four combinations.
//
// The data path builds the whole outer header (IP_HDRINCL, IPV6_HDRINCL), for one socket that
// does both directions. What arrives: on IPv4 with its outer header, on IPv6 the payload only,
// the traffic class beside it.

#include <netinet/in.h>
#include <sys/socket.h>

#include "address.h"
#include "boundary.h"
#include "exports.h"
#include "socket_options.h"

namespace overweft {
namespace {

// linux/in6.h; the C library does not have it.
constexpr int kIpv6Hdrincl = 36;

}  // namespace

napi_value openRawIp(Environment& environment, const Arguments& arguments) {
  Options options = arguments.options(0);
  std::string text = options.string("address");
  uint32_t protocol = options.number("protocol");
  if (protocol != IPPROTO_IPIP && protocol != IPPROTO_IPV6) {
    throwRange("openRawIp: protocol " + std::to_string(protocol) + " is neither 4 nor 41");
  }
  SocketAddress address = parseAddress("openRawIp", text, 0);

  SocketBuilder builder(options, address, text + " protocol " + std::to_string(protocol));
  builder.open(SOCK_RAW, static_cast<int>(protocol));
  if (builder.six()) {
    builder.set(IPPROTO_IPV6, kIpv6Hdrincl, 1, "setsockopt(IPV6_HDRINCL)");
  } else {
    builder.set(IPPROTO_IP, IP_HDRINCL, 1, "setsockopt(IP_HDRINCL)");
  }
  builder.applyCommon();
  builder.bind();

  Result result(arguments.env());
  result.set("receiveBuffer", double(builder.bufferSize(SO_RCVBUF)))
      .set("sendBuffer", double(builder.bufferSize(SO_SNDBUF)))
      .set("fd", double(environment.held.hold(builder.take())));
  return result.value();
}

}  // namespace overweft
