// Every function that the addon exports, by the file that holds it.
#pragma once

#include <node_api.h>

namespace overweft {

struct Environment;
class Arguments;

// linear_memory.cc
napi_value attachMemory(Environment&, const Arguments&);

// tap.cc
napi_value openTap(Environment&, const Arguments&);
napi_value deleteTap(Environment&, const Arguments&);
napi_value openInjectionTap(Environment&, const Arguments&);

// interface_features.cc
napi_value interfaceFeatures(Environment&, const Arguments&);

// udp.cc
napi_value openUdp(Environment&, const Arguments&);
napi_value pathMtu(Environment&, const Arguments&);

// raw_ip.cc
napi_value openRawIp(Environment&, const Arguments&);

// packet_socket.cc
napi_value openPacket(Environment&, const Arguments&);
napi_value filterPackets(Environment&, const Arguments&);

// wakeup.cc
napi_value openWakeup(Environment&, const Arguments&);
napi_value attachWakeup(Environment&, const Arguments&);
napi_value signal(Environment&, const Arguments&);

// ownership.cc
napi_value release(Environment&, const Arguments&);
napi_value close(Environment&, const Arguments&);
napi_value duplicate(Environment&, const Arguments&);
napi_value bequeath(Environment&, const Arguments&);
napi_value inherit(Environment&, const Arguments&);

// slots.cc
napi_value adoptTap(Environment&, const Arguments&);
napi_value adoptSocket(Environment&, const Arguments&);
napi_value drop(Environment&, const Arguments&);
napi_value takeFailures(Environment&, const Arguments&);

// poller.cc
napi_value wait(napi_env, napi_callback_info) noexcept;
napi_value switchTaps(napi_env, napi_callback_info) noexcept;
napi_value setSpin(Environment&, const Arguments&);

// receive.cc
napi_value receiveFrames(napi_env, napi_callback_info) noexcept;
napi_value receiveDatagrams(napi_env, napi_callback_info) noexcept;
napi_value errorCounts(Environment&, const Arguments&);

// transmit.cc
napi_value transmit(napi_env, napi_callback_info) noexcept;

// flow_file.cc
napi_value mapFile(Environment&, const Arguments&);

// capabilities.cc
napi_value capabilities(Environment&, const Arguments&);
napi_value dropCapabilities(Environment&, const Arguments&);
napi_value keepCapabilities(Environment&, const Arguments&);
napi_value threadId(Environment&, const Arguments&);

// unix_socket.cc
napi_value notify(Environment&, const Arguments&);
napi_value listenerUser(Environment&, const Arguments&);

// probe.cc
napi_value probe(Environment&, const Arguments&);

}  // namespace overweft
