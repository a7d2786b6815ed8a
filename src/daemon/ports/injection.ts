/**
 * For which tunnels the node's kernel splits superframes.
 *
 * Nothing is believed unseen. A tunnel is injected into when the device behind its route splits what is inside UDP
 * tunnels, the kernel has understood a superframe that was injected for this node itself, and a ping that was injected
 * has come back from the peer. It is asked again and again, and when pings are answered by other ways only, the data
 * path splits as it did.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import type { Tunnel } from '../../control/topology.ts';
import type { WorkerPool } from '../../dataplane/pool.ts';
import { ipQuery } from '../../host/iproute.ts';
import type { Address } from '../../net/address.ts';
import type { Addon } from '../../phy/addon.ts';
import { RawSocket } from '../../phy/raw.ts';
import type { Controller, Live } from '../controller.ts';
import { type Echo, echoRequestIp, readEchoReply } from '../peers/echo.ts';
import { localSuperframe, packetFrame } from './injection-frames.ts';
import { InjectionTap, injectionDevice } from './injection-tap.ts';
import type { UnderlaySockets } from './sockets.ts';

export interface InjectionState {
  readonly used: boolean;
  /** Why, for people. */
  readonly reason: string;
}

const FIRST_MS = 1_000;
const AGAIN_MS = 30_000;
const ANSWER_MS = 500;
const TRIES = 3;

/** Two bits more than the process id, to be told from the probes of liveness and path MTU. */
const identifier = (process.pid & 0xffff) ^ 0x4000;

export interface InjectionParts {
  readonly addon: Addon;
  readonly pool: WorkerPool;
  readonly config: Config;
  readonly controller: Controller;
  readonly sockets: UnderlaySockets;
  readonly log: Logger;
  /** Offloads allow it. */
  readonly isWanted: boolean;
}

export class Injection {
  readonly #parts: InjectionParts;
  readonly #states = new Map<string, InjectionState>();
  readonly #raw = new Map<4 | 6, RawSocket>();
  /** Families in which the kernel has understood a superframe. */
  readonly #understood = new Map<4 | 6, string | undefined>();
  readonly #due = new Map<string, number>();
  readonly #awaited = new Map<number, () => void>();
  #tap: InjectionTap | undefined;
  /** Why there is none. */
  #without = 'not probed yet';
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #sequence = 0;

  constructor(parts: InjectionParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    const { addon, pool, config, log, isWanted } = this.#parts;
    if (!isWanted) return;
    try {
      this.#tap = await InjectionTap.open(addon, pool, config.node, config.workers);
      for (const family of [4, 6] as const) {
        const socket = RawSocket.open({ family, headerIncluded: true });
        socket.onPacket((packet) => {
          const echo = readEchoReply(family, packet);
          if (echo?.identifier === identifier) this.#awaited.get(echo.sequence)?.();
        });
        this.#raw.set(family, socket);
      }
    } catch (error) {
      this.#without = (error as Error).message;
      log.warn({ err: error }, 'superframes are split by the data path: the injection TAP cannot be had');
      return;
    }
    this.#timer = setInterval(() => void this.#look(), FIRST_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const socket of this.#raw.values()) socket.close();
    for (const answered of this.#awaited.values()) answered();
  }

  of(tunnel: string): InjectionState {
    return this.#states.get(tunnel) ?? { used: false, reason: this.#without };
  }

  async #look(): Promise<void> {
    const { controller, log } = this.#parts;
    const { live } = controller;
    if (!live || this.#busy) return;
    this.#busy = true;
    try {
      const tunnels = live.desired.tunnels.filter(({ isPreferred }) => isPreferred);
      this.#forget(tunnels);
      for (const tunnel of tunnels) {
        const now = performance.now();
        if ((this.#due.get(tunnel.key) ?? 0) > now) continue;
        this.#due.set(tunnel.key, now + AGAIN_MS);
        const fault = await this.#fault(tunnel, live);
        const used = fault === undefined;
        const before = this.#states.get(tunnel.key);
        this.#states.set(tunnel.key, { used, reason: fault ?? 'an injected probe has come through' });
        if (before?.used && !used)
          log.warn({ tunnel: tunnel.key, reason: fault }, 'superframes are split by the data path again');
        controller.injected(tunnel.key, used);
      }
    } catch (error) {
      log.warn({ err: error }, 'injection cannot be probed');
    } finally {
      this.#busy = false;
    }
  }

  #forget(tunnels: readonly Tunnel[]): void {
    const current = new Set(tunnels.map(({ key }) => key));
    for (const key of this.#states.keys()) {
      if (current.has(key)) continue;
      this.#states.delete(key);
      this.#due.delete(key);
      this.#parts.controller.injected(key, false);
    }
  }

  /** Why superframes must not be injected for this tunnel; undefined when they may. */
  async #fault(tunnel: Tunnel, live: Live): Promise<string | undefined> {
    if (tunnel.encapsulation === 'ipip') return 'IPIP has no UDP header';
    if (tunnel.encapsulation === 'direct') return 'superframes leave whole without it';
    return (
      (await this.#deviceFault(tunnel)) ??
      (await this.#kernelFault(tunnel.local)) ??
      (await this.#pathFault(tunnel, live))
    );
  }

  /** As the kernel will route what comes in through the TAP. */
  async #deviceFault({ local, remote }: Tunnel): Promise<string | undefined> {
    const { addon, config } = this.#parts;
    const [{ dev = '' } = {}] = await ipQuery([
      `route get ${remote.text} from ${local.text} iif ${injectionDevice}`,
    ]);
    const device = String(dev);
    if (device === '') return 'the kernel does not forward to the peer';
    const bound = config.underlay.interface;
    if (bound !== undefined && device !== bound) return `the route leads through ${device}, not ${bound}`;
    if (config.offloads.tunnelGso === 'on') return undefined;
    const feature = config.underlay.outerChecksum
      ? 'tx-udp_tnl-csum-segmentation'
      : 'tx-udp_tnl-segmentation';
    return addon.interfaceFeatures(device).includes(feature)
      ? undefined
      : `${device} does not have ${feature}`;
  }

  async #kernelFault(local: Address): Promise<string | undefined> {
    const { family } = local;
    if (!this.#understood.has(family)) this.#understood.set(family, await this.#localFault(local));
    return this.#understood.get(family);
  }

  /** Injects a superframe for this very node and looks at what arrives. */
  async #localFault(local: Address): Promise<string | undefined> {
    const socket = createSocket(local.family === 4 ? 'udp4' : 'udp6');
    try {
      socket.bind(0, local.text);
      await once(socket, 'listening', { signal: AbortSignal.timeout(ANSWER_MS) });
      const { frame, payload } = localSuperframe(this.#parts.config, local, socket.address().port);
      const arrival = once(socket, 'message', { signal: AbortSignal.timeout(ANSWER_MS) });
      this.#tap?.write(frame);
      const [message] = (await arrival) as [Buffer];
      return message.length === payload
        ? undefined
        : `the kernel made ${message.length} bytes of an injected superframe of ${payload}`;
    } catch (error) {
      return `the kernel does not take an injected superframe: ${(error as Error).message}`;
    } finally {
      socket.close();
    }
  }

  /** Pings the peer inside the tunnel: first as any packet goes, then injected. */
  async #pathFault(tunnel: Tunnel, { desired, tunnels }: Live): Promise<string | undefined> {
    const { config, sockets } = this.#parts;
    const target = tunnel.peer.probes.find(({ family }) => this.#source(desired, family));
    const source = target && this.#source(desired, target.family);
    if (!target || !source) return 'the peer has no address that answers pings';
    const slot = tunnels.get(tunnel.key)?.slot;
    const port = sockets.list.find((socket) => socket.slot === slot)?.port ?? 0;
    const raw = this.#raw.get(target.family);
    const ways = [
      ['the peer does not answer pings', (packet: Buffer) => raw?.send(packet, target.text)],
      [
        'injected packets do not come through',
        (packet: Buffer) =>
          this.#tap?.write(packetFrame(tunnel, config, port, desired.node.routerMac, packet)),
      ],
    ] as const;
    for (const [fault, send] of ways) {
      const isAnswered = await this.#answered((echo) => send(echoRequestIp(source, target, echo)));
      if (!isAnswered) return fault;
    }
    return undefined;
  }

  #source({ node }: Live['desired'], family: 4 | 6): Address | undefined {
    return node.podNetworkAddresses.find((address) => address.family === family);
  }

  async #answered(send: (echo: Echo) => unknown): Promise<boolean> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      this.#sequence = (this.#sequence + 1) & 0xffff;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const sequence = this.#sequence;
      this.#awaited.set(sequence, () => resolve(true));
      const timer = setTimeout(() => resolve(false), ANSWER_MS);
      try {
        await send({ identifier, sequence });
        if (await promise) return true;
      } finally {
        clearTimeout(timer);
        this.#awaited.delete(sequence);
      }
    }
    return false;
  }
}
