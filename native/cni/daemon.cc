#include "daemon.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "../unique_fd.h"
#include "plugin_error.h"

namespace overweft::cni {
namespace {

/// Longer than the daemon waits for anything.
constexpr time_t kPatienceSeconds = 90;

/// Header of a command for the delegated plugin; header names are compared in lower case.
constexpr std::string_view kDelegateHeader = "overweft-delegate";

[[noreturn]] void broken(const std::string& socket, const std::string& reason) {
  throw PluginError{Code::TryAgainLater, "the overweft daemon broke off", socket + ": " + reason};
}

UniqueFd connectTo(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw PluginError{Code::InvalidConfig, "socket: longer than a Unix socket's name may be: " + path, ""};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw PluginError{Code::IoFailure, "no Unix socket can be opened", errnoText(errno)};
  const timeval patience{.tv_sec = kPatienceSeconds, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw NoDaemon{path + ": " + errnoText(errno)};
  }
  return fd;
}

void sendAll(int fd, std::string_view text, const std::string& socket) {
  while (!text.empty()) {
    const ssize_t sent = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      text.remove_prefix(static_cast<size_t>(sent));
    } else if (errno != EINTR) {
      broken(socket, errnoText(errno));
    }
  }
}

std::string receiveAll(int fd, const std::string& socket) {
  std::string text;
  std::array<char, 16384> block;
  for (;;) {
    const ssize_t length = recv(fd, block.data(), block.size(), 0);
    if (length == 0) return text;
    if (length > 0) {
      text.append(block.data(), static_cast<size_t>(length));
    } else if (errno == EAGAIN) {
      broken(socket, "no answer within " + std::to_string(kPatienceSeconds) + " s");
    } else if (errno != EINTR) {
      broken(socket, errnoText(errno));
    }
  }
}

std::string lowerCase(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

/// The value of a header in a message's head, or empty.
std::string header(std::string_view head, std::string_view name) {
  for (;;) {
    const size_t end = head.find("\r\n");
    if (end == std::string_view::npos) return "";
    head.remove_prefix(end + 2);
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || lowerCase(line.substr(0, colon)) != name) continue;
    const size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string_view::npos ? "" : std::string(line.substr(start));
  }
}

/// Reads a message whose end is the end of the connection (RFC 9112 §6.3, item 8).
Answer parse(const std::string& text, const std::string& socket) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  const size_t headEnd = text.find("\r\n\r\n");
  if (headEnd == std::string::npos || !text.starts_with(kVersion)) broken(socket, "the answer is cut short");
  Answer answer{};
  const char* digits = text.data() + kVersion.size();
  if (std::from_chars(digits, digits + 3, answer.status).ptr != digits + 3)
    broken(socket, "the answer has no status");
  answer.delegate = header(std::string_view(text).substr(0, headEnd + 2), kDelegateHeader);
  answer.body = text.substr(headEnd + 4);
  return answer;
}

}  // namespace

Answer askDaemon(const std::string& socket, const std::string& body) {
  const UniqueFd fd = connectTo(socket);
  // An HTTP/1.0 client gets its answer in one piece, and the connection closed behind it.
  sendAll(fd.get(),
          "POST /v1/cni HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body,
          socket);
  return parse(receiveAll(fd.get(), socket), socket);
}

}  // namespace overweft::cni
