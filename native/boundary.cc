#include "boundary.h"

#include <cmath>
#include <cstring>
#include <exception>
#include <system_error>

namespace overweft {
namespace {

napi_valuetype typeOf(napi_env env, napi_value value) {
  napi_valuetype type;
  check(napi_typeof(env, value, &type));
  return type;
}

std::string toString(napi_env env, napi_value value) {
  size_t length = 0;
  check(napi_get_value_string_utf8(env, value, nullptr, 0, &length));
  std::string text(length, '\0');
  check(napi_get_value_string_utf8(env, value, text.data(), length + 1, &length));
  return text;
}

/// A whole number in 0..2^32-1, or nothing.
std::optional<uint32_t> toWord(napi_env env, napi_value value) {
  if (typeOf(env, value) != napi_number) return std::nullopt;
  double number = 0;
  check(napi_get_value_double(env, value, &number));
  if (!(number >= 0 && number <= UINT32_MAX) || std::floor(number) != number) return std::nullopt;
  return static_cast<uint32_t>(number);
}

bool holdsNul(const std::string& text) { return text.find('\0') != std::string::npos; }

napi_value makeString(napi_env env, const std::string& text) {
  napi_value value;
  check(napi_create_string_utf8(env, text.data(), text.size(), &value));
  return value;
}

}  // namespace

Options::Options(napi_env env, const char* call, napi_value value) : env_(env), call_(call), object_(value) {
  if (typeOf(env, value) != napi_object) {
    throwType(std::string(call) + ": expected an object with options");
  }
}

napi_value Options::field(const char* key) const {
  napi_value value;
  check(napi_get_named_property(env_, object_, key, &value));
  return typeOf(env_, value) == napi_undefined ? nullptr : value;
}

void Options::wrong(const char* key, const char* expected) const {
  throwType(std::string(call_) + ": '" + key + "' must be " + expected);
}

std::string Options::string(const char* key) const {
  std::optional<std::string> text = optionalString(key);
  if (!text) wrong(key, "a string");
  return *text;
}

std::optional<std::string> Options::optionalString(const char* key) const {
  napi_value value = field(key);
  if (!value) return std::nullopt;
  if (typeOf(env_, value) != napi_string) wrong(key, "a string");
  std::string text = toString(env_, value);
  if (text.empty() || holdsNul(text)) wrong(key, "a string that is neither empty nor holds a NUL");
  return text;
}

bool Options::boolean(const char* key, bool fallback) const {
  napi_value value = field(key);
  if (!value) return fallback;
  if (typeOf(env_, value) != napi_boolean) wrong(key, "true or false");
  bool result = false;
  check(napi_get_value_bool(env_, value, &result));
  return result;
}

uint32_t Options::number(const char* key) const {
  std::optional<uint32_t> result = optionalNumber(key);
  if (!result) wrong(key, "a whole number in 0..4294967295");
  return *result;
}

std::optional<uint32_t> Options::optionalNumber(const char* key) const {
  napi_value value = field(key);
  if (!value) return std::nullopt;
  std::optional<uint32_t> result = toWord(env_, value);
  if (!result) wrong(key, "a whole number in 0..4294967295");
  return result;
}

std::optional<Options> Options::optionalObject(const char* key) const {
  napi_value value = field(key);
  if (!value) return std::nullopt;
  if (typeOf(env_, value) != napi_object) wrong(key, "an object");
  return Options(env_, call_, value);
}

bool Arguments::has(size_t index) const {
  return index < count_ && typeOf(env_, values_[index]) != napi_undefined;
}

napi_value Arguments::at(size_t index) const {
  if (!has(index)) {
    throwType(std::string(call_) + ": argument " + std::to_string(index + 1) + " is missing");
  }
  return values_[index];
}

uint32_t Arguments::number(size_t index, const char* name) const {
  std::optional<uint32_t> result = toWord(env_, at(index));
  if (!result) {
    throwType(std::string(call_) + ": " + name + " must be a whole number in 0..4294967295");
  }
  return *result;
}

int Arguments::descriptor(size_t index) const {
  uint32_t number = this->number(index, "fd");
  if (number > INT32_MAX) throwRange(std::string(call_) + ": fd is no file descriptor");
  return static_cast<int>(number);
}

std::string Arguments::string(size_t index, const char* name) const {
  napi_value value = at(index);
  if (typeOf(env_, value) == napi_string) {
    std::string text = toString(env_, value);
    if (!text.empty() && !holdsNul(text)) return text;
  }
  throwType(std::string(call_) + ": " + name + " must be a string that is neither empty nor holds a NUL");
}

Result& Result::set(const char* key, napi_value value) {
  check(napi_set_named_property(env_, object_, key, value));
  return *this;
}

Result& Result::set(const char* key, const std::string& value) { return set(key, makeString(env_, value)); }

Result& Result::set(const char* key, bool value) {
  napi_value boolean;
  check(napi_get_boolean(env_, value, &boolean));
  return set(key, boolean);
}

Result& Result::set(const char* key, double value) { return set(key, toNumber(env_, value)); }

napi_value toNumber(napi_env env, double value) {
  napi_value number;
  check(napi_create_double(env, value, &number));
  return number;
}

napi_value toUndefined(napi_env env) {
  napi_value undefined;
  check(napi_get_undefined(env, &undefined));
  return undefined;
}

void throwToJs(napi_env env, const ErrnoError& error) {
  std::string code = errnoName(error.number);
  std::string message =
      code + ": " + strerrordesc_np(error.number) + ", " + error.syscall + " '" + error.object + "'";
  napi_value object;
  check(napi_create_error(env, makeString(env, code), makeString(env, message), &object));
  check(napi_set_named_property(env, object, "errno", toNumber(env, -error.number)));
  check(napi_set_named_property(env, object, "syscall", makeString(env, error.syscall)));
  check(napi_throw(env, object));
}

void throwToJs(napi_env env, const ArgumentError& error) {
  if (error.kind == ArgumentError::Kind::Range) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", error.message.c_str());
  } else {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", error.message.c_str());
  }
}

napi_value guarded(napi_env env, napi_callback_info info) noexcept {
  try {
    try {
      size_t count = 4;
      std::array<napi_value, 4> values;
      void* data = nullptr;
      check(napi_get_cb_info(env, info, &count, values.data(), nullptr, &data));
      const Binding& binding = *static_cast<Binding*>(data);
      Arguments arguments(env, binding.setUp.name, count, values);
      return binding.setUp.call(*binding.environment, arguments);
    } catch (const ErrnoError& error) {
      throwToJs(env, error);
    } catch (const ArgumentError& error) {
      throwToJs(env, error);
    } catch (const std::system_error& error) {
      throwToJs(env, ErrnoError{error.code().value(), "pthread_create", "helper thread"});
    }
  } catch (const NapiFailure&) {
    bool pending = false;
    napi_is_exception_pending(env, &pending);
    if (!pending) napi_throw_error(env, "ERR_INTERNAL_ASSERTION", "a Node-API call failed");
  } catch (const std::exception& error) {
    napi_throw_error(env, "ERR_INTERNAL_ASSERTION", error.what());
  }
  return nullptr;
}

}  // namespace overweft
