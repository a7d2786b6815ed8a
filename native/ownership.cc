#include "ownership.h"

#include <fcntl.h>

#include <cerrno>
#include <string>

#include "boundary.h"
#include "exports.h"

namespace overweft {
namespace {

[[noreturn]] void notHeld(const char* call, int fd) {
  throwErrno(EBADF, call, "fd " + std::to_string(fd) + " was not opened by this thread");
}

}  // namespace

napi_value release(Environment& environment, const Arguments& arguments) {
  int fd = arguments.descriptor(0);
  if (!environment.held.release(fd)) notHeld("release", fd);
  return toNumber(arguments.env(), fd);
}

napi_value close(Environment& environment, const Arguments& arguments) {
  int fd = arguments.descriptor(0);
  if (!environment.held.close(fd)) notHeld("close", fd);
  return toUndefined(arguments.env());
}

napi_value duplicate(Environment& environment, const Arguments& arguments) {
  int fd = arguments.descriptor(0);
  if (!environment.held.holds(fd)) notHeld("duplicate", fd);
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) throwErrno("fcntl(F_DUPFD_CLOEXEC)", "fd " + std::to_string(fd));
  return toNumber(arguments.env(), environment.held.hold(std::move(copy)));
}

napi_value bequeath(Environment& environment, const Arguments& arguments) {
  // Out of the way of what a shell numbers itself.
  constexpr int kLeast = 64;
  int fd = arguments.descriptor(0);
  if (!environment.held.holds(fd)) notHeld("bequeath", fd);
  int copy = fcntl(fd, F_DUPFD, kLeast);
  if (copy < 0) throwErrno("fcntl(F_DUPFD)", "fd " + std::to_string(fd));
  environment.held.close(fd);
  return toNumber(arguments.env(), copy);
}

napi_value inherit(Environment& environment, const Arguments& arguments) {
  int fd = arguments.descriptor(0);
  if (environment.held.holds(fd)) throwErrno(EEXIST, "inherit", "fd " + std::to_string(fd));
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) throwErrno("fcntl(F_SETFD)", "fd " + std::to_string(fd));
  return toNumber(arguments.env(), environment.held.hold(UniqueFd(fd)));
}

}  // namespace overweft
