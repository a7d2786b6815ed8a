/**
 * The native addon, typed: system calls in bursts, straight into and out of linear memory.
 *
 * Each thread has an instance of its own, which owns the descriptors that the thread opened or adopted and closes
 * them when the thread's environment ends. A descriptor changes threads by number: `release` in one, `adoptTap` or
 * `adoptSocket` in the other.
 *
 * Set-up calls throw an Error with `code`, `errno` (negative), `syscall` and a message that names the object, or a
 * TypeError or RangeError for a wrong argument. `wait`, `receiveFrames`, `receiveDatagrams` and `transmit` are the
 * hot calls: numbers in, a number out, an exception for wrong arguments only. Offsets are bytes in linear memory,
 * descriptors are drawn in asm/layout/burst.ts.
 */
import { createRequire } from 'node:module';

/** Bits that `wait` returns. */
export const TAP_READY = 1;
export const SOCKET_READY = 2;
export const WOKEN = 4;
/** A slot failed; `takeFailures` says which, and until then `wait` does not block. */
export const SLOT_FAILED = 8;

export interface TapOffloads {
  /** Partial checksums; without them neither of the others is possible. */
  readonly csum: boolean;
  /** TCP superframes, both families. */
  readonly tso: boolean;
  /** UDP superframes, both families; Linux ≥ 6.2. */
  readonly uso: boolean;
}

export interface TapOptions {
  /** At most 15 bytes; `%d` becomes the first free number. */
  readonly name: string;
  /** File of the network namespace, `/run/netns/NAME` or `/proc/PID/ns/net`; the caller's by default. */
  readonly netns?: string | undefined;
  /** The TAP outlives its last descriptor. */
  readonly persist?: boolean | undefined;
  /** `new`: EEXIST where the namespace has an interface of that name; `existing`: ENODEV where it has none. */
  readonly presence?: 'new' | 'existing' | undefined;
  /** Wanted offloads, all by default; they belong to the TAP, not to the queue. */
  readonly offloads?: Partial<TapOffloads> | undefined;
}

interface Tap {
  readonly fd: number;
  readonly name: string;
  /** What the kernel took. */
  readonly offloads: TapOffloads;
}

interface SocketOptions {
  /** Local IPv4 or IPv6 address; IPv6 sockets carry IPv6 only. */
  readonly address: string;
  readonly netns?: string | undefined;
  /** Bytes; beyond the sysctl limit where CAP_NET_ADMIN allows it. */
  readonly receiveBuffer?: number | undefined;
  readonly sendBuffer?: number | undefined;
  /** IP_MTU_DISCOVER or IPV6_MTU_DISCOVER, ip(7). */
  readonly pmtudisc?: 'do' | 'probe' | 'dont' | 'want' | undefined;
  /** Received descriptors carry the outer TOS or traffic class. */
  readonly receiveTos?: boolean | undefined;
  /** Interface that the socket is bound to. */
  readonly device?: string | undefined;
  /** The address need not exist yet. */
  readonly freebind?: boolean | undefined;
}

export interface UdpOptions extends SocketOptions {
  /** 0 lets the kernel choose. */
  readonly port: number;
  /** Several sockets of this user may have address and port; the kernel spreads flows over them (SO_REUSEPORT). */
  readonly reusePort?: boolean | undefined;
  /** Receive merged datagrams (UDP_GRO). */
  readonly gro?: boolean | undefined;
  /** Send UDP checksums, true by default; `UDP_SEGMENT` needs them. */
  readonly checksum?: boolean | undefined;
  /** Take IPv6 datagrams without checksum (RFC 6935); IPv4 always does. */
  readonly acceptZeroChecksum?: boolean | undefined;
  /** TTL or hop limit, 1..255. */
  readonly ttl?: number | undefined;
}

interface RawIpOptions extends SocketOptions {
  /** Protocol number of what the outer header carries: 4 IPv4, 41 IPv6. */
  readonly protocol: 4 | 41;
}

interface PacketOptions extends Pick<SocketOptions, 'receiveBuffer' | 'sendBuffer'> {
  readonly interface: string;
  /** Which frames come in: a program as `tcpdump -ddd` prints it. */
  readonly filter: string;
  /** Sockets of one group share the frames by flow (PACKET_FANOUT); a number that nobody else in this namespace has. */
  readonly group?: number | undefined;
}

/** An open socket; buffer sizes as the kernel counts them, about double of what was asked for. */
export interface RawIpSocket {
  readonly fd: number;
  readonly receiveBuffer: number;
  readonly sendBuffer: number;
}

export interface UdpSocket extends RawIpSocket {
  readonly port: number;
  readonly gro: boolean;
}

export type SocketKind = 'udp' | 'raw4' | 'raw6';

export interface SlotFailure {
  readonly slot: number;
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
}

export type Probe =
  | { readonly available: true }
  | { readonly available: false; readonly code: string; readonly errno: number; readonly syscall: string };

export interface HostFeatures {
  /** Several queues on one TAP. */
  readonly multiQueue: Probe;
  readonly tso: Probe;
  readonly uso: Probe;
  /** TUN_F_UDP_TUNNEL_GSO with a vnet header of 24 bytes; Linux ≥ 6.17. */
  readonly tunnelGso: Probe;
  readonly udpSegment: Probe;
  readonly udpGro: Probe;
  /** Socket buffers beyond the sysctl limit. */
  readonly rcvbufForce: Probe;
}

export interface Addon {
  /** Keeps a reference to `memory` and moves data in and out of it from now on. */
  attachMemory(memory: Uint8Array<SharedArrayBuffer>): void;

  /** Makes the multi-queue TAP, attaches to the persistent one of that name, or adds a queue to a running one. */
  openTap(options: TapOptions): Tap;
  /** Clears persistence: the TAP goes with its last descriptor. ENODEV when there is none. */
  deleteTap(options: Pick<TapOptions, 'name' | 'netns'>): void;
  /**
   * A queue of a TAP that takes superframes inside UDP tunnels, each behind VNET_TUNNEL_HEADER bytes; it goes with its
   * last descriptor. EINVAL before Linux 6.17.
   */
  openInjectionTap(options: Pick<TapOptions, 'name'>): number;
  /** What an interface does by itself, by the names of `ethtool -k`; ENODEV where there is none. */
  interfaceFeatures(name: string): string[];
  openUdp(options: UdpOptions): UdpSocket;
  /**
   * MTU of the route to an address of the socket's family in the namespace where the socket was opened, as the kernel
   * knows it (IP_MTU, ip(7); IPV6_MTU, RFC 3542 §11.4). Connects the socket, which therefore is for nothing else.
   * ENETUNREACH: there is no route.
   */
  pathMtu(fd: number, address: string): number;
  /**
   * One socket for both directions. Outgoing messages begin with the whole outer header; incoming ones do so on IPv4
   * only. The kernel fills in the IPv4 total length and header checksum (raw(7)).
   */
  openRawIp(options: RawIpOptions): RawIpSocket;

  /**
   * A socket for whole frames of a device, each behind VNET_HEADER bytes, which a slot takes as it takes a TAP. ENODEV: no
   * such device. ENOPROTOOPT before Linux 6.4.
   */
  openPacket(options: PacketOptions): number;
  /** Replaces the filter of a packet socket that this thread owns. */
  filterPackets(fd: number, filter: string): void;

  /** An eventfd; the opener signals, another thread attaches. */
  openWakeup(): number;
  /** Lets `wait` of this thread end when `fd` is signalled; `fd` stays its owner's. */
  attachWakeup(fd: number): void;
  signal(fd: number): void;

  /** How long `wait` of this thread looks again and again before it sleeps, where the last wait was as short; 0 at first. */
  setSpin(microseconds: number): void;

  /** Gives up ownership without closing; returns `fd`. */
  release(fd: number): number;
  close(fd: number): void;
  /** Another descriptor of the same socket, owned by this thread. */
  duplicate(fd: number): number;
  /** Gives a descriptor to the next program that this process executes; returns its number there, 64 or more. */
  bequeath(fd: number): number;
  /** Takes ownership of a descriptor that the program before this one has bequeathed; returns `fd`. */
  inherit(fd: number): number;

  /** Takes a queue of a TAP, or a packet socket, over into a slot below FIRST_SOCKET_SLOT. EBUSY when the slot is taken. */
  adoptTap(slot: number, fd: number): void;
  /** Takes a socket over into a slot from FIRST_SOCKET_SLOT on; without `receive` it only sends. */
  adoptSocket(slot: number, fd: number, kind: SocketKind, options?: { readonly receive?: boolean }): void;
  /** Closes the slot's descriptor and frees the slot. */
  drop(slot: number): void;
  /** Slots that can no longer be read, since the last call; they stay taken until dropped. */
  takeFailures(): SlotFailure[];
  /** Since the thread began: frames that a TAP could not deliver, pending ICMP errors that sockets reported. */
  errorCounts(): { readonly frames: number; readonly sockets: number };

  /** Blocks until a slot is readable, at most `timeout` ms (-1: without end); *_READY bits, 0 on timeout or a signal. */
  wait(timeout: number): number;
  /** Pauses TAPs and resumes them: `count` u32, a slot each and perhaps TAP_PAUSED. `wait` does not look at a paused one. */
  switchTaps(switches: number, count: number): number;
  /**
   * Reads from the slots that `wait` found readable, in turn, into a bump arena: each frame `headroom` behind a 64-byte
   * boundary. Ends at `max` frames, when less than `headroom + maxFrame` is left, or when all are drained.
   * Returns the number of RxFrame descriptors written.
   */
  receiveFrames(
    descriptors: number,
    max: number,
    arena: number,
    arenaEnd: number,
    headroom: number,
    maxFrame: number,
  ): number;
  /**
   * Receives at most `max` (never more than 64) messages from the sockets that `wait` found readable, the i-th at
   * `arena + i × stride + headroom`. Returns the number of RxDatagram descriptors written.
   */
  receiveDatagrams(
    descriptors: number,
    max: number,
    arena: number,
    stride: number,
    headroom: number,
    bufferLength: number,
  ): number;
  /**
   * Sends `count` TxMessages in order and writes the status of each: 0 or a positive errno. EFAULT: a gather entry or
   * the address reaches outside; EINVAL: no or more than 1024 entries, or a segment size or port on a raw socket;
   * ENODEV: empty slot; EAFNOSUPPORT, EDESTADDRREQ: wrong or no address; EAGAIN: no room, after at most 20 ms of
   * waiting in the whole call; else the kernel's. Returns how many were refused.
   */
  transmit(messages: number, count: number, iovs: number, iovTotal: number): number;

  /**
   * Maps the file over `[offset, offset + length)` of linear memory, in whole pages; made with mode 0600 if missing, and
   * cut or grown to `length`. `previousSize` is 0 for a new one. EAGAIN: another process or thread has it.
   */
  mapFile(offset: number, length: number, path: string): { readonly previousSize: number };

  /** Effective capabilities of the calling thread, bit n for capability n (linux/capability.h). */
  capabilities(): bigint;
  /** Gives up all capabilities of the calling thread, for good (PR_SET_NO_NEW_PRIVS). */
  dropCapabilities(): void;
  /** Narrows the calling thread's capabilities and bounding set to those in `mask`, for good. */
  keepCapabilities(mask: bigint): void;
  threadId(): number;

  /**
   * Sends one datagram to a Unix socket; a path that begins with `@` names an abstract one (unix(7)). EAGAIN: it is full,
   * ENOENT or ECONNREFUSED: nobody listens.
   */
  notify(path: string, text: string): void;

  /**
   * User id of who listens at a Unix stream socket, as this process' user namespace has it: SO_PEERCRED, which nobody can
   * forge. The path is as for `notify`. ECONNREFUSED: nobody listens, EAGAIN: too many wait there to be accepted.
   */
  listenerUser(path: string): number;

  /** What the host gives, tried on descriptors that are thrown away. */
  probe(): HostFeatures;
}

/** This thread's instance; throws when the addon has not been built. */
export function loadAddon(): Addon {
  return createRequire(import.meta.url)('#build/overweft.node') as Addon;
}
