// One call of the plugin: environment and standard input, checked as far as the specification can without a
// network.
#pragma once

#include <string>

#include "plugin_error.h"

namespace overweft::cni {

struct Request {
  std::string command;
  std::string containerId;
  std::string netns;
  std::string interfaceName;
  std::string args;
  std::string path;
  /// Standard input: a JSON object, unless the command is VERSION.
  std::string config;
  /// The protocol version of the config; what the plugin itself says where there is none.
  std::string version;
  /// Unix socket of the daemon.
  std::string socket;
  /// Of the IPAM plugin that hands out addresses; empty where the daemon does.
  std::string ipamType;
};

inline constexpr const char* kSupportedVersions = R"(["0.3.1","0.4.0","1.0.0","1.1.0"])";
inline constexpr const char* kNewestVersion = "1.1.0";

/// Reads both. `request` holds what has been read where it throws.
/// @throws PluginError
void readRequest(Request& request);

/// The daemon's request: {"environment": {…}, "config": {…}, "delegate": …}, the last as given or absent.
std::string requestBody(const Request& request, const std::string& delegate);

}  // namespace overweft::cni
