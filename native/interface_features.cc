// What an interface does by itself, as `ethtool -k` shows it (linux/ethtool.h).

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <vector>

#include "boundary.h"
#include "exports.h"
#include "unique_fd.h"

namespace overweft {
namespace {

constexpr uint32_t kWordBits = 32;

/// Calls of one interface.
class Ethtool {
 public:
  explicit Ethtool(const std::string& name)
      : name_(name), fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    if (!fd_) throwErrno("socket", name);
  }

  /// Runs the command that `block` begins with; the answer is written over it.
  void call(std::vector<uint32_t>& block) const {
    ifreq request{};
    std::memcpy(request.ifr_name, name_.data(), name_.size());
    request.ifr_data = reinterpret_cast<char*>(block.data());
    if (ioctl(fd_.get(), SIOCETHTOOL, &request) != 0) throwErrno("ioctl(SIOCETHTOOL)", name_);
  }

 private:
  const std::string& name_;
  UniqueFd fd_;
};

/// A command's structure of `head` bytes and an array of `bytes` behind it.
template <typename Head>
std::vector<uint32_t> blockOf(const Head& head, size_t bytes) {
  std::vector<uint32_t> block((sizeof head + bytes + sizeof(uint32_t) - 1) / sizeof(uint32_t));
  std::memcpy(block.data(), &head, sizeof head);
  return block;
}

uint32_t featureCount(const Ethtool& ethtool) {
  ethtool_sset_info head{};
  head.cmd = ETHTOOL_GSSET_INFO;
  head.sset_mask = uint64_t{1} << ETH_SS_FEATURES;
  std::vector<uint32_t> block = blockOf(head, sizeof(uint32_t));
  ethtool.call(block);
  return block[sizeof head / sizeof(uint32_t)];
}

}  // namespace

/// interfaceFeatures(name) → names of the features that are switched on
napi_value interfaceFeatures(Environment&, const Arguments& arguments) {
  std::string name = arguments.string(0, "name");
  if (name.empty() || name.size() >= IFNAMSIZ)
    throwRange("interfaceFeatures: not an interface name: '" + name + "'");
  Ethtool ethtool(name);
  uint32_t count = featureCount(ethtool);

  ethtool_gstrings namesHead{ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count};
  std::vector<uint32_t> names = blockOf(namesHead, size_t{count} * ETH_GSTRING_LEN);
  ethtool.call(names);

  uint32_t words = (count + kWordBits - 1) / kWordBits;
  ethtool_gfeatures stateHead{ETHTOOL_GFEATURES, words};
  std::vector<uint32_t> state = blockOf(stateHead, words * sizeof(ethtool_get_features_block));
  ethtool.call(state);

  const char* text = reinterpret_cast<const char*>(names.data()) + sizeof namesHead;
  const auto* blocks = reinterpret_cast<const ethtool_get_features_block*>(
      reinterpret_cast<const char*>(state.data()) + sizeof stateHead);
  napi_env env = arguments.env();
  napi_value list;
  check(napi_create_array(env, &list));
  uint32_t length = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (!(blocks[i / kWordBits].active & uint32_t{1} << i % kWordBits)) continue;
    const char* feature = text + size_t{i} * ETH_GSTRING_LEN;
    napi_value value;
    check(napi_create_string_utf8(env, feature, strnlen(feature, ETH_GSTRING_LEN), &value));
    check(napi_set_element(env, list, length++, value));
  }
  return list;
}

}  // namespace overweft
