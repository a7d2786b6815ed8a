// Level-triggered epoll over the adopted slots and the wakeup.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>

#include "slots.h"
#include "unique_fd.h"

namespace overweft {

/// Bits that wait() returns.
constexpr uint32_t kTapReady = 1;
constexpr uint32_t kSocketReady = 2;
constexpr uint32_t kWoken = 4;
constexpr uint32_t kSlotFailed = 8;

class Poller {
 public:
  Poller();

  void add(int fd, uint32_t slot);
  /// Must come before the close: another duplicate would keep the registration alive.
  void remove(int fd, uint32_t slot);
  /// Leaves a TAP out of wait(), or takes it in again.
  void pause(int fd, uint32_t slot, bool paused);
  void listen(UniqueFd wakeup);

  /// Blocks up to `timeout` ms (-1: without end) and remembers which slots are ready; returns
  /// kTapReady, kSocketReady and kWoken bits, 0 on timeout or a signal. Asks again and again for up to
  /// spinTime before it sleeps, but only where the last wait was as short: a sleep and its end cost more than
  /// that.
  uint32_t wait(int timeout);

  /// Nanoseconds, 0: never.
  int64_t spinTime = 0;
  /// Frames of the last burst from TAPs.
  uint32_t lastFrames = 0;

  SlotSet<abi::FIRST_SOCKET_SLOT> taps;
  /// Indexed by slot - FIRST_SOCKET_SLOT.
  SlotSet<abi::MAX_SOCKETS> sockets;
  /// Where the next burst begins: after the slot that the last one served.
  uint32_t tapCursor = 0;
  uint32_t socketCursor = 0;

 private:
  int poll(int timeout);

  UniqueFd epoll_;
  UniqueFd wakeup_;
  /// The last wait ended within the time that may be spent spinning.
  bool isBusy_ = false;
  std::array<epoll_event, kSlots + 1> events_;
};

}  // namespace overweft
