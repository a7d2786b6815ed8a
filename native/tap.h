// TAP interfaces (linux/if_tun.h).
#pragma once

#include <cstdint>
#include <string>

#include "unique_fd.h"

namespace overweft {

struct TapOffloads {
  /// Partial checksums; the base of both others.
  bool csum;
  /// TCP superframes, both families, with ECN.
  bool tso;
  /// UDP superframes, both families; since Linux 6.2.
  bool uso;
};

/// A queue of the TAP `name` (may hold %d) in the caller's namespace, made if it does not exist.
/// Always IFF_MULTI_QUEUE: a TAP made without it can never get it. Non-blocking.
UniqueFd openTapQueue(std::string& name);

/// TUNSETOFFLOAD mask of `offloads`.
unsigned offloadMask(const TapOffloads& offloads);

/// Makes a queue take superframes inside UDP tunnels behind a vnet header of VNET_TUNNEL_HEADER bytes; since
/// Linux 6.17.
void takeTunnelSuperframes(int fd, const std::string& name);

}  // namespace overweft
