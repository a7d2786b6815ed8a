// What Node.js cannot do with Unix sockets: datagrams, as sd_notify(3) sends them, and whose a listener is.

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include "boundary.h"
#include "exports.h"
#include "unique_fd.h"

namespace overweft {
namespace {

struct UnixAddress {
  sockaddr_un storage{};
  socklen_t length;

  /// "@name" is a socket of the abstract namespace, whose name begins with a zero byte (unix(7)).
  explicit UnixAddress(const std::string& path) {
    storage.sun_family = AF_UNIX;
    if (path.size() >= sizeof storage.sun_path) throwErrno(ENAMETOOLONG, "connect", path);
    path.copy(storage.sun_path, path.size());
    if (path.front() == '@') storage.sun_path[0] = '\0';
    length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  }

  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

UniqueFd openSocket(int type, const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) throwErrno("socket", path);
  return fd;
}

}  // namespace

napi_value notify(Environment&, const Arguments& arguments) {
  const std::string path = arguments.string(0, "path");
  const std::string text = arguments.string(1, "text");
  const UnixAddress address(path);
  const UniqueFd fd = openSocket(SOCK_DGRAM, path);
  if (sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL, address.data(), address.length) < 0) {
    throwErrno("sendto", path);
  }
  return toUndefined(arguments.env());
}

napi_value listenerUser(Environment&, const Arguments& arguments) {
  const std::string path = arguments.string(0, "path");
  const UnixAddress address(path);
  const UniqueFd fd = openSocket(SOCK_STREAM, path);
  if (connect(fd.get(), address.data(), address.length) != 0) throwErrno("connect", path);
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    throwErrno("getsockopt(SO_PEERCRED)", path);
  }
  return toNumber(arguments.env(), peer.uid);
}

}  // namespace overweft
