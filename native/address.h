// Socket addresses from text.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace overweft {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  int family() const { return storage.ss_family; }
  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// IPv4 or IPv6 text and a port in host order; anything else is a TypeError of `call`.
SocketAddress parseAddress(const char* call, const std::string& text, uint16_t port);

/// Port that the kernel has given to a bound socket, in host order.
uint16_t boundPort(int fd, const std::string& object);

}  // namespace overweft
