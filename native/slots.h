// The registry: slot → descriptor and what it is.
//
//     0 … MAX_PORTS - 1                    first queue of each port's TAP
//     MAX_PORTS … 2 × MAX_PORTS - 1        second one, and so on: MAX_QUEUES in all
//     FIRST_SOCKET_SLOT …                  sockets
#pragma once

#include <abi.h>

#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "unique_fd.h"

namespace overweft {

constexpr uint32_t kSlots = abi::FIRST_SOCKET_SLOT + abi::MAX_SOCKETS;
static_assert(abi::MAX_PORTS * abi::MAX_QUEUES == abi::FIRST_SOCKET_SLOT);
static_assert(kSlots <= 0x10000, "descriptors hold a slot in 16 bits");

/// Tap: a TAP, or a packet socket that is read and written like one.
enum class SlotKind : uint8_t { Empty, Tap, Udp4, Udp6, Raw4, Raw6 };

inline bool isTap(uint32_t slot) { return slot < abi::FIRST_SOCKET_SLOT; }
inline uint32_t tapSlot(uint32_t port, uint32_t queue) { return queue * abi::MAX_PORTS + port; }
inline uint32_t portOf(uint32_t slot) { return slot % abi::MAX_PORTS; }
inline uint32_t queueOf(uint32_t slot) { return slot / abi::MAX_PORTS; }

struct Slot {
  UniqueFd fd;
  SlotKind kind = SlotKind::Empty;
  /// Registered with epoll; a send-only socket and a failed slot are not.
  bool polled = false;
  /// Its port has a rate: only few frames are read at a time.
  bool paced = false;
};

/// A slot whose descriptor can no longer be read.
struct SlotFailure {
  uint32_t slot;
  int number;
  const char* syscall;
};

class Slots {
 public:
  Slots() { failures_.reserve(kSlots); }

  Slot& operator[](uint32_t slot) { return slots_[slot]; }

  /// Kept until take(); a slot fails once, so that the reserved space suffices.
  void fail(const SlotFailure& failure) {
    if (failures_.size() < kSlots) failures_.push_back(failure);
  }
  bool anyFailed() const { return !failures_.empty(); }
  std::vector<SlotFailure> takeFailures();
  void forgetFailure(uint32_t slot);

 private:
  std::array<Slot, kSlots> slots_;
  std::vector<SlotFailure> failures_;
};

/// Set of slots that can be walked in a circle, so that no slot starves another.
template <uint32_t capacity>
class SlotSet {
 public:
  static_assert(capacity % 64 == 0);

  void add(uint32_t slot) { words_[slot / 64] |= uint64_t{1} << slot % 64; }
  void remove(uint32_t slot) { words_[slot / 64] &= ~(uint64_t{1} << slot % 64); }
  void clear() { words_.fill(0); }

  /// First member at or after `from`, going round; `capacity` when the set is empty.
  uint32_t next(uint32_t from) const {
    from %= capacity;
    uint32_t word = from / 64;
    uint64_t bits = words_[word] & (~uint64_t{0} << from % 64);
    for (uint32_t step = 0; step <= kWords; step++) {
      if (bits) return word * 64 + static_cast<uint32_t>(std::countr_zero(bits));
      word = (word + 1) % kWords;
      bits = words_[word];
    }
    return capacity;
  }

 private:
  static constexpr uint32_t kWords = capacity / 64;
  std::array<uint64_t, kWords> words_{};
};

}  // namespace overweft
