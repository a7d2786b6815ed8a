#include "receive.h"

#include <netinet/udp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "boundary.h"
#include "exports.h"

namespace overweft {
namespace {

/// Frames from one TAP before the next one has its turn.
constexpr uint32_t kTapQuantum = 64;
/// The same of a TAP whose port has a rate: what is read is beyond recall.
constexpr uint32_t kPacedQuantum = 4;
/// Frames start here, so that the headroom before each is aligned too.
constexpr uint64_t kFrameAlignment = 64;
/// Pending errors of one socket that a burst steps over before it goes to the next.
constexpr int kSocketErrorLimit = 8;

/// Bump arena for frames, [next, end) in linear memory.
struct FrameArena {
  uint64_t next;
  uint64_t end;
  uint32_t headroom;
  uint32_t maxFrame;

  bool full() const { return next + headroom + maxFrame > end; }
  uint32_t frame() const { return static_cast<uint32_t>(next + headroom); }
  void take(uint32_t length) {
    next = (next + headroom + length + kFrameAlignment - 1) & ~(kFrameAlignment - 1);
  }
};

enum class ReadResult { Frame, Drained, Discarded, Failed };

ReadResult readFrame(int fd, uint8_t* frame, uint32_t room, uint32_t* length, int* number) {
  for (;;) {
    ssize_t count = ::read(fd, frame, room);
    if (count > 0) {
      *length = static_cast<uint32_t>(count);
      return ReadResult::Frame;
    }
    if (count == 0) return ReadResult::Drained;
    switch (errno) {
      case EINTR:
        continue;
      case EAGAIN:
      // The device of a packet socket is down, and may come up again.
      case ENETDOWN:
        return ReadResult::Drained;
      // The frame is gone, the TAP is not: a GSO type that the vnet header cannot express.
      case EINVAL:
      case EFAULT:
      case ENOMEM:
        return ReadResult::Discarded;
      default:
        *number = errno;
        return ReadResult::Failed;
    }
  }
}

/// Reads up to a quantum from one ready queue of a TAP; takes it off the ready set once it is drained.
uint32_t readTap(Environment& environment, uint32_t slot, uint8_t* rows, uint32_t room, FrameArena& arena) {
  int fd = environment.slots[slot].fd.get();
  bool paced = environment.slots[slot].paced;
  uint32_t quantum = paced ? kPacedQuantum : kTapQuantum;
  uint32_t limit = std::min(room, quantum);
  uint32_t frames = 0;
  for (uint32_t reads = 0; reads < quantum && frames < limit && !arena.full(); reads++) {
    uint32_t length = 0;
    int number = 0;
    uint8_t* frame = environment.memory.at(arena.frame(), arena.maxFrame);
    switch (readFrame(fd, frame, arena.maxFrame, &length, &number)) {
      case ReadResult::Frame: {
        uint8_t* row = rows + frames * abi::RX_FRAME_SIZE;
        std::memset(row, 0, abi::RX_FRAME_SIZE);
        store<uint32_t>(row, abi::RX_FRAME_OFFSET, arena.frame());
        store<uint32_t>(row, abi::RX_FRAME_LENGTH, length);
        store<uint16_t>(row, abi::RX_FRAME_PORT, static_cast<uint16_t>(portOf(slot)));
        store<uint8_t>(row, abi::RX_FRAME_QUEUE, static_cast<uint8_t>(queueOf(slot)));
        arena.take(length);
        frames++;
        break;
      }
      case ReadResult::Discarded:
        environment.errors.frames++;
        break;
      case ReadResult::Drained:
        environment.poller.taps.remove(slot);
        return frames;
      case ReadResult::Failed:
        environment.poller.remove(fd, slot);
        environment.slots[slot].polled = false;
        environment.slots.fail({slot, number, "read"});
        return frames;
    }
  }
  // Not again before it is known what these have used.
  if (paced) environment.poller.taps.remove(slot);
  return frames;
}

void prepare(ReceiveBatch& batch, uint32_t count, uint8_t* buffer, uint32_t stride, uint32_t length) {
  for (uint32_t i = 0; i < count; i++) {
    batch.buffers[i] = {buffer + uint64_t{i} * stride, length};
    msghdr& header = batch.messages[i].msg_hdr;
    header = {};
    header.msg_name = &batch.sources[i];
    header.msg_namelen = sizeof batch.sources[i];
    header.msg_iov = &batch.buffers[i];
    header.msg_iovlen = 1;
    header.msg_control = batch.control[i].data();
    header.msg_controllen = batch.control[i].size();
  }
}

void storeSource(uint8_t* row, const sockaddr_in6& source) {
  uint8_t* address = row + abi::RX_DATAGRAM_SOURCE;
  if (source.sin6_family == AF_INET6) {
    std::memcpy(address, &source.sin6_addr, 16);
    store<uint16_t>(row, abi::RX_DATAGRAM_SPORT, ntohs(source.sin6_port));
    return;
  }
  sockaddr_in source4;
  std::memcpy(&source4, &source, sizeof source4);
  address[10] = address[11] = 0xff;
  std::memcpy(address + 12, &source4.sin_addr, 4);
  store<uint16_t>(row, abi::RX_DATAGRAM_SPORT, ntohs(source4.sin_port));
}

void storeControl(uint8_t* row, msghdr& header) {
  for (cmsghdr* message = CMSG_FIRSTHDR(&header); message; message = CMSG_NXTHDR(&header, message)) {
    const uint8_t* data = CMSG_DATA(message);
    if (message->cmsg_level == SOL_UDP && message->cmsg_type == UDP_GRO) {
      store<uint32_t>(row, abi::RX_DATAGRAM_SEGMENT, load<uint32_t>(data, 0));
    } else if ((message->cmsg_level == IPPROTO_IP && message->cmsg_type == IP_TOS) ||
               (message->cmsg_level == IPPROTO_IPV6 && message->cmsg_type == IPV6_TCLASS)) {
      // One byte in IPv4, an int in IPv6: the first byte holds the value in both.
      store<uint8_t>(row, abi::RX_DATAGRAM_TOS, data[0]);
    }
  }
}

void storeDatagram(uint8_t* row, mmsghdr& message, const sockaddr_in6& source, uint32_t slot,
                   uint32_t offset) {
  std::memset(row, 0, abi::RX_DATAGRAM_SIZE);
  store<uint32_t>(row, abi::RX_DATAGRAM_OFFSET, offset);
  store<uint32_t>(row, abi::RX_DATAGRAM_LENGTH, message.msg_len);
  store<uint16_t>(row, abi::RX_DATAGRAM_SLOT, static_cast<uint16_t>(slot));
  storeSource(row, source);
  storeControl(row, message.msg_hdr);
  if (message.msg_hdr.msg_flags & MSG_TRUNC) {
    store<uint8_t>(row, abi::RX_DATAGRAM_FLAGS, abi::RX_FLAG_TRUNCATED);
  }
}

/// One recvmmsg into batch entries [first, first + room); steps over pending errors of the socket.
uint32_t receiveFromSocket(Environment& environment, uint32_t slot, uint32_t first, uint32_t room) {
  int fd = environment.slots[slot].fd.get();
  for (int attempt = 0; attempt < kSocketErrorLimit;) {
    int count = recvmmsg(fd, &environment.receive.messages[first], room, MSG_DONTWAIT, nullptr);
    if (count >= 0) return static_cast<uint32_t>(count);
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return 0;
    environment.errors.sockets++;
    attempt++;
  }
  return 0;
}

}  // namespace

/// receiveFrames(descriptors, max, arena, arenaEnd, headroom, maxFrame) → frames
napi_value receiveFrames(napi_env env, napi_callback_info info) noexcept {
  NumericCall<6> call;
  if (!call.read(env, info)) return nullptr;
  Environment& environment = *call.environment;
  auto [descriptors, max, arenaOffset, arenaEnd, headroom, maxFrame] = call.arguments;

  uint8_t* rows = environment.memory.rows(descriptors, max, abi::RX_FRAME_SIZE);
  if (!rows) return outOfRange(env, "receiveFrames: the descriptors reach past the memory's end");
  if (arenaEnd < arenaOffset || !environment.memory.at(arenaOffset, arenaEnd - arenaOffset)) {
    return outOfRange(env, "receiveFrames: the arena does not lie in the memory");
  }
  if (maxFrame == 0) return outOfRange(env, "receiveFrames: maxFrame is 0");

  Poller& poller = environment.poller;
  FrameArena arena{arenaOffset, arenaEnd, headroom, maxFrame};
  uint32_t frames = 0;
  while (frames < max && !arena.full()) {
    uint32_t slot = poller.taps.next(poller.tapCursor);
    if (slot == abi::FIRST_SOCKET_SLOT) break;
    frames += readTap(environment, slot, rows + uint64_t{frames} * abi::RX_FRAME_SIZE, max - frames, arena);
    poller.tapCursor = slot + 1;
  }
  poller.lastFrames = frames;
  return hotResult(env, frames);
}

/// receiveDatagrams(descriptors, max, arena, stride, headroom, bufferLength) → datagrams
napi_value receiveDatagrams(napi_env env, napi_callback_info info) noexcept {
  NumericCall<6> call;
  if (!call.read(env, info)) return nullptr;
  Environment& environment = *call.environment;
  auto [descriptors, wanted, arenaOffset, stride, headroom, bufferLength] = call.arguments;

  uint32_t max = std::min(wanted, kReceiveBatch);
  uint8_t* rows = environment.memory.rows(descriptors, max, abi::RX_DATAGRAM_SIZE);
  if (!rows) {
    return outOfRange(env, "receiveDatagrams: the descriptors reach past the memory's end");
  }
  if (bufferLength == 0 || uint64_t{headroom} + bufferLength > stride) {
    return outOfRange(env, "receiveDatagrams: headroom and buffer do not fit the stride");
  }
  uint8_t* arena = environment.memory.rows(arenaOffset, max, stride);
  if (!arena) return outOfRange(env, "receiveDatagrams: the arena reaches past the memory's end");

  Poller& poller = environment.poller;
  ReceiveBatch& batch = environment.receive;
  max = std::min(max, batch.room);
  // What one socket leaves of the batch the next one fills.
  prepare(batch, max, arena + headroom, stride, bufferLength);
  uint32_t datagrams = 0;
  uint64_t bytes = 0;
  while (datagrams < max) {
    uint32_t index = poller.sockets.next(poller.socketCursor);
    if (index == abi::MAX_SOCKETS) break;
    uint32_t slot = index + abi::FIRST_SOCKET_SLOT;
    uint32_t room = max - datagrams;
    uint32_t count = receiveFromSocket(environment, slot, datagrams, room);
    for (uint32_t i = datagrams; i < datagrams + count; i++) {
      storeDatagram(rows + uint64_t{i} * abi::RX_DATAGRAM_SIZE, batch.messages[i], batch.sources[i], slot,
                    arenaOffset + i * stride + headroom);
      bytes += batch.messages[i].msg_len;
    }
    datagrams += count;
    if (count < room) poller.sockets.remove(index);
    poller.socketCursor = index + 1;
  }
  if (bytes > 0) {
    uint64_t room = uint64_t{abi::BURST_BYTES} * datagrams / bytes;
    batch.room = static_cast<uint32_t>(std::clamp<uint64_t>(room, kReceiveLeast, kReceiveBatch));
  }
  return hotResult(env, datagrams);
}

napi_value errorCounts(Environment& environment, const Arguments& arguments) {
  return Result(arguments.env())
      .set("frames", double(environment.errors.frames))
      .set("sockets", double(environment.errors.sockets))
      .value();
}

}  // namespace overweft
