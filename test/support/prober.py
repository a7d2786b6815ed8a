"""
Real sockets in many network namespaces, from one process: a socket stays in the namespace in which it was made.

    {"serve": NETNS, "ports": [80, 81]}                    answers TCP, UDP and SCTP there, in both families
    {"probe": [[NETNS, ADDRESS, PROTOCOL, PORT], …], "waitMs": 300}
        tries all at once, and once more what was not answered: one of "answered", "silent" or an error's name for each

TCP and UDP are the kernel's. SCTP is written here, as a kernel may have none: a probe is an INIT, its answer the
INIT ACK (RFC 9260 §3.3.2, §3.3.3), over raw sockets; what has a wrong CRC is not there.
"""
import ctypes
import errno
import itertools
import json
import os
import select
import socket
import struct
import sys
import time

CLONE_NEWNET = 0x40000000  # linux/sched.h
IPPROTO_SCTP = 132
INIT, INIT_ACK, ABORT = 1, 2, 6
STATE_COOKIE = 7
ATTEMPTS = 2

libc = ctypes.CDLL(None, use_errno=True)
poll = select.epoll()
handlers = {}  # descriptor → called when it is readable
connecting = {}  # descriptor → (socket, called with its error number)


def enter(netns):
    descriptor = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {netns}")
    finally:
        os.close(descriptor)


def crc32c_table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


CRC32C = tuple(crc32c_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def sctp_packet(source, destination, tag, chunk):
    """Common header and one chunk; the checksum is little endian (RFC 9260 appendix A)."""
    head = struct.pack("!HHI", source, destination, tag)
    return head + struct.pack("<I", crc32c(head + bytes(4) + chunk)) + chunk


def init_chunk(kind, tag, parameters=b""):
    """Type, flags, length; initiate tag, receiver window, streams out and in, initial TSN."""
    return struct.pack("!BBHIIHHI", kind, 0, 20 + len(parameters), tag, 65536, 1, 1, tag) + parameters


class Sctp:
    """One raw socket a namespace and family: server and client in one."""

    ports = itertools.count(20000)

    def __init__(self, family, served):
        self.socket = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, IPPROTO_SCTP)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.family = family
        self.served = served
        self.waiting = {}
        handlers[self.socket.fileno()] = self.receive
        poll.register(self.socket, select.EPOLLIN)

    def send(self, address, packet):
        try:
            self.socket.sendto(packet, (address, 0))
        except OSError:
            pass  # A probe that could not be sent is silent.

    def probe(self, address, port, answered):
        source = 20000 + next(self.ports) % 40000
        self.waiting[address, port, source] = answered
        self.send(address, sctp_packet(source, port, 0, init_chunk(INIT, source)))

    def receive(self):
        try:
            data, (address, *_) = self.socket.recvfrom(2048)
        except BlockingIOError:
            return
        if self.family == socket.AF_INET:
            data = data[(data[0] & 15) * 4 :]
        if len(data) < 32 or data[8:12] != struct.pack("<I", crc32c(data[:8] + bytes(4) + data[12:])):
            return
        source, destination, _, _, kind, _, _, tag = struct.unpack_from("!HHIIBBHI", data)
        if kind == INIT and destination in self.served:
            cookie = struct.pack("!HHI", STATE_COOKIE, 8, tag)
            self.send(address, sctp_packet(destination, source, tag, init_chunk(INIT_ACK, tag, cookie)))
        elif kind == INIT_ACK:
            answered = self.waiting.pop((address, source, destination), None)
            if answered:
                answered()
                self.send(address, sctp_packet(destination, source, tag, struct.pack("!BBH", ABORT, 0, 4)))


sctp = {}  # (namespace, family) → Sctp


def serve(netns, ports):
    enter(netns)
    for port in ports:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            server = socket.socket(socket.AF_INET6, kind | socket.SOCK_NONBLOCK)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            server.bind(("::", port))
            if kind == socket.SOCK_STREAM:
                server.listen(1024)
            handlers[server.fileno()] = lambda server=server, kind=kind: answer(server, kind)
            poll.register(server, select.EPOLLIN)
    for family in (socket.AF_INET, socket.AF_INET6):
        sctp[netns, family] = Sctp(family, ports)


def answer(server, kind):
    try:
        if kind == socket.SOCK_STREAM:
            server.accept()[0].close()
        else:
            data, sender = server.recvfrom(2048)
            server.sendto(data, sender)
    except OSError:
        pass  # The client has gone, or its answer may not leave.


def probe(probes, wait):
    outcomes = ["silent"] * len(probes)
    for _ in range(ATTEMPTS):
        attempt(probes, outcomes, wait)
    return outcomes


def attempt(probes, outcomes, wait):
    """Tries what is silent so far, and waits until all is answered or the time is up."""
    silent = {i for i, outcome in enumerate(outcomes) if outcome == "silent"}
    clients = []

    def settle(i, outcome):
        outcomes[i] = outcome
        silent.discard(i)

    for netns, group in itertools.groupby(sorted(silent, key=lambda i: probes[i][0]), key=lambda i: probes[i][0]):
        enter(netns)
        for i in group:
            _, address, protocol, port = probes[i]
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            answered = lambda i=i: settle(i, "answered")
            if protocol == "SCTP":
                sctp[netns, family].probe(address, port, answered)
                continue
            kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
            client = socket.socket(family, kind | socket.SOCK_NONBLOCK)
            clients.append(client)
            error = client.connect_ex((address, port))
            if error not in (0, errno.EINPROGRESS):
                settle(i, errno.errorcode[error])
            elif kind == socket.SOCK_STREAM:
                # A reset at the end leaves no connection behind.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                handlers[client.fileno()] = lambda i=i, client=client: settle(i, outcome_of(client))
                poll.register(client, select.EPOLLOUT | select.EPOLLONESHOT)
            else:
                handlers[client.fileno()] = lambda i=i, client=client: settle(i, received(client))
                poll.register(client, select.EPOLLIN | select.EPOLLONESHOT)
                client.send(b"?")
    deadline = time.monotonic() + wait
    while silent and (left := deadline - time.monotonic()) > 0:
        turn(left)
    for client in clients:
        handlers.pop(client.fileno(), None)
        client.close()


def outcome_of(client):
    error = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return errno.errorcode[error] if error else "answered"


def received(client):
    try:
        client.recv(2048)
        return "answered"
    except OSError as error:
        return errno.errorcode[error.errno]


def turn(seconds):
    for descriptor, _ in poll.poll(seconds):
        handlers[descriptor]()


def perform(request):
    if "serve" in request:
        serve(request["serve"], request["ports"])
        return None
    return probe(request["probe"], request["waitMs"] / 1000)


def main():
    buffer = b""
    poll.register(0, select.EPOLLIN)

    def read():
        nonlocal buffer
        chunk = os.read(0, 1 << 20)
        if not chunk:
            sys.exit()
        buffer += chunk

    handlers[0] = read
    while True:
        while b"\n" not in buffer:
            turn(-1)
        line, buffer = buffer.split(b"\n", 1)
        print(json.dumps(perform(json.loads(line))), flush=True)


main()
