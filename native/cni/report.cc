#include "report.h"

#include <unistd.h>

#include <cerrno>

#include "json.h"

namespace overweft::cni {

std::string errorJson(const PluginError& error, const std::string& version) {
  return "{\"cniVersion\":" + jsonQuoted(version) +
         ",\"code\":" + std::to_string(static_cast<int>(error.code)) +
         ",\"msg\":" + jsonQuoted(error.message) + ",\"details\":" + jsonQuoted(error.details) + "}\n";
}

void print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace overweft::cni
