// What UDP and raw IP sockets have in common: how they are opened, set and bound.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "address.h"
#include "boundary.h"
#include "unique_fd.h"

namespace overweft {

/// A non-blocking socket under construction; every failure names the address it is for.
class SocketBuilder {
 public:
  SocketBuilder(const Options& options, const SocketAddress& address, std::string object);

  /// Opens in `netns` of the options, where the socket stays whatever thread uses it.
  void open(int type, int protocol);
  void set(int level, int option, int value, const char* call);
  /// False when the kernel refuses.
  bool trySet(int level, int option, int value);
  /// Options `receiveBuffer`, `sendBuffer` (bytes), `pmtudisc`, `receiveTos`, `device`, `freebind`.
  void applyCommon();
  void bind();

  int fd() const { return fd_.get(); }
  bool six() const { return address_.family() == AF_INET6; }
  /// Bytes that the kernel has granted, its own bookkeeping included (socket(7)).
  uint32_t bufferSize(int option) const;
  UniqueFd take() { return std::move(fd_); }

 private:
  void setBuffer(int forced, int plain, std::optional<uint32_t> bytes);

  const Options& options_;
  const SocketAddress& address_;
  std::string object_;
  UniqueFd fd_;
};

}  // namespace overweft
