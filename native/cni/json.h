// As much JSON (RFC 8259) as the plugin needs itself: whether a text is an object, and a few strings of it.
// What it says otherwise is the daemon's to judge.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace overweft::cni {

/// Whether `text` is one JSON object, at most 256 levels deep.
bool isJsonObject(std::string_view text);

/// The string at a path of member names, of equal names the last; nothing where there is none or no string.
std::optional<std::string> jsonString(std::string_view text, std::span<const std::string_view> path);

/// `text` as a JSON string, quotes included.
std::string jsonQuoted(std::string_view text);

}  // namespace overweft::cni
