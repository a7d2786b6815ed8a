// Bursts into linear memory: frames from TAPs, datagrams from sockets.
#pragma once

#include <abi.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>

namespace overweft {

/// Most messages in one recvmmsg.
constexpr uint32_t kReceiveBatch = 128;

/// Fewest messages that a burst makes room for, however long they are.
constexpr uint32_t kReceiveLeast = 4;

/// Room for an int each of UDP_GRO and IP_TOS or IPV6_TCLASS.
constexpr size_t kReceiveControl = 2 * CMSG_SPACE(sizeof(int));

/// Arrays of one recvmmsg, kept so that a burst allocates nothing.
struct ReceiveBatch {
  std::array<mmsghdr, kReceiveBatch> messages;
  std::array<iovec, kReceiveBatch> buffers;
  std::array<sockaddr_in6, kReceiveBatch> sources;
  /// Messages of the next burst, by the length of the last one's: many packets, or few that are many joined
  /// ones.
  uint32_t room = kReceiveLeast;
  alignas(cmsghdr) std::array<std::array<uint8_t, kReceiveControl>, kReceiveBatch> control;
};

}  // namespace overweft
