#include "request.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string_view>

#include "json.h"

namespace overweft::cni {
namespace {

constexpr std::string_view kDefaultSocket = "/run/overweft/overweft.sock";

/// IFNAMSIZ without the end of the string.
constexpr size_t kLongestInterfaceName = 15;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool isOneOf(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

/// A container's identifier or a network's name, CNI specification section 3.
bool isName(std::string_view text) {
  constexpr std::string_view kFirst = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  constexpr std::string_view kOther = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  return !text.empty() && kFirst.find(text.front()) != std::string_view::npos &&
         text.find_first_not_of(kOther) == std::string_view::npos;
}

void readEnvironment(Request& request) {
  request.command = variable("CNI_COMMAND");
  request.containerId = variable("CNI_CONTAINERID");
  request.netns = variable("CNI_NETNS");
  request.interfaceName = variable("CNI_IFNAME");
  request.args = variable("CNI_ARGS");
  request.path = variable("CNI_PATH");
}

void requireEnvironment(const Request& request) {
  const bool ofContainer = isOneOf(request.command, {"ADD", "DEL", "CHECK"});
  const bool needsNetns = isOneOf(request.command, {"ADD", "CHECK"});
  std::string missing;
  const auto require = [&](bool needed, const char* name, const std::string& value) {
    if (needed && value.empty()) missing += (missing.empty() ? "" : ", ") + std::string(name);
  };
  require(true, "CNI_COMMAND", request.command);
  require(ofContainer, "CNI_CONTAINERID", request.containerId);
  require(needsNetns, "CNI_NETNS", request.netns);
  require(ofContainer, "CNI_IFNAME", request.interfaceName);
  require(request.command == "GC", "CNI_PATH", request.path);
  if (!missing.empty())
    throw PluginError{Code::InvalidEnvironment, "missing in the environment: " + missing, ""};
  if (!ofContainer && !isOneOf(request.command, {"GC", "STATUS", "VERSION"})) {
    throw PluginError{Code::InvalidEnvironment, "CNI_COMMAND: unknown command " + request.command,
                      "must be ADD, DEL, CHECK, GC, STATUS or VERSION"};
  }
  if (!ofContainer) return;
  if (!isName(request.containerId)) {
    throw PluginError{Code::InvalidEnvironment,
                      "CNI_CONTAINERID: invalid characters in " + request.containerId,
                      "must be letters, digits, '_', '.' and '-', the first a letter or digit"};
  }
  const std::string& name = request.interfaceName;
  if (name.size() > kLongestInterfaceName || name == "." || name == ".." ||
      name.find_first_of("/: \t\n\v\f\r") != std::string::npos) {
    throw PluginError{
        Code::InvalidEnvironment, "CNI_IFNAME: no interface name: " + name,
        "must be at most 15 characters, none of them '/', ':' or space, and neither '.' nor '..'"};
  }
}

std::string readInput() {
  std::string text;
  std::array<char, 65536> block;
  for (;;) {
    const ssize_t length = read(STDIN_FILENO, block.data(), block.size());
    if (length == 0) return text;
    if (length > 0) {
      text.append(block.data(), static_cast<size_t>(length));
    } else if (errno != EINTR) {
      throw PluginError{Code::IoFailure, "the network configuration cannot be read from standard input",
                        errnoText(errno)};
    }
  }
}

std::string member(const std::string& config, std::initializer_list<std::string_view> path) {
  return jsonString(config, {path.begin(), path.size()}).value_or("");
}

/// The first three numbers of a semantic version.
bool isVersion(std::string_view text) {
  for (int part = 0; part < 3; part++) {
    const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0) return false;
    text.remove_prefix(digits);
    if (part == 2) break;
    if (!text.starts_with('.')) return false;
    text.remove_prefix(1);
  }
  return text.empty() || text.front() == '-' || text.front() == '+';
}

void requireVersion(const std::string& version, const std::string& command) {
  // A configuration without a version is older than the field: 0.1.0.
  const std::string& stated = version.empty() ? "0.1.0" : version;
  if (!isVersion(stated)) {
    throw PluginError{Code::DecodingFailure, "cniVersion: no version: " + stated,
                      "must be one such as 1.1.0"};
  }
  if (!isOneOf(stated, {"0.3.1", "0.4.0", "1.0.0", "1.1.0"})) {
    throw PluginError{Code::IncompatibleVersion, "cniVersion: incompatible version " + stated,
                      std::string("supported are ") + kSupportedVersions};
  }
  const bool tooOld =
      (command == "CHECK" && stated == "0.3.1") || (isOneOf(command, {"GC", "STATUS"}) && stated != "1.1.0");
  if (tooOld) {
    throw PluginError{Code::IncompatibleVersion, "cniVersion: " + stated + " has no " + command,
                      "CHECK exists since 0.4.0, GC and STATUS since 1.1.0"};
  }
}

void readConfig(Request& request) {
  const std::string& config = request.config;
  if (!isJsonObject(config)) {
    throw PluginError{Code::DecodingFailure, "the network configuration is no JSON object", ""};
  }
  const std::string version = member(config, {"cniVersion"});
  if (isVersion(version)) request.version = version;
  const std::string name = member(config, {"name"});
  if (!isName(name)) {
    throw PluginError{Code::InvalidConfig,
                      name.empty() ? "name: missing" : "name: invalid characters in " + name,
                      "must be letters, digits, '_', '.' and '-', the first a letter or digit"};
  }
  requireVersion(version, request.command);
  if (const std::string socket = member(config, {"socket"}); !socket.empty()) request.socket = socket;
  if (const std::string type = member(config, {"ipam", "type"}); type != "overweft") request.ipamType = type;
  if (request.ipamType.find('/') != std::string::npos || isOneOf(request.ipamType, {".", ".."})) {
    throw PluginError{Code::InvalidConfig, "ipam.type: no name of a plugin: " + request.ipamType, ""};
  }
}

/// The pod's namespace must not be the host's, or its interfaces would be taken for the pod's.
void refuseOwnNamespace(const Request& request) {
  const std::string override = variable("CNI_NETNS_OVERRIDE");
  struct stat own {};
  struct stat pods {};
  if (override == "1" || override == "true" || override == "TRUE") return;
  if (stat("/proc/self/ns/net", &own) != 0 || stat(request.netns.c_str(), &pods) != 0) return;
  if (own.st_dev != pods.st_dev || own.st_ino != pods.st_ino) return;
  throw PluginError{Code::InvalidNetns,
                    "CNI_NETNS: " + request.netns + " is the namespace of the plugin itself",
                    "must be a namespace of the container's own"};
}

}  // namespace

std::string errnoText(int number) { return std::strerror(number); }

void readRequest(Request& request) {
  request.version = kNewestVersion;
  request.socket = kDefaultSocket;
  readEnvironment(request);
  requireEnvironment(request);
  request.config = readInput();
  if (request.command == "VERSION") {
    if (const std::string version = member(request.config, {"cniVersion"}); !version.empty())
      request.version = version;
    return;
  }
  readConfig(request);
  if (isOneOf(request.command, {"ADD", "DEL"})) refuseOwnNamespace(request);
}

std::string requestBody(const Request& request, const std::string& delegate) {
  std::string body = R"({"environment":{"CNI_COMMAND":)" + jsonQuoted(request.command);
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) body += std::string(",\"") + name + "\":" + jsonQuoted(value);
  };
  add("CNI_CONTAINERID", request.containerId);
  add("CNI_NETNS", request.netns);
  add("CNI_IFNAME", request.interfaceName);
  add("CNI_ARGS", request.args);
  body += "},\"config\":" + request.config;
  if (!delegate.empty()) body += ",\"delegate\":" + delegate;
  return body + "}";
}

}  // namespace overweft::cni
