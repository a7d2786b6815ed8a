// Bursts out of linear memory: writev to TAPs, sendmmsg to sockets.
#pragma once

#include <abi.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>

namespace overweft {

/// Most messages in one sendmmsg.
constexpr uint32_t kSendBatch = 64;
/// Most gather entries of one message (UIO_MAXIOV).
constexpr uint32_t kMessageIovs = 1024;
/// Gather entries of one sendmmsg; a batch closes early when the next message does not fit.
constexpr uint32_t kBatchIovs = 4096;
static_assert(kBatchIovs >= kMessageIovs);

/// Room for UDP_SEGMENT (u16) and IP_TOS or IPV6_TCLASS (int).
constexpr size_t kSendControl = CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int));

/// Arrays of one sendmmsg, kept so that a burst allocates nothing.
struct SendBatch {
  std::array<mmsghdr, kSendBatch> messages;
  std::array<iovec, kBatchIovs> iovs;
  std::array<sockaddr_in6, kSendBatch> addresses;
  alignas(cmsghdr) std::array<std::array<uint8_t, kSendControl>, kSendBatch> control;
  /// TxMessage rows behind the messages, for their status.
  std::array<uint8_t*, kSendBatch> rows;
  uint32_t slot = 0;
  uint32_t count = 0;
  uint32_t iovCount = 0;
};

}  // namespace overweft
