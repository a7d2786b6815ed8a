// Everything that one Node environment (main thread or worker) owns in the addon.
//
// Main thread and workers load the same shared object, so nothing here is static. The
// instance dies with its environment and closes every descriptor it still owns.
#pragma once

#include <node_api.h>

#include <vector>

#include "linear_memory.h"
#include "ownership.h"
#include "poller.h"
#include "receive.h"
#include "slots.h"
#include "transmit.h"
#include "unique_fd.h"

namespace overweft {

/// Faults that no descriptor reports, since the environment began.
struct ErrorCounts {
  /// Frames that a TAP could not deliver.
  uint64_t frames = 0;
  /// Pending errors that a socket reported instead of data.
  uint64_t sockets = 0;
};

struct Environment {
  LinearMemory memory;
  napi_ref memoryReference = nullptr;
  Slots slots;
  Poller poller;
  ReceiveBatch receive;
  SendBatch send;
  HeldDescriptors held;
  /// Locked for as long as the environment lives, so that no second daemon maps the same file.
  std::vector<UniqueFd> lockedFiles;
  ErrorCounts errors;
};

}  // namespace overweft
