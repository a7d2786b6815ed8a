/**
 * Underlay sockets: those that receive, and those that send.
 *
 *     slot  8192 … 8199    receive VXLAN over IPv4, all bound to its port: one a queue
 *           8200 … 8231    send over IPv4, a source port each (entropy)
 *           8232 …         the next kind or family, opened when a tunnel first needs it
 */
import {
  CONTROL_SOCKET_KINDS,
  CONTROL_SOCKET_PORTS,
  DIRECT_SLOT,
  FIRST_SOCKET_SLOT,
  MAX_SOCKETS,
} from '../../../asm/layout/memory.ts';
import {
  SOCKET_GENEVE,
  SOCKET_IPIP4,
  SOCKET_IPIP6_4,
  SOCKET_IPIP6_6,
  SOCKET_NONE,
  SOCKET_VXLAN,
} from '../../../asm/layout/tables.ts';
import type { Config, Encapsulation } from '../../config/schema.ts';
import type { Tunnel } from '../../control/topology.ts';
import type { Memory } from '../../dataplane/memory.ts';
import type { WorkerPool } from '../../dataplane/pool.ts';
import type { Address } from '../../net/address.ts';
import type { Addon, SocketKind, UdpSocket } from '../../phy/addon.ts';
import type { SocketSource, UdpEncapsulation } from './socket-source.ts';

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
  readonly #source: SocketSource;
  readonly #open: UnderlaySocket[] = [];
  readonly #send = new Map<string, SendSlots>();
  readonly #receiving = new Set<string>();
  #pending: Pending[] = [];
  #nextSlot = FIRST_SOCKET_SLOT;

  constructor(addon: Addon, memory: Memory, pool: WorkerPool, config: Config, source: SocketSource) {
    this.#addon = addon;
    this.#memory = memory;
    this.#pool = pool;
    this.#config = config;
    this.#source = source;
  }

  get list(): readonly UnderlaySocket[] {
    return this.#open;
  }

  /** Opens what these tunnels need and is not open yet. */
  open(tunnels: readonly Tunnel[]): void {
    const { underlay, encapsulation } = this.#config;
    // A node without peers listens all the same: its peers may know of it first.
    for (const local of underlay.addresses) this.#ensure(encapsulation, local);
    for (const { encapsulation, local } of tunnels)
      if (encapsulation !== 'direct') this.#ensure(encapsulation, local);
  }

  sendSlots({ encapsulation, family }: Pick<Tunnel, 'encapsulation' | 'family'>): SendSlots {
    if (encapsulation === 'direct') return { slot: DIRECT_SLOT, slots: 1 };
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

  #openUdp(encapsulation: UdpEncapsulation, local: Address): void {
    const { family, text: address } = local;
    const kind = encapsulation === 'vxlan' ? SOCKET_VXLAN : SOCKET_GENEVE;
    const receivers = this.#source.receivers(encapsulation, local);
    const [first] = receivers;
    if (!first) throw new TypeError(`no socket receives ${encapsulation} over IPv${family}`);
    const fds = receivers.map(({ fd }) => fd);
    const senders = this.#send.has(`udp/${family}`) ? [] : this.#senders(local, fds);
    const { workers } = this.#config;
    for (let at = 0; at < fds.length; at += workers) {
      const queue = fds.slice(at, at + workers);
      this.#add({ ...first, purpose: encapsulation, family, address }, queue, kind, 'udp', true);
    }
    if (senders.length === 0) return;
    const slot = this.#nextSlot;
    for (const socket of senders)
      this.#add({ ...socket, purpose: 'send', family, address }, [socket.fd], SOCKET_NONE, 'udp', false);
    this.#send.set(`udp/${family}`, { slot, slots: senders.length });
  }

  /** What was opened before goes where these cannot be had: the next try begins anew. */
  #senders(local: Address, before: readonly number[]): readonly UdpSocket[] {
    try {
      return this.#source.senders(local);
    } catch (error) {
      for (const fd of before) this.#addon.close(fd);
      throw error;
    }
  }

  #openRaw(local: Address): void {
    const { family } = local;
    const slot = this.#nextSlot;
    for (const protocol of [4, 41] as const) {
      const socket = this.#source.raw(protocol, local);
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
