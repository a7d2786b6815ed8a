#include "transmit.h"

#include <netinet/udp.h>
#include <poll.h>

#include <cerrno>
#include <cstring>

#include "boundary.h"
#include "clock.h"
#include "exports.h"

namespace overweft {
namespace {

/// Longest that one call waits for room in socket buffers, in ns.
constexpr int64_t kWaitBudget = 20'000'000;

/// One call of transmit(): the tables it walks and what it has spent.
class Transmission {
 public:
  Transmission(Environment& environment, const uint8_t* iovs, uint32_t iovTotal)
      : environment_(environment), batch_(environment.send), iovs_(iovs), iovTotal_(iovTotal) {
    batch_.count = 0;
    batch_.iovCount = 0;
  }

  void take(uint8_t* row) {
    uint32_t slot = load<uint16_t>(row, abi::TX_SLOT) + load<uint8_t>(row, abi::TX_QUEUE) * abi::MAX_PORTS;
    SlotKind kind = slot < kSlots ? environment_.slots[slot].kind : SlotKind::Empty;
    if (batch_.count != 0 && slot != batch_.slot) flush();
    switch (kind) {
      case SlotKind::Empty:
        return finish(row, ENODEV);
      case SlotKind::Tap:
        return finish(row, writeFrame(row, environment_.slots[slot].fd.get()));
      default:
        if (int number = enqueue(row, slot, kind)) finish(row, number);
    }
  }

  /// Sends what is queued for the current socket, in order.
  void flush() {
    int fd = environment_.slots[batch_.slot].fd.get();
    uint32_t sent = 0;
    bool retried = false;
    while (sent < batch_.count) {
      int count = sendmmsg(fd, &batch_.messages[sent], batch_.count - sent, MSG_DONTWAIT);
      if (count > 0) {
        for (int i = 0; i < count; i++) finish(batch_.rows[sent++], 0);
        retried = false;
        continue;
      }
      int number = errno;
      if (number == EINTR) continue;
      if (number == EAGAIN) {
        if (waitForRoom(fd)) continue;
        while (sent < batch_.count) finish(batch_.rows[sent++], EAGAIN);
        break;
      }
      // Only an ICMP error about an earlier datagram says so; this one was not tried yet.
      if (number == ECONNREFUSED && !retried) {
        environment_.errors.sockets++;
        retried = true;
        continue;
      }
      finish(batch_.rows[sent++], number);
      retried = false;
    }
    batch_.count = 0;
    batch_.iovCount = 0;
  }

  uint32_t refused() const { return refused_; }

 private:
  void finish(uint8_t* row, int number) {
    store<int32_t>(row, abi::TX_STATUS, number);
    if (number != 0) refused_++;
  }

  /// Resolves `count` gather entries into the batch's, from `at` on; returns 0 or an errno.
  int gather(const uint8_t* row, uint32_t count, uint32_t at) {
    uint32_t first = load<uint32_t>(row, abi::TX_IOV);
    if (uint64_t{first} + count > iovTotal_) return EFAULT;
    const uint8_t* entry = iovs_ + uint64_t{first} * abi::IOV_SIZE;
    for (uint32_t i = 0; i < count; i++, entry += abi::IOV_SIZE) {
      uint32_t length = load<uint32_t>(entry, abi::IOV_LENGTH);
      uint8_t* data = environment_.memory.at(load<uint32_t>(entry, abi::IOV_OFFSET), length);
      if (!data) return EFAULT;
      batch_.iovs[at + i] = {data, length};
    }
    return 0;
  }

  int writeFrame(const uint8_t* row, int fd) {
    uint32_t entries = load<uint32_t>(row, abi::TX_IOVS);
    if (entries == 0 || entries > kMessageIovs) return EINVAL;
    if (int number = gather(row, entries, 0)) return number;
    for (;;) {
      ssize_t written = entries == 1 ? ::write(fd, batch_.iovs[0].iov_base, batch_.iovs[0].iov_len)
                                     : ::writev(fd, batch_.iovs.data(), static_cast<int>(entries));
      if (written >= 0) return 0;
      if (errno != EINTR) return errno;
    }
  }

  /// Queues a datagram behind others of its socket; returns 0 or the errno that it ends with.
  int enqueue(uint8_t* row, uint32_t slot, SlotKind kind) {
    uint32_t entries = load<uint32_t>(row, abi::TX_IOVS);
    if (entries == 0 || entries > kMessageIovs) return EINVAL;
    if (batch_.count == kSendBatch || batch_.iovCount + entries > kBatchIovs) flush();
    uint32_t index = batch_.count;
    msghdr& header = batch_.messages[index].msg_hdr;
    header = {};
    if (int number = address(row, kind, batch_.addresses[index], header)) return number;
    if (int number = gather(row, entries, batch_.iovCount)) return number;
    header.msg_iov = &batch_.iovs[batch_.iovCount];
    header.msg_iovlen = entries;
    if (int number = control(row, kind, batch_.control[index].data(), header)) return number;
    batch_.rows[index] = row;
    batch_.slot = slot;
    batch_.count++;
    batch_.iovCount += entries;
    return 0;
  }

  /// Copies the destination out of shared memory before it is judged, so that it stays as judged.
  int address(const uint8_t* row, SlotKind kind, sockaddr_in6& copy, msghdr& header) {
    uint32_t offset = load<uint32_t>(row, abi::TX_ADDRESS);
    if (offset == 0) return EDESTADDRREQ;
    const uint8_t* image = environment_.memory.at(offset, abi::SOCKADDR_SIZE);
    if (!image) return EFAULT;
    static_assert(sizeof copy == abi::SOCKADDR_SIZE);
    std::memcpy(&copy, image, sizeof copy);
    bool four = kind == SlotKind::Udp4 || kind == SlotKind::Raw4;
    if (copy.sin6_family != (four ? AF_INET : AF_INET6)) return EAFNOSUPPORT;
    // The port of a raw IPv6 address would select the protocol (rawv6_sendmsg).
    if (kind == SlotKind::Raw6 && copy.sin6_port != 0) return EINVAL;
    header.msg_name = &copy;
    header.msg_namelen = four ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    return 0;
  }

  /// Raw sockets carry their whole outer header, so neither a segment size nor a traffic class.
  int control(const uint8_t* row, SlotKind kind, uint8_t* buffer, msghdr& header) {
    uint16_t segment = load<uint16_t>(row, abi::TX_SEGMENT);
    if (kind == SlotKind::Raw4 || kind == SlotKind::Raw6) return segment == 0 ? 0 : EINVAL;
    int tos = load<uint8_t>(row, abi::TX_TOS);
    size_t used = 0;
    if (segment != 0) used += append(buffer + used, SOL_UDP, UDP_SEGMENT, segment);
    if (tos != 0) {
      used += kind == SlotKind::Udp4 ? append(buffer + used, IPPROTO_IP, IP_TOS, tos)
                                     : append(buffer + used, IPPROTO_IPV6, IPV6_TCLASS, tos);
    }
    if (used != 0) {
      header.msg_control = buffer;
      header.msg_controllen = used;
    }
    return 0;
  }

  template <typename Value>
  static size_t append(uint8_t* buffer, int level, int type, Value value) {
    cmsghdr message{};
    message.cmsg_level = level;
    message.cmsg_type = type;
    message.cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(buffer, &message, sizeof message);
    std::memcpy(buffer + CMSG_LEN(0), &value, sizeof value);
    return CMSG_SPACE(sizeof value);
  }

  /// False once the call's budget is spent.
  bool waitForRoom(int fd) {
    if (deadline_ == 0) deadline_ = monotonicNanoseconds() + kWaitBudget;
    int64_t left = deadline_ - monotonicNanoseconds();
    if (left <= 0) return false;
    timespec timeout{0, static_cast<long>(left)};
    pollfd entry{fd, POLLOUT, 0};
    return ppoll(&entry, 1, &timeout, nullptr) != 0;
  }

  Environment& environment_;
  SendBatch& batch_;
  const uint8_t* iovs_;
  uint32_t iovTotal_;
  uint32_t refused_ = 0;
  int64_t deadline_ = 0;
};

}  // namespace

/// transmit(messages, count, iovs, iovTotal) → messages that were refused
napi_value transmit(napi_env env, napi_callback_info info) noexcept {
  NumericCall<4> call;
  if (!call.read(env, info)) return nullptr;
  Environment& environment = *call.environment;
  auto [messageOffset, count, iovOffset, iovTotal] = call.arguments;

  uint8_t* row = environment.memory.rows(messageOffset, count, abi::TX_MESSAGE_SIZE);
  if (!row) return outOfRange(env, "transmit: the messages reach past the memory's end");
  const uint8_t* iovs = environment.memory.rows(iovOffset, iovTotal, abi::IOV_SIZE);
  if (!iovs) return outOfRange(env, "transmit: the gather list reaches past the memory's end");

  Transmission transmission(environment, iovs, iovTotal);
  for (uint32_t i = 0; i < count; i++, row += abi::TX_MESSAGE_SIZE) transmission.take(row);
  transmission.flush();
  return hotResult(env, transmission.refused());
}

}  // namespace overweft
