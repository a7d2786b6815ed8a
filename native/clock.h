// CLOCK_MONOTONIC.
#pragma once

#include <time.h>

#include <cstdint>

namespace overweft {

inline int64_t monotonicNanoseconds() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace overweft
