// What goes to standard output.
#pragma once

#include <string>
#include <string_view>

#include "plugin_error.h"

namespace overweft::cni {

/// An error object, CNI specification section 5 "Error".
std::string errorJson(const PluginError& error, const std::string& version);

/// Writes all of it.
void print(std::string_view text);

}  // namespace overweft::cni
