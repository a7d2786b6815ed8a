/**
 * Sockets of the underlay as the configuration wants them, before they have slots.
 *
 *     receivers   UDP, as many a worker as a TAP has queues, all on the tunnel's port; the kernel spreads flows over them
 *     senders     UDP, one a source port, so that the network spreads flows, too
 *     raw         IPIP, both directions
 */
import type { Config } from '../../config/schema.ts';
import type { Address } from '../../net/address.ts';
import type { Addon, RawIpSocket, UdpSocket } from '../../phy/addon.ts';

export type UdpEncapsulation = 'vxlan' | 'geneve';

/** Source ports to send from (RFC 7348 §5: the dynamic range). */
const FIRST_SOURCE_PORT = 49_152;
const LAST_SOURCE_PORT = 65_535;

/** Where a node's underlay sockets come from. */
export interface SocketSource {
  /** Queue by queue, in each one a worker. */
  receivers(encapsulation: UdpEncapsulation, local: Address): readonly UdpSocket[];
  senders(local: Address): readonly UdpSocket[];
  /** @param protocol number of what the outer header carries */
  raw(protocol: 4 | 41, local: Address): RawIpSocket;
}

/** Opens them in the network namespace of this process. */
export class OpenedHere implements SocketSource {
  readonly #addon: Addon;
  readonly #config: Config;
  readonly #gro: boolean;

  /** @param gro whether received datagrams come merged */
  constructor(addon: Addon, config: Config, gro: boolean) {
    this.#addon = addon;
    this.#config = config;
    this.#gro = gro;
  }

  receivers(encapsulation: UdpEncapsulation, local: Address): UdpSocket[] {
    const { ports, workers, queues } = this.#config;
    const opened: UdpSocket[] = [];
    // Sockets that share a port would share it with those of another daemon, too, and each get half of what arrives.
    this.#addon.close(this.#open(local, ports[encapsulation], 'alone').fd);
    try {
      while (opened.length < workers * queues) opened.push(this.#open(local, ports[encapsulation], 'shared'));
    } catch (error) {
      for (const { fd } of opened) this.#addon.close(fd);
      throw error;
    }
    return opened;
  }

  senders(local: Address): UdpSocket[] {
    const { entropyPorts } = this.#config.underlay;
    const opened: UdpSocket[] = [];
    for (let port = FIRST_SOURCE_PORT; opened.length < entropyPorts; port++) {
      if (port > LAST_SOURCE_PORT)
        throw new Error(`no ${entropyPorts} free UDP ports from ${FIRST_SOURCE_PORT} on`);
      try {
        opened.push(this.#open(local, port));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      }
    }
    return opened;
  }

  raw(protocol: 4 | 41, local: Address): RawIpSocket {
    const { underlay } = this.#config;
    return this.#addon.openRawIp({
      address: local.text,
      protocol,
      pmtudisc: 'do',
      receiveTos: true,
      receiveBuffer: underlay.bufferBytes,
      sendBuffer: underlay.bufferBytes,
      device: underlay.interface,
      freebind: true,
    });
  }

  /** @param receives whether its port is to be shared with others; otherwise it only sends */
  #open(local: Address, port: number, receives?: 'alone' | 'shared'): UdpSocket {
    const { underlay } = this.#config;
    const receive = receives !== undefined;
    return this.#addon.openUdp({
      address: local.text,
      port,
      gro: receive && this.#gro,
      checksum: underlay.outerChecksum,
      acceptZeroChecksum: underlay.acceptZeroChecksumIPv6,
      ttl: underlay.ttl,
      pmtudisc: 'do',
      receiveTos: receive,
      // A socket that only sends needs no room for what strays in.
      receiveBuffer: receive ? underlay.bufferBytes : 4096,
      sendBuffer: underlay.bufferBytes,
      device: underlay.interface,
      // The address may come, or come back, later than this daemon.
      freebind: true,
      // By addresses and ports, of which the source's tells inner flows apart: each flow stays with one worker.
      reusePort: receives === 'shared',
    });
  }
}
