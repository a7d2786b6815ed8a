#include "address.h"

#include <arpa/inet.h>

#include <cstring>

#include "errno_error.h"

namespace overweft {

SocketAddress parseAddress(const char* call, const std::string& text, uint16_t port) {
  SocketAddress address;
  sockaddr_in four{};
  sockaddr_in6 six{};
  if (inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    std::memcpy(&address.storage, &four, sizeof four);
    address.length = sizeof four;
  } else if (inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) == 1) {
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    std::memcpy(&address.storage, &six, sizeof six);
    address.length = sizeof six;
  } else {
    throwType(std::string(call) + ": address '" + text + "' is no IPv4 or IPv6 address");
  }
  return address;
}

uint16_t boundPort(int fd, const std::string& object) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) {
    throwErrno("getsockname", object);
  }
  // sin_port and sin6_port lie at the same place.
  sockaddr_in four;
  std::memcpy(&four, &address.storage, sizeof four);
  return ntohs(four.sin_port);
}

}  // namespace overweft
