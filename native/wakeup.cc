// An eventfd with which one thread ends another one's wait().

#include <fcntl.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <string>

#include "boundary.h"
#include "exports.h"

namespace overweft {

napi_value openWakeup(Environment& environment, const Arguments& arguments) {
  UniqueFd fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd) throwErrno("eventfd", "wakeup");
  return toNumber(arguments.env(), environment.held.hold(std::move(fd)));
}

napi_value attachWakeup(Environment& environment, const Arguments& arguments) {
  int fd = arguments.descriptor(0);
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) throwErrno("fcntl(F_DUPFD_CLOEXEC)", "fd " + std::to_string(fd));
  environment.poller.listen(std::move(copy));
  return toUndefined(arguments.env());
}

napi_value signal(Environment& environment, const Arguments& arguments) {
  int fd = arguments.descriptor(0);
  std::string object = "fd " + std::to_string(fd);
  if (!environment.held.holds(fd)) throwErrno(EBADF, "signal", object);
  uint64_t one = 1;
  // EAGAIN: the counter is full, so the other thread is about to wake anyway.
  if (write(fd, &one, sizeof one) < 0 && errno != EAGAIN) throwErrno("write(eventfd)", object);
  return toUndefined(arguments.env());
}

}  // namespace overweft
