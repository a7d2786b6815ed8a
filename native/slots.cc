#include "slots.h"

#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "boundary.h"
#include "exports.h"

namespace overweft {

std::vector<SlotFailure> Slots::takeFailures() {
  std::vector<SlotFailure> taken = failures_;
  failures_.clear();
  return taken;
}

void Slots::forgetFailure(uint32_t slot) {
  std::erase_if(failures_, [slot](const SlotFailure& failure) { return failure.slot == slot; });
}

namespace {

std::string describe(uint32_t slot, int fd) {
  return "slot " + std::to_string(slot) + ", fd " + std::to_string(fd);
}

int socketOption(int fd, int option, const char* call, const std::string& object) {
  int value = 0;
  socklen_t size = sizeof value;
  if (getsockopt(fd, SOL_SOCKET, option, &value, &size) != 0) throwErrno(call, object);
  return value;
}

SlotKind socketKind(int fd, const std::string& kind, const std::string& object) {
  int domain = socketOption(fd, SO_DOMAIN, "getsockopt(SO_DOMAIN)", object);
  int type = socketOption(fd, SO_TYPE, "getsockopt(SO_TYPE)", object);
  if (kind == "udp" && type == SOCK_DGRAM && domain == AF_INET) return SlotKind::Udp4;
  if (kind == "udp" && type == SOCK_DGRAM && domain == AF_INET6) return SlotKind::Udp6;
  if (kind == "raw4" && type == SOCK_RAW && domain == AF_INET) return SlotKind::Raw4;
  if (kind == "raw6" && type == SOCK_RAW && domain == AF_INET6) return SlotKind::Raw6;
  if (kind != "udp" && kind != "raw4" && kind != "raw6") {
    throwType("adoptSocket: kind must be 'udp', 'raw4' or 'raw6', not '" + kind + "'");
  }
  throwType("adoptSocket: " + object + " is no '" + kind + "' socket");
}

/// One with a vnet header before each frame is read and written as a TAP is.
bool isPacketSocket(int fd) {
  int saved = errno;
  int domain = 0;
  int header = 0;
  socklen_t size = sizeof domain;
  bool isOne = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_PACKET &&
               getsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &header, &size) == 0 && header != 0;
  errno = saved;
  return isOne;
}

/// Takes `fd` over: from this environment if it still holds it, else as another one released it.
void adopt(Environment& environment, uint32_t slot, int fd, SlotKind kind, bool receive) {
  std::string object = describe(slot, fd);
  Slot& entry = environment.slots[slot];
  if (entry.kind != SlotKind::Empty) throwErrno(EBUSY, "adopt", object);
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) throwErrno("fcntl", object);
  if (receive) environment.poller.add(fd, slot);
  environment.held.release(fd);
  entry = Slot{UniqueFd(fd), kind, receive};
}

uint32_t slotArgument(const Arguments& arguments, uint32_t first, uint32_t end) {
  uint32_t slot = arguments.number(0, "slot");
  if (slot < first || slot >= end) {
    throwRange(std::string(arguments.call()) + ": slot " + std::to_string(slot) + " is not in " +
               std::to_string(first) + ".." + std::to_string(end - 1));
  }
  return slot;
}

}  // namespace

napi_value adoptTap(Environment& environment, const Arguments& arguments) {
  uint32_t slot = slotArgument(arguments, 0, abi::FIRST_SOCKET_SLOT);
  int fd = arguments.descriptor(1);
  ifreq request{};
  if (ioctl(fd, TUNGETIFF, &request) != 0 && !isPacketSocket(fd)) {
    throwErrno("ioctl(TUNGETIFF)", describe(slot, fd));
  }
  adopt(environment, slot, fd, SlotKind::Tap, true);
  return toUndefined(arguments.env());
}

napi_value adoptSocket(Environment& environment, const Arguments& arguments) {
  uint32_t slot = slotArgument(arguments, abi::FIRST_SOCKET_SLOT, kSlots);
  int fd = arguments.descriptor(1);
  SlotKind kind = socketKind(fd, arguments.string(2, "kind"), describe(slot, fd));
  bool receive = !arguments.has(3) || arguments.options(3).boolean("receive", true);
  adopt(environment, slot, fd, kind, receive);
  return toUndefined(arguments.env());
}

napi_value drop(Environment& environment, const Arguments& arguments) {
  uint32_t slot = slotArgument(arguments, 0, kSlots);
  Slot& entry = environment.slots[slot];
  if (entry.kind == SlotKind::Empty) throwErrno(ENOENT, "drop", "slot " + std::to_string(slot));
  if (entry.polled) environment.poller.remove(entry.fd.get(), slot);
  environment.slots.forgetFailure(slot);
  entry = Slot{};
  return toUndefined(arguments.env());
}

napi_value takeFailures(Environment& environment, const Arguments& arguments) {
  napi_env env = arguments.env();
  napi_value list;
  check(napi_create_array(env, &list));
  uint32_t index = 0;
  for (const SlotFailure& failure : environment.slots.takeFailures()) {
    Result row(env);
    row.set("slot", double(failure.slot))
        .set("errno", double(-failure.number))
        .set("code", errnoName(failure.number))
        .set("syscall", std::string(failure.syscall));
    check(napi_set_element(env, list, index++, row.value()));
  }
  return list;
}

}  // namespace overweft
