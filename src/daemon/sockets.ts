/**
 * Underlay sockets: those that receive, and those that send.
 *
 *     slot  1024           receive VXLAN over IPv4, bound to its port
 *           1025 … 1056    send over IPv4, a source port each (entropy)
 *           1057 …         the next kind or family, opened when a tunnel first needs it
 */
import {
  CONTROL_SOCKET_KINDS,
  CONTROL_SOCKET_PORTS,
  FIRST_SOCKET_SLOT,
  MAX_SOCKETS,
} from '../../asm/layout/memory.ts';
import {
  SOCKET_GENEVE,
  SOCKET_IPIP4,
  SOCKET_IPIP6_4,
  SOCKET_IPIP6_6,
  SOCKET_NONE,
  SOCKET_VXLAN,
} from '../../asm/layout/tables.ts';
import type { Config, Encapsulation } from '../config/schema.ts';
import type { Tunnel } from '../control/topology.ts';
import type { Memory } from '../dataplane/memory.ts';
import type { WorkerPool } from '../dataplane/pool.ts';
import type { Address } from '../net/address.ts';
import type { Addon, SocketKind } from '../phy/addon.ts';

/** Source ports to send from (RFC 7348 §5: the dynamic range). */
const FIRST_SOURCE_PORT = 49_152;
const LAST_SOURCE_PORT = 65_535;

/** An open socket. */
export interface UnderlaySocket {
  readonly slot: number;
  readonly purpose: Encapsulation | 'send';
  readonly family: 4 | 6;
  readonly address: string;
  /** 0 for raw sockets. */
  readonly port: number;
  readonly receiveBuffer: number;
  readonly gro: boolean;
}

/** Slots to send from: a power of two of them. */
export interface SendSlots {
  readonly slot: number;
  readonly slots: number;
}

interface Pending {
  readonly slot: number;
  /** One for each worker, or one for all. */
  readonly fds: readonly number[];
  readonly kind: SocketKind;
  readonly receive: boolean;
}

export class UnderlaySockets {
  readonly #addon: Addon;
  readonly #memory: Memory;
  readonly #pool: WorkerPool;
  readonly #config: Config;
  readonly #gro: boolean;
  readonly #open: UnderlaySocket[] = [];
  readonly #send = new Map<string, SendSlots>();
  readonly #receiving = new Set<string>();
  #pending: Pending[] = [];
  #nextSlot = FIRST_SOCKET_SLOT;

  constructor(addon: Addon, memory: Memory, pool: WorkerPool, config: Config, gro: boolean) {
    this.#addon = addon;
    this.#memory = memory;
    this.#pool = pool;
    this.#config = config;
    this.#gro = gro;
  }

  get list(): readonly UnderlaySocket[] {
    return this.#open;
  }

  /** Opens what these tunnels need and is not open yet. */
  open(tunnels: readonly Tunnel[]): void {
    const { underlay, encapsulation } = this.#config;
    // A node without peers listens all the same: its peers may know of it first.
    for (const local of underlay.addresses) this.#ensure(encapsulation, local);
    for (const { encapsulation, local } of tunnels) this.#ensure(encapsulation, local);
  }

  sendSlots({ encapsulation, family }: Pick<Tunnel, 'encapsulation' | 'family'>): SendSlots {
    const slots = this.#send.get(encapsulation === 'ipip' ? `raw/${family}` : `udp/${family}`);
    if (!slots) throw new TypeError(`no socket sends ${encapsulation} over IPv${family}`);
    return slots;
  }

  /** Hands what was opened to the workers; to be called when tables are live. */
  async handOver(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    const { workers } = this.#config;
    for (const { slot, fds, kind, receive } of pending) {
      const [first = -1] = fds;
      const isShared = fds.length < workers;
      const own = isShared
        ? [first, ...Array.from({ length: workers - 1 }, () => this.#addon.duplicate(first))]
        : fds;
      for (const [index, fd] of own.entries()) {
        await this.#pool.ask(index, {
          type: 'adopt-socket',
          slot,
          fd: this.#addon.release(fd),
          kind,
          // Two readers of one socket would put its datagrams out of order.
          receive: receive && (!isShared || index === slot % workers),
        });
      }
    }
  }

  #ensure(encapsulation: Encapsulation, local: Address): void {
    const { family } = local;
    const name = `${encapsulation}/${family}`;
    if (this.#receiving.has(name)) return;
    if (encapsulation === 'ipip') this.#openRaw(local);
    else this.#openUdp(encapsulation, local);
    this.#receiving.add(name);
  }

  #openUdp(encapsulation: 'vxlan' | 'geneve', local: Address): void {
    const { ports, underlay } = this.#config;
    const kind = encapsulation === 'vxlan' ? SOCKET_VXLAN : SOCKET_GENEVE;
    this.#place(local, ports[encapsulation], encapsulation, kind, true);
    if (this.#send.has(`udp/${local.family}`)) return;
    const slot = this.#nextSlot;
    let port = FIRST_SOURCE_PORT;
    for (let opened = 0; opened < underlay.entropyPorts; port++) {
      if (port > LAST_SOURCE_PORT)
        throw new Error(`no ${underlay.entropyPorts} free UDP ports from ${FIRST_SOURCE_PORT} on`);
      try {
        this.#place(local, port, 'send', SOCKET_NONE, false);
        opened++;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      }
    }
    this.#send.set(`udp/${local.family}`, { slot, slots: underlay.entropyPorts });
  }

  #place(
    local: Address,
    port: number,
    purpose: UnderlaySocket['purpose'],
    kind: number,
    receive: boolean,
  ): void {
    const { underlay, workers } = this.#config;
    // By addresses and ports, of which the source's tells inner flows apart: each flow stays with one worker.
    const count = receive ? workers : 1;
    const open = () =>
      this.#addon.openUdp({
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
        reusePort: count > 1,
      });
    const sockets = Array.from({ length: count }, open);
    const [socket] = sockets as [(typeof sockets)[0]];
    this.#add(
      { ...socket, purpose, family: local.family, address: local.text },
      sockets.map(({ fd }) => fd),
      kind,
      'udp',
      receive,
    );
  }

  #openRaw(local: Address): void {
    const { underlay } = this.#config;
    const { family } = local;
    const slot = this.#nextSlot;
    for (const protocol of [4, 41] as const) {
      const socket = this.#addon.openRawIp({
        address: local.text,
        protocol,
        pmtudisc: 'do',
        receiveTos: true,
        receiveBuffer: underlay.bufferBytes,
        sendBuffer: underlay.bufferBytes,
        device: underlay.interface,
        freebind: true,
      });
      const kind = family === 4 ? SOCKET_IPIP4 : protocol === 4 ? SOCKET_IPIP6_4 : SOCKET_IPIP6_6;
      const facts = { purpose: 'ipip', family, address: local.text, port: 0, gro: false } as const;
      this.#add({ ...socket, ...facts }, [socket.fd], kind, family === 4 ? 'raw4' : 'raw6', true);
    }
    this.#send.set(`raw/${family}`, { slot, slots: 1 });
  }

  #add(
    socket: Omit<UnderlaySocket, 'slot'>,
    fds: readonly number[],
    kind: number,
    socketKind: SocketKind,
    receive: boolean,
  ): void {
    const slot = this.#nextSlot++;
    if (slot >= FIRST_SOCKET_SLOT + MAX_SOCKETS)
      throw new Error(`more than ${MAX_SOCKETS} underlay sockets are needed`);
    const { purpose, family, address, port, receiveBuffer, gro } = socket;
    this.#open.push({ slot, purpose, family, address, port, receiveBuffer, gro });
    const index = slot - FIRST_SOCKET_SLOT;
    this.#memory.view.setUint8(CONTROL_SOCKET_KINDS + index, kind);
    this.#memory.view.setUint16(CONTROL_SOCKET_PORTS + index * 2, port, true);
    this.#pending.push({ slot, fds, kind: socketKind, receive });
  }
}
