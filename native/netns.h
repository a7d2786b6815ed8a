// Work inside another network namespace.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace overweft {

/// Runs `work` in the namespace behind `path` (/run/netns/NAME, /proc/PID/ns/net) on a thread of
/// its own, because setns(2) moves the whole thread; without a path, right here. Exceptions of
/// `work` arrive at the caller.
void inNetworkNamespace(const std::optional<std::string>& path, const std::function<void()>& work);

/// Runs `work` in a new, empty network namespace that vanishes afterwards; false, and nothing
/// run, when the caller may not make one.
bool inScratchNamespace(const std::function<void()>& work);

}  // namespace overweft
