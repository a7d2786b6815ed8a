"""
Streams of numbered UDP datagrams between network namespaces, and what of them arrives.

    datagrams.py blast NETNS SOURCE_PORT PER_SECOND ADDRESS PORT [ADDRESS PORT …]
        datagram i goes to target i modulo their number and begins with i, 8 bytes big endian; what the kernel refuses,
        for want of a route for example, counts as refused and is not sent again
    datagrams.py inject NETNS PER_SECOND SOURCE_ADDRESS ROUTER_MAC PORT ADDRESS [ADDRESS …]
        the same as whole IPv4 frames from eth0, from the moment there is one: it is set up if need be
    datagrams.py sink NETNS PORT [PORT …]
        UDP sockets; every datagram as [number, port, sender], in the order of arrival
    datagrams.py capture NETNS
        every IP packet on any interface that is there or comes later, but for neighbour and multicast listener
        discovery: [direction, protocol, source, destination, destination port, frames]

Each prints a line when it is ready, and its result as JSON when its stdin closes. All but the sink print what there is so
far whenever they read a line.
"""
import collections
import ctypes
import fcntl
import json
import os
import select
import socket
import struct
import sys
import time

CLONE_NEWNET = 0x40000000  # linux/sched.h
SO_RCVBUFFORCE = 33
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x0800, 0x86DD
PACKET_OUTGOING = 4  # linux/if_packet.h
SIOCGIFHWADDR, SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8927, 0x8913, 0x8914, 1
# ICMPv6: router and neighbour discovery, redirect, multicast listener reports
LINK_TYPES = {130, 131, 132, 133, 134, 135, 136, 137, 143}
RECEIVE_BUFFER = 64 << 20


def enter(netns):
    descriptor = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter {netns}")
    os.close(descriptor)


def is_over(so_far):
    """Whether stdin has closed; answers a line of it."""
    if not select.select([0], [], [], 0)[0]:
        return False
    if os.read(0, 4096) == b"":
        return True
    print(json.dumps(so_far()), flush=True)
    return False


def ready():
    print("ready", flush=True)


def paced(per_second, send, result):
    """Calls send(i) for i from 0 on until stdin closes; returns result(i), i being how often."""
    begin = time.monotonic()
    i = 0
    while not is_over(lambda: result(i)):
        due = int((time.monotonic() - begin) * per_second)
        while i < due:
            send(i)
            i += 1
        time.sleep(0.001)
    return result(i)


def blast(source_port, per_second, *targets):
    sockets = {}
    for family in (socket.AF_INET, socket.AF_INET6):
        sockets[family] = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        if family == socket.AF_INET6:
            sockets[family].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sockets[family].bind(("", int(source_port)))
    ways = []
    for address, port in zip(targets[::2], targets[1::2]):
        ways.append((sockets[socket.AF_INET6 if ":" in address else socket.AF_INET], (address, int(port))))
    refused = 0

    def send(i):
        nonlocal refused
        sender, target = ways[i % len(ways)]
        try:
            sender.sendto(i.to_bytes(8, "big") + bytes(24), target)
        except OSError:
            refused += 1

    ready()
    return paced(int(per_second), send, lambda tried: {"sent": tried - refused, "refused": refused})


def inject(per_second, source, router, port, *targets):
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    request = struct.pack("16s16x", b"eth0")
    frames = []
    refused = 0

    def open_interface():
        mac = fcntl.ioctl(control, SIOCGIFHWADDR, request)[18:24]
        flags = struct.unpack_from("h", fcntl.ioctl(control, SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"eth0", flags | IFF_UP))
        sender.bind(("eth0", 0))
        ethernet = bytes.fromhex(router.replace(":", "")) + mac + struct.pack("!H", ETH_P_IP)
        frames.extend(ethernet + ipv4_udp(source, target, int(port)) for target in targets)

    def send(i):
        nonlocal refused
        try:
            if not frames:
                open_interface()
            sender.send(frames[i % len(frames)])
        except OSError:
            refused += 1

    ready()
    return paced(int(per_second), send, lambda tried: {"sent": tried - refused, "refused": refused})


def ipv4_udp(source, destination, port):
    payload = bytes(32)
    udp = struct.pack("!HHHH", 9, port, 8 + len(payload), 0) + payload
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, socket.IPPROTO_UDP, 0) + addresses
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + udp


def sink(*ports):
    poll = select.epoll()
    poll.register(0, select.EPOLLIN)
    servers = {}
    for port in map(int, ports):
        server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        server.bind(("::", port))
        poll.register(server, select.EPOLLIN)
        servers[server.fileno()] = (server, port)
    arrivals = []
    ready()
    while True:
        events = poll.poll()
        for descriptor, _ in events:
            if descriptor == 0:
                continue
            server, port = servers[descriptor]
            data, sender = server.recvfrom(65536)
            arrivals.append([int.from_bytes(data[:8], "big"), port, sender[0].removeprefix("::ffff:")])
        if len(events) == 1 and events[0][0] == 0:
            return arrivals


def capture():
    witness = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    witness.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    counts = collections.Counter()

    def result():
        return [[*key, count] for key, count in counts.items()]

    ready()
    while True:
        readable = select.select([0, witness], [], [])[0]
        if witness in readable:
            data, (_, protocol, kind, *_) = witness.recvfrom(256)
            key = packet_key(data, protocol)
            if key:
                counts["out" if kind == PACKET_OUTGOING else "in", *key] += 1
        elif 0 in readable:
            lost = struct.unpack("II", witness.getsockopt(263, 6, 8))[1]  # SOL_PACKET, PACKET_STATISTICS
            if lost:
                sys.exit(f"the capture lost {lost} frames")
            if is_over(result):
                return result()


def packet_key(data, ethertype):
    if ethertype == ETH_P_IP:
        protocol, source, destination = data[9], data[12:16], data[16:20]
        transport = data[(data[0] & 15) * 4 :]
        family = socket.AF_INET
    elif ethertype == ETH_P_IPV6:
        protocol, source, destination, transport = data[6], data[8:24], data[24:40], data[40:]
        family = socket.AF_INET6
        if protocol == 0:  # hop-by-hop options, which multicast listener reports have
            protocol, transport = transport[0], transport[8 * (transport[1] + 1) :]
        if protocol == socket.IPPROTO_ICMPV6 and transport[0] in LINK_TYPES:
            return None
    else:
        return None
    name = {1: "ICMP", 58: "ICMP", 6: "TCP", 17: "UDP", 132: "SCTP"}.get(protocol, str(protocol))
    port = 0 if name == "ICMP" else int.from_bytes(transport[2:4], "big")
    return name, socket.inet_ntop(family, source), socket.inet_ntop(family, destination), port


mode, netns, *arguments = sys.argv[1:]
enter(netns)
print(json.dumps({"blast": blast, "inject": inject, "sink": sink, "capture": capture}[mode](*arguments)))
