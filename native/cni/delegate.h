// Another plugin, run on behalf of this one (CNI specification, section 4).
#pragma once

#include <string>

#include "request.h"

namespace overweft::cni {

struct Outcome {
  bool succeeded;
  /// What it printed: a result, or an error object.
  std::string output;
};

/// Runs the IPAM plugin of the request with a command, in this one's environment and with its configuration;
/// its standard error is this one's.
/// @throws PluginError where it cannot be run, or fails and does not say why
Outcome runDelegate(const Request& request, const std::string& command);

}  // namespace overweft::cni
