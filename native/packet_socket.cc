// Packet sockets on the underlay's device, for peers that are reached without a tunnel.
//
// Each frame stands behind a vnet header, as a TAP's does, so that the two are read and written alike
// (packet(7)).

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "boundary.h"
#include "exports.h"
#include "socket_options.h"

namespace overweft {
namespace {

// linux/if_packet.h since 6.4: PACKET_VNET_HDR_SZ.
constexpr int kPacketVnetHeaderSize = 24;

/// A program as `tcpdump -ddd` prints it: the number of instructions, then four numbers for each.
std::vector<sock_filter> parseFilter(const char* call, const std::string& text) {
  std::istringstream words(text);
  size_t count = 0;
  if (!(words >> count) || count == 0 || count > BPF_MAXINSNS) {
    throwRange(std::string(call) + ": filter must have 1.." + std::to_string(BPF_MAXINSNS) + " instructions");
  }
  std::vector<sock_filter> program(count);
  for (sock_filter& instruction : program) {
    uint32_t code = 0, ifTrue = 0, ifFalse = 0, value = 0;
    if (!(words >> code >> ifTrue >> ifFalse >> value) || code > 0xffff || ifTrue > 0xff || ifFalse > 0xff) {
      throwType(std::string(call) + ": filter must be four numbers an instruction");
    }
    instruction = {static_cast<uint16_t>(code), static_cast<uint8_t>(ifTrue), static_cast<uint8_t>(ifFalse),
                   value};
  }
  return program;
}

void attachFilter(int fd, std::vector<sock_filter> program, const std::string& object) {
  sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0) {
    throwErrno("setsockopt(SO_ATTACH_FILTER)", object);
  }
}

SocketAddress deviceAddress(const std::string& device) {
  unsigned index = if_nametoindex(device.c_str());
  if (index == 0) throwErrno("if_nametoindex", device);
  sockaddr_ll link{};
  link.sll_family = AF_PACKET;
  link.sll_protocol = htons(ETH_P_ALL);
  link.sll_ifindex = static_cast<int>(index);
  SocketAddress address;
  std::memcpy(&address.storage, &link, sizeof link);
  address.length = sizeof link;
  return address;
}

}  // namespace

napi_value openPacket(Environment& environment, const Arguments& arguments) {
  Options options = arguments.options(0);
  std::string device = options.string("interface");
  std::vector<sock_filter> filter = parseFilter("openPacket", options.string("filter"));
  std::optional<uint32_t> group = options.optionalNumber("group");
  SocketAddress address = deviceAddress(device);

  SocketBuilder builder(options, address, device);
  // Without a protocol nothing comes in before the filter is there and the socket is bound.
  builder.open(SOCK_RAW, 0);
  builder.applyCommon();
  builder.set(SOL_PACKET, kPacketVnetHeaderSize, abi::VNET_HEADER, "setsockopt(PACKET_VNET_HDR_SZ)");
  builder.set(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1, "setsockopt(PACKET_IGNORE_OUTGOING)");
  attachFilter(builder.fd(), filter, device);
  builder.bind();
  if (group) {
    int value = static_cast<int>((*group & 0xffff) | PACKET_FANOUT_HASH << 16);
    builder.set(SOL_PACKET, PACKET_FANOUT, value, "setsockopt(PACKET_FANOUT)");
  }
  return toNumber(arguments.env(), environment.held.hold(builder.take()));
}

napi_value filterPackets(Environment& environment, const Arguments& arguments) {
  int fd = arguments.descriptor(0);
  std::string object = "fd " + std::to_string(fd);
  if (!environment.held.holds(fd)) throwErrno(EBADF, "filterPackets", object);
  attachFilter(fd, parseFilter("filterPackets", arguments.string(1, "filter")), object);
  return toUndefined(arguments.env());
}

}  // namespace overweft
