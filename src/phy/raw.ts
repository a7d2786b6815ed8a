/**
 * Raw ICMP sockets from the npm package `raw-socket`, for probes only: packets never come this way.
 *
 * The package is built for one Node ABI and loads in the main thread only, so it may be absent: then opening says why.
 */
import { createRequire } from 'node:module';

/** The part of `raw-socket` in use; it brings no types. */
interface RawModule {
  readonly AddressFamily: { readonly IPv4: number; readonly IPv6: number };
  createSocket(options: { protocol: number; addressFamily: number; bufferSize: number }): RawModuleSocket;
}

interface RawModuleSocket {
  on(event: 'message', listener: (packet: Buffer, source: string) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  setOption(level: number, option: number, value: Buffer | number, length?: number): void;
  send(
    packet: Buffer,
    offset: number,
    length: number,
    address: string,
    sent: (error: Error | null, bytes: number) => void,
  ): void;
  close(): void;
}

export interface RawSocketOptions {
  readonly family: 4 | 6;
  /** The outgoing packet begins with its IP header (IP_HDRINCL, IPV6_HDRINCL). */
  readonly headerIncluded?: boolean;
  /** Don't Fragment, whatever the kernel believes of the path (IP_PMTUDISC_PROBE). */
  readonly probe?: boolean;
}

const ICMP = 1;
const ICMPV6 = 58;
const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const IP_HDRINCL = 3;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
const IPV6_HDRINCL = 36;
const PMTUDISC_PROBE = 3;

/** Echo replies alone come in: the main thread is not to be woken by every ICMP packet of the host. */
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const ICMP6_FILTER = 1;
const ECHO_REPLY = 0;
const ECHO_REPLY6 = 129;

const LARGEST_PACKET = 65_535;

/** An ICMP or ICMPv6 socket that receives echo replies. Received IPv4 packets begin with the IP header, IPv6 ones with ICMPv6 (raw(7)). */
export class RawSocket {
  readonly #socket: RawModuleSocket;

  private constructor(socket: RawModuleSocket) {
    this.#socket = socket;
  }

  /** @throws where the package is absent, or without CAP_NET_RAW */
  static open({ family, headerIncluded = false, probe = false }: RawSocketOptions): RawSocket {
    const raw = createRequire(import.meta.url)('raw-socket') as RawModule;
    const socket = raw.createSocket({
      protocol: family === 4 ? ICMP : ICMPV6,
      addressFamily: family === 4 ? raw.AddressFamily.IPv4 : raw.AddressFamily.IPv6,
      bufferSize: LARGEST_PACKET,
    });
    const level = family === 4 ? IPPROTO_IP : IPPROTO_IPV6;
    if (headerIncluded) socket.setOption(level, family === 4 ? IP_HDRINCL : IPV6_HDRINCL, 1);
    if (probe) socket.setOption(level, family === 4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, PMTUDISC_PROBE);
    filterEchoReplies(socket, family);
    return new RawSocket(socket);
  }

  onPacket(listener: (packet: Buffer, source: string) => void): void {
    this.#socket.on('message', listener);
    // A pending ICMP error ends one call, not the socket.
    this.#socket.on('error', () => {});
  }

  /** @returns the error with which the kernel refused the packet, if it did */
  send(packet: Buffer, address: string): Promise<Error | undefined> {
    return new Promise((resolve) => {
      this.#socket.send(packet, 0, packet.length, address, (error) => resolve(error ?? undefined));
    });
  }

  close(): void {
    this.#socket.close();
  }
}

/** A set bit blocks its type (linux/icmp.h, RFC 3542 §3.2). */
function filterEchoReplies(socket: RawModuleSocket, family: 4 | 6): void {
  const types = new Uint32Array(family === 4 ? 1 : 8).fill(0xffffffff);
  const type = family === 4 ? ECHO_REPLY : ECHO_REPLY6;
  types[type >> 5] = ~(1 << (type & 31));
  const filter = Buffer.from(types.buffer);
  if (family === 4) socket.setOption(SOL_RAW, ICMP_FILTER, filter, filter.length);
  else socket.setOption(ICMPV6, ICMP6_FILTER, filter, filter.length);
}
