// Descriptors that this environment opened and has not handed on.
#pragma once

#include <unordered_map>

#include "unique_fd.h"

namespace overweft {

class HeldDescriptors {
 public:
  int hold(UniqueFd fd) {
    int number = fd.get();
    held_.emplace(number, std::move(fd));
    return number;
  }
  bool holds(int fd) const { return held_.contains(fd); }

  /// Gives up ownership without closing; false when `fd` was not held.
  bool release(int fd) {
    auto entry = held_.find(fd);
    if (entry == held_.end()) return false;
    entry->second.release();
    held_.erase(entry);
    return true;
  }
  bool close(int fd) { return held_.erase(fd) != 0; }

 private:
  std::unordered_map<int, UniqueFd> held_;
};

}  // namespace overweft
