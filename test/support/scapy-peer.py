"""Builds, sends and receives packets at one interface with scapy, as an implementation that is not ours.

Argument: an interface. Reads one JSON object a line, answers with one a line:
  {"build": EXPRESSION}  hexadecimal bytes of a scapy expression such as IP(src="10.0.0.1")/UDP()
  {"send": EXPRESSION}   the same, put on the wire as it is: it begins with Ether()
  {"frames": null}       frames that have arrived since the last such request, hexadecimal
"""

import json
import socket
import sys

from scapy.all import ICMP, ICMPv6EchoRequest, IP, UDP, Ether, IPv6, Raw, TCP  # noqa: F401 (named in expressions)

ETH_P_ALL = 0x0003
PACKET_OUTGOING = 4

wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
wire.bind((sys.argv[1], 0))
wire.setblocking(False)


def frames():
    arrived = []
    while True:
        try:
            data, address = wire.recvfrom(65536)
        except BlockingIOError:
            return arrived
        if address[2] != PACKET_OUTGOING:
            arrived.append(data.hex())


def answer(request):
    if "build" in request:
        return bytes(eval(request["build"])).hex()
    if "send" in request:
        return wire.send(bytes(eval(request["send"])))
    return frames()


print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
