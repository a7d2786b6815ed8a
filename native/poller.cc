#include "poller.h"

#include <sched.h>

#include <cerrno>
#include <string>

#include "boundary.h"
#include "clock.h"
#include "exports.h"

namespace overweft {
namespace {

constexpr uint32_t kWakeup = kSlots;
/// Frames in one burst from which on they are a crowd.
constexpr uint32_t kCrowd = 16;

void control(int epoll, int operation, int fd, uint32_t id, uint32_t events = EPOLLIN) {
  epoll_event event{};
  event.events = events;
  event.data.u32 = id;
  if (epoll_ctl(epoll, operation, fd, &event) != 0) {
    throwErrno("epoll_ctl", "fd " + std::to_string(fd));
  }
}

}  // namespace

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throwErrno("epoll_create1", "poller");
}

void Poller::add(int fd, uint32_t slot) { control(epoll_.get(), EPOLL_CTL_ADD, fd, slot); }

void Poller::remove(int fd, uint32_t slot) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  if (isTap(slot)) {
    taps.remove(slot);
  } else {
    sockets.remove(slot - abi::FIRST_SOCKET_SLOT);
  }
}

void Poller::pause(int fd, uint32_t slot, bool paused) {
  control(epoll_.get(), EPOLL_CTL_MOD, fd, slot, paused ? uint32_t{0} : uint32_t{EPOLLIN});
}

void Poller::listen(UniqueFd wakeup) {
  control(epoll_.get(), EPOLL_CTL_ADD, wakeup.get(), kWakeup);
  if (wakeup_) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, wakeup_.get(), nullptr);
  wakeup_ = std::move(wakeup);
}

int Poller::poll(int timeout) {
  // Whoever waits for what the last burst delivered runs first where cores are few: a socket's
  // queue holds hardly more than one burst.
  sched_yield();
  return epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), timeout);
}

uint32_t Poller::wait(int timeout) {
  taps.clear();
  sockets.clear();
  int count = 0;
  if (spinTime == 0) {
    count = poll(timeout);
  } else {
    int64_t end = monotonicNanoseconds() + spinTime;
    if (lastFrames >= kCrowd) isBusy_ = false;
    while (isBusy_ && count == 0 && timeout != 0 && monotonicNanoseconds() < end) count = poll(0);
    if (count == 0) count = poll(timeout);
    isBusy_ = count > 0 && monotonicNanoseconds() < end;
  }
  uint32_t ready = 0;
  for (int i = 0; i < count; i++) {
    uint32_t id = events_[i].data.u32;
    if (id == kWakeup) {
      uint64_t signals;
      if (::read(wakeup_.get(), &signals, sizeof signals) > 0) ready |= kWoken;
    } else if (isTap(id)) {
      taps.add(id);
      ready |= kTapReady;
    } else {
      sockets.add(id - abi::FIRST_SOCKET_SLOT);
      ready |= kSocketReady;
    }
  }
  return ready;
}

napi_value wait(napi_env env, napi_callback_info info) noexcept {
  NumericCall<1> call;
  if (!call.read(env, info)) return nullptr;
  Environment& environment = *call.environment;
  bool failed = environment.slots.anyFailed();
  int timeout = failed ? 0 : static_cast<int32_t>(call.arguments[0]);
  uint32_t ready = environment.poller.wait(timeout);
  return hotResult(env, failed ? ready | kSlotFailed : ready);
}

/// switchTaps(switches, count)
napi_value switchTaps(napi_env env, napi_callback_info info) noexcept {
  NumericCall<2> call;
  if (!call.read(env, info)) return nullptr;
  Environment& environment = *call.environment;
  auto [switches, count] = call.arguments;
  const uint8_t* rows = environment.memory.rows(switches, count, sizeof(uint32_t));
  if (!rows) return outOfRange(env, "switchTaps: the switches reach past the memory's end");
  for (uint32_t i = 0; i < count; i++) {
    uint32_t entry = load<uint32_t>(rows, i * sizeof(uint32_t));
    uint32_t number = entry & ~abi::TAP_PAUSED;
    if (number >= abi::MAX_PORTS) return outOfRange(env, "switchTaps: there is no such port");
    for (uint32_t queue = 0; queue < abi::MAX_QUEUES; queue++) {
      Slot& slot = environment.slots[tapSlot(number, queue)];
      // The TAP of a pod that is gone, or has just come; or it has fewer queues.
      if (slot.kind != SlotKind::Tap || !slot.polled) continue;
      slot.paced = true;
      environment.poller.pause(slot.fd.get(), tapSlot(number, queue), (entry & abi::TAP_PAUSED) != 0);
    }
  }
  return hotResult(env, count);
}

napi_value setSpin(Environment& environment, const Arguments& arguments) {
  environment.poller.spinTime = int64_t{arguments.number(0, "microseconds")} * 1000;
  return toUndefined(arguments.env());
}

}  // namespace overweft
