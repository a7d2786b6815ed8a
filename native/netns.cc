#include "netns.h"

#include <fcntl.h>
#include <sched.h>

#include <exception>
#include <thread>

#include "errno_error.h"
#include "unique_fd.h"

namespace overweft {
namespace {

void onOwnThread(const std::function<void()>& work) {
  std::exception_ptr thrown;
  std::thread thread([&] {
    try {
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  thread.join();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace

void inNetworkNamespace(const std::optional<std::string>& path, const std::function<void()>& work) {
  if (!path) return work();
  onOwnThread([&] {
    UniqueFd netns(open(path->c_str(), O_RDONLY | O_CLOEXEC));
    if (!netns) throwErrno("open", *path);
    if (setns(netns.get(), CLONE_NEWNET) != 0) throwErrno("setns", *path);
    work();
  });
}

bool inScratchNamespace(const std::function<void()>& work) {
  bool made = false;
  onOwnThread([&] {
    made = unshare(CLONE_NEWNET) == 0;
    if (made) work();
  });
  return made;
}

}  // namespace overweft
