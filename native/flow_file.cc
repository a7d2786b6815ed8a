// A file mapped over part of linear memory, so that its contents outlive the process.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "boundary.h"
#include "exports.h"

namespace overweft {
namespace {

/// Reserves every page now: a tmpfs that is full later would answer a store with SIGBUS.
void reserve(int fd, off_t length, const std::string& path) {
  if (ftruncate(fd, length) != 0) throwErrno("ftruncate", path);
  if (fallocate(fd, 0, 0, length) != 0 && errno != EOPNOTSUPP) throwErrno("fallocate", path);
}

}  // namespace

napi_value mapFile(Environment& environment, const Arguments& arguments) {
  uint32_t offset = arguments.number(0, "offset");
  uint32_t length = arguments.number(1, "length");
  std::string path = arguments.string(2, "path");

  uint8_t* address = environment.memory.at(offset, length);
  if (!address) throwRange("mapFile: the region does not lie in the memory");
  uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  if (length == 0 || length % page != 0 || reinterpret_cast<uintptr_t>(address) % page != 0) {
    throwRange("mapFile: offset and length must be whole pages of " + std::to_string(page) + " bytes");
  }

  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) throwErrno("open", path);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) throwErrno("flock", path);
  struct stat status;
  if (fstat(fd.get(), &status) != 0) throwErrno("fstat", path);
  if (!S_ISREG(status.st_mode)) throwErrno(EINVAL, "open", path + " (no regular file)");
  reserve(fd.get(), length, path);
  if (mmap(address, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd.get(), 0) == MAP_FAILED) {
    throwErrno("mmap", path);
  }
  environment.lockedFiles.push_back(std::move(fd));
  return Result(arguments.env()).set("previousSize", double(status.st_size)).value();
}

}  // namespace overweft
