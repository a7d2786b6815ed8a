// Capabilities of the calling thread: Linux keeps them per thread, so a worker can give up its
// own while the control thread keeps what attaching pods needs.

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "boundary.h"
#include "exports.h"

namespace overweft {
namespace {

std::string thisThread() { return "thread " + std::to_string(gettid()); }

}  // namespace

napi_value capabilities(Environment&, const Arguments& arguments) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (syscall(SYS_capget, &header, data) != 0) throwErrno("capget", thisThread());
  napi_value mask;
  check(napi_create_bigint_uint64(arguments.env(), data[0].effective | uint64_t{data[1].effective} << 32,
                                  &mask));
  return mask;
}

napi_value dropCapabilities(Environment&, const Arguments& arguments) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    throwErrno("prctl(PR_SET_NO_NEW_PRIVS)", thisThread());
  }
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    throwErrno("prctl(PR_CAP_AMBIENT)", thisThread());
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2]{};
  if (syscall(SYS_capset, &header, none) != 0) throwErrno("capset", thisThread());
  return toUndefined(arguments.env());
}

napi_value keepCapabilities(Environment&, const Arguments& arguments) {
  uint64_t keep = 0;
  bool lossless = false;
  check(napi_get_value_bigint_uint64(arguments.env(), arguments.at(0), &keep, &lossless));
  // The bounding set first: dropping from it takes CAP_SETPCAP, which is given up below. It ends
  // where the kernel knows no further capability.
  for (unsigned bit = 0; prctl(PR_CAPBSET_READ, bit, 0, 0, 0) >= 0; bit++) {
    if ((keep >> bit & 1) == 0 && prctl(PR_CAPBSET_DROP, bit, 0, 0, 0) != 0 && errno != EPERM) {
      throwErrno("prctl(PR_CAPBSET_DROP)", thisThread());
    }
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (syscall(SYS_capget, &header, data) != 0) throwErrno("capget", thisThread());
  for (unsigned word = 0; word < 2; word++) {
    const auto mask = static_cast<uint32_t>(keep >> (32 * word));
    data[word].effective &= mask;
    data[word].permitted &= mask;
    data[word].inheritable &= mask;
  }
  if (syscall(SYS_capset, &header, data) != 0) throwErrno("capset", thisThread());
  return toUndefined(arguments.env());
}

napi_value threadId(Environment&, const Arguments& arguments) { return toNumber(arguments.env(), gettid()); }

}  // namespace overweft
