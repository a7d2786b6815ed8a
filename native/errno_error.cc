#include "errno_error.h"

#include <cerrno>
#include <cstring>

namespace overweft {

void throwErrno(const char* syscall, std::string object) { throwErrno(errno, syscall, std::move(object)); }

void throwErrno(int number, const char* syscall, std::string object) {
  throw ErrnoError{number, syscall, std::move(object)};
}

void throwType(std::string message) { throw ArgumentError{ArgumentError::Kind::Type, std::move(message)}; }

void throwRange(std::string message) { throw ArgumentError{ArgumentError::Kind::Range, std::move(message)}; }

std::string errnoName(int number) {
  const char* name = strerrorname_np(number);
  return name ? std::string(name) : std::string("E").append(std::to_string(number));
}

}  // namespace overweft
