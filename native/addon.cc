// Registration: one instance for each Node environment, and its functions.

#include <node_api.h>

#include <array>
#include <exception>
#include <memory>

#include "boundary.h"
#include "environment.h"
#include "exports.h"

namespace overweft {
namespace {

constexpr SetUpExport kSetUpExports[] = {
    {"attachMemory", attachMemory},
    {"openTap", openTap},
    {"deleteTap", deleteTap},
    {"openInjectionTap", openInjectionTap},
    {"interfaceFeatures", interfaceFeatures},
    {"openUdp", openUdp},
    {"pathMtu", pathMtu},
    {"openRawIp", openRawIp},
    {"openPacket", openPacket},
    {"filterPackets", filterPackets},
    {"openWakeup", openWakeup},
    {"attachWakeup", attachWakeup},
    {"signal", signal},
    {"release", release},
    {"close", close},
    {"duplicate", duplicate},
    {"bequeath", bequeath},
    {"inherit", inherit},
    {"setSpin", setSpin},
    {"adoptTap", adoptTap},
    {"adoptSocket", adoptSocket},
    {"drop", drop},
    {"takeFailures", takeFailures},
    {"errorCounts", errorCounts},
    {"mapFile", mapFile},
    {"capabilities", capabilities},
    {"dropCapabilities", dropCapabilities},
    {"keepCapabilities", keepCapabilities},
    {"threadId", threadId},
    {"notify", notify},
    {"listenerUser", listenerUser},
    {"probe", probe},
};

struct HotExport {
  const char* name;
  napi_callback call;
};

constexpr HotExport kHotExports[] = {
    {"wait", wait},
    {"switchTaps", switchTaps},
    {"receiveFrames", receiveFrames},
    {"receiveDatagrams", receiveDatagrams},
    {"transmit", transmit},
};

struct Instance {
  Environment environment;
  std::array<Binding, std::size(kSetUpExports)> setUp;
  Binding hot{&environment, {}};
};

void add(napi_env env, napi_value exports, const char* name, napi_callback call, Binding* binding) {
  napi_value function;
  check(napi_create_function(env, name, NAPI_AUTO_LENGTH, call, binding, &function));
  check(napi_set_named_property(env, exports, name, function));
}

void registerAll(napi_env env, napi_value exports) {
  auto instance = std::make_unique<Instance>();
  Instance& kept = *instance;
  check(napi_set_instance_data(
      env, instance.get(), [](napi_env, void* data, void*) { delete static_cast<Instance*>(data); },
      nullptr));
  instance.release();
  for (size_t i = 0; i < std::size(kSetUpExports); i++) {
    kept.setUp[i] = Binding{&kept.environment, kSetUpExports[i]};
    add(env, exports, kSetUpExports[i].name, guarded, &kept.setUp[i]);
  }
  for (const HotExport& hot : kHotExports) add(env, exports, hot.name, hot.call, &kept.hot);
}

}  // namespace
}  // namespace overweft

NAPI_MODULE_INIT() {
  try {
    overweft::registerAll(env, exports);
    return exports;
  } catch (const overweft::ErrnoError& error) {
    overweft::throwToJs(env, error);
  } catch (const overweft::NapiFailure&) {
    napi_throw_error(env, "ERR_INTERNAL_ASSERTION", "the addon could not be registered");
  } catch (const std::exception& error) {
    napi_throw_error(env, "ERR_INTERNAL_ASSERTION", error.what());
  }
  return nullptr;
}
