// A failed system call and a wrong argument, on their way to the boundary.
#pragma once

#include <string>
#include <utility>

namespace overweft {

/// Becomes a JS Error with `code`, `errno` (negative, as Node's own), `syscall` and a message
/// that names the object.
struct ErrnoError {
  int number;
  const char* syscall;
  std::string object;
};

/// Becomes a JS TypeError, or a RangeError.
struct ArgumentError {
  enum class Kind { Type, Range };
  Kind kind;
  std::string message;
};

[[noreturn]] void throwErrno(const char* syscall, std::string object);
[[noreturn]] void throwErrno(int number, const char* syscall, std::string object);
[[noreturn]] void throwType(std::string message);
[[noreturn]] void throwRange(std::string message);

/// 'EPERM' for 1; 'E<number>' for one that the C library does not know.
std::string errnoName(int number);

}  // namespace overweft
