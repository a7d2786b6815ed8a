// The daemon's end of a call: HTTP over its Unix socket.
#pragma once

#include <string>

namespace overweft::cni {

/// Nobody listens on the socket.
struct NoDaemon {
  std::string reason;
};

struct Answer {
  /// HTTP status.
  int status;
  /// Command of the delegated plugin that must be run before the call ends, as a header says; or empty.
  std::string delegate;
  std::string body;
};

/// Posts `body` to /v1/cni.
/// @throws NoDaemon, PluginError
Answer askDaemon(const std::string& socket, const std::string& body);

}  // namespace overweft::cni
