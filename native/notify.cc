// A datagram to a Unix socket, as sd_notify(3) sends it: Node.js has stream sockets only.

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include "boundary.h"
#include "exports.h"
#include "unique_fd.h"

namespace overweft {

napi_value notify(Environment&, const Arguments& arguments) {
  const std::string path = arguments.string(0, "path");
  const std::string text = arguments.string(1, "text");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throwErrno(ENAMETOOLONG, "connect", path);
  path.copy(address.sun_path, path.size());
  // "@name" is a socket of the abstract namespace, whose name begins with a zero byte (unix(7)).
  if (path.front() == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());

  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) throwErrno("socket", path);
  if (sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
             length) < 0) {
    throwErrno("sendto", path);
  }
  return toUndefined(arguments.env());
}

}  // namespace overweft
