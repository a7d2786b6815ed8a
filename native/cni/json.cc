#include "json.h"

#include <array>
#include <cstdint>

namespace overweft::cni {
namespace {

constexpr int kDeepest = 256;

/// Walks over one text; every function consumes what it names and returns false where that is not what stands
/// there.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  /// Path of the member whose string is wanted.
  void seek(std::span<const std::string_view> path) { path_ = path; }
  const std::optional<std::string>& found() const { return found_; }

  bool document() {
    space();
    if (!starts('{') || !value(0, true)) return false;
    space();
    return rest_.empty();
  }

 private:
  bool starts(char c) const { return !rest_.empty() && rest_.front() == c; }

  bool take(char c) {
    if (!starts(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  void space() {
    const size_t length = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(length == std::string_view::npos ? rest_.size() : length);
  }

  /// @param on whether all names above are those of the path, of which `depth` have been met
  bool value(size_t depth, bool on) {
    if (level_ == kDeepest) return false;
    level_++;
    const bool good = valueInside(depth, on);
    level_--;
    return good;
  }

  bool valueInside(size_t depth, bool on) {
    const bool wanted = on && depth == path_.size() && depth > 0;
    if (starts('"')) {
      std::string text;
      if (!string(text)) return false;
      if (wanted) found_ = std::move(text);
      return true;
    }
    if (wanted) found_.reset();
    if (take('{')) return members(depth, on);
    if (take('[')) return elements();
    return take("true") || take("false") || take("null") || number();
  }

  bool members(size_t depth, bool on) {
    space();
    if (take('}')) return true;
    do {
      space();
      std::string name;
      if (!string(name)) return false;
      space();
      if (!take(':')) return false;
      space();
      if (!value(depth + 1, on && depth < path_.size() && name == path_[depth])) return false;
      space();
    } while (take(','));
    return take('}');
  }

  bool elements() {
    space();
    if (take(']')) return true;
    do {
      space();
      if (!value(0, false)) return false;
      space();
    } while (take(','));
    return take(']');
  }

  bool digits() {
    const size_t length = rest_.find_first_not_of("0123456789");
    const size_t count = length == std::string_view::npos ? rest_.size() : length;
    rest_.remove_prefix(count);
    return count > 0;
  }

  bool number() {
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (!take('e') && !take('E')) return true;
    if (!take('+')) take('-');
    return digits();
  }

  bool string(std::string& text) {
    if (!take('"')) return false;
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\') {
        text.push_back(c);
      } else if (!escape(text)) {
        return false;
      }
    }
    return false;
  }

  bool escape(std::string& text) {
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (rest_.empty()) return false;
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (const size_t at = kLetters.find(c); at != std::string_view::npos) {
      text.push_back(kMeanings[at]);
      return true;
    }
    uint32_t unit = 0;
    if (c != 'u' || !codeUnit(unit)) return false;
    uint32_t low = 0;
    const std::string_view before = rest_;
    if (unit >> 10 == 0x36 && take("\\u") && codeUnit(low) && low >> 10 == 0x37) {
      utf8(0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff), text);
      return true;
    }
    // Half of a surrogate pair stands for no character.
    rest_ = before;
    utf8(unit >> 11 == 0x1b ? 0xfffd : unit, text);
    return true;
  }

  bool codeUnit(uint32_t& unit) {
    if (rest_.size() < 4) return false;
    for (const char c : rest_.substr(0, 4)) {
      constexpr std::string_view kDigits = "0123456789abcdefABCDEF";
      const size_t at = kDigits.find(c);
      if (at == std::string_view::npos) return false;
      unit = unit << 4 | static_cast<uint32_t>(at < 16 ? at : at - 6);
    }
    rest_.remove_prefix(4);
    return true;
  }

  static void utf8(uint32_t point, std::string& text) {
    if (point < 0x80) {
      text.push_back(static_cast<char>(point));
      return;
    }
    const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    constexpr std::array<uint32_t, 4> kLead = {0, 0xc0, 0xe0, 0xf0};
    text.push_back(static_cast<char>(kLead[static_cast<size_t>(more)] | point >> 6 * more));
    for (int i = more - 1; i >= 0; i--) {
      text.push_back(static_cast<char>(0x80 | (point >> 6 * i & 0x3f)));
    }
  }

  std::string_view rest_;
  std::span<const std::string_view> path_;
  std::optional<std::string> found_;
  int level_ = 0;
};

}  // namespace

bool isJsonObject(std::string_view text) { return Scanner(text).document(); }

std::optional<std::string> jsonString(std::string_view text, std::span<const std::string_view> path) {
  Scanner scanner(text);
  scanner.seek(path);
  return scanner.document() ? scanner.found() : std::nullopt;
}

std::string jsonQuoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted.push_back('\\');
      quoted.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      quoted += "\\u00";
      quoted.push_back(kDigits[static_cast<size_t>(c >> 4)]);
      quoted.push_back(kDigits[static_cast<size_t>(c & 0xf)]);
    } else {
      quoted.push_back(c);
    }
  }
  quoted.push_back('"');
  return quoted;
}

}  // namespace overweft::cni
