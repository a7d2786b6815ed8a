// Why a command fails, as a runtime reads it.
#pragma once

#include <string>

namespace overweft::cni {

/// Codes of the CNI specification 1.1.0, section 5 "Error", and 8 and 999 of its Go library.
enum class Code {
  IncompatibleVersion = 1,
  InvalidEnvironment = 4,
  IoFailure = 5,
  DecodingFailure = 6,
  InvalidConfig = 7,
  InvalidNetns = 8,
  TryAgainLater = 11,
  /// Of STATUS: not available, and the containers that are there have limited connectivity.
  LimitedConnectivity = 51,
  Internal = 999,
};

struct PluginError {
  Code code;
  std::string message;
  std::string details;
};

/// What the C library says of `number`, the present errno unless given.
std::string errnoText(int number);

}  // namespace overweft::cni
