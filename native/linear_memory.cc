#include "linear_memory.h"

#include "boundary.h"
#include "exports.h"

namespace overweft {

napi_value attachMemory(Environment& environment, const Arguments& arguments) {
  napi_env env = arguments.env();
  napi_value view = arguments.at(0);
  bool isTypedArray = false;
  check(napi_is_typedarray(env, view, &isTypedArray));
  if (!isTypedArray) throwType("attachMemory: expected a Uint8Array over the shared memory");

  napi_typedarray_type type;
  size_t length = 0;
  void* base = nullptr;
  check(napi_get_typedarray_info(env, view, &type, &length, &base, nullptr, nullptr));
  if (type != napi_uint8_array) throwType("attachMemory: expected a Uint8Array");

  napi_ref reference = nullptr;
  check(napi_create_reference(env, view, 1, &reference));
  if (environment.memoryReference) napi_delete_reference(env, environment.memoryReference);
  environment.memoryReference = reference;
  environment.memory.attach(static_cast<uint8_t*>(base), length);
  return toUndefined(env);
}

}  // namespace overweft
