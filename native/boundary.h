// The boundary with JavaScript: arguments in, values and errors out.
//
// Set-up calls go through guarded<>, which turns C++ exceptions into JS errors; none crosses
// the C boundary. Hot calls read plain numbers through NumericCall and never allocate.
#pragma once

#include <node_api.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "environment.h"
#include "errno_error.h"

namespace overweft {

/// A Node-API call failed; a JS exception may already be pending.
struct NapiFailure {};

inline void check(napi_status status) {
  if (status != napi_ok) throw NapiFailure{};
}

/// An options object of a set-up call; every getter names call and field when the type is wrong.
class Options {
 public:
  Options(napi_env env, const char* call, napi_value value);

  std::string string(const char* key) const;
  std::optional<std::string> optionalString(const char* key) const;
  bool boolean(const char* key, bool fallback) const;
  uint32_t number(const char* key) const;
  std::optional<uint32_t> optionalNumber(const char* key) const;
  std::optional<Options> optionalObject(const char* key) const;

 private:
  /// The field's value, or nullptr when it is absent or undefined.
  napi_value field(const char* key) const;
  [[noreturn]] void wrong(const char* key, const char* expected) const;

  napi_env env_;
  const char* call_;
  napi_value object_;
};

/// Arguments of a set-up call, at most four.
class Arguments {
 public:
  Arguments(napi_env env, const char* call, size_t count, std::array<napi_value, 4> values)
      : env_(env), call_(call), count_(count), values_(values) {}

  napi_env env() const { return env_; }
  const char* call() const { return call_; }
  napi_value at(size_t index) const;
  bool has(size_t index) const;
  uint32_t number(size_t index, const char* name) const;
  int descriptor(size_t index) const;
  std::string string(size_t index, const char* name) const;
  Options options(size_t index) const { return Options(env_, call_, at(index)); }

 private:
  napi_env env_;
  const char* call_;
  size_t count_;
  std::array<napi_value, 4> values_;
};

/// An object under construction.
class Result {
 public:
  explicit Result(napi_env env) : env_(env) { check(napi_create_object(env, &object_)); }
  Result& set(const char* key, napi_value value);
  Result& set(const char* key, const std::string& value);
  Result& set(const char* key, bool value);
  Result& set(const char* key, double value);
  napi_value value() const { return object_; }

 private:
  napi_env env_;
  napi_value object_;
};

napi_value toNumber(napi_env env, double value);
napi_value toUndefined(napi_env env);
void throwToJs(napi_env env, const ErrnoError& error);
void throwToJs(napi_env env, const ArgumentError& error);

using SetUpCall = napi_value (*)(Environment&, const Arguments&);

/// A set-up call under its JS name, which the errors repeat.
struct SetUpExport {
  const char* name;
  SetUpCall call;
};

/// Data of each exported function.
struct Binding {
  Environment* environment;
  SetUpExport setUp;
};

napi_value guarded(napi_env env, napi_callback_info info) noexcept;

/// A hot call's arguments: `count` numbers, taken modulo 2^32 and judged by their use.
template <size_t count>
struct NumericCall {
  Environment* environment = nullptr;
  std::array<uint32_t, count> arguments{};

  /// False leaves a JS exception pending.
  bool read(napi_env env, napi_callback_info info) {
    std::array<napi_value, count> values;
    size_t given = count;
    void* data = nullptr;
    if (napi_get_cb_info(env, info, &given, values.data(), nullptr, &data) != napi_ok) return false;
    environment = static_cast<Binding*>(data)->environment;
    for (size_t i = 0; i < count; i++) {
      if (i >= given || napi_get_value_uint32(env, values[i], &arguments[i]) != napi_ok) {
        napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "every argument must be a number");
        return false;
      }
    }
    return true;
  }
};

inline napi_value hotResult(napi_env env, uint32_t value) {
  napi_value result = nullptr;
  napi_create_uint32(env, value, &result);
  return result;
}

inline napi_value outOfRange(napi_env env, const char* message) {
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
  return nullptr;
}

}  // namespace overweft
