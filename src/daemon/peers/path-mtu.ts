/**
 * What the underlay's paths really carry, found by pings that must not be fragmented.
 *
 * ICMP errors may be lost on the way, so only replies count: the largest size that is answered is the path's MTU. A
 * path on which not even the smallest is answered tells nothing, and the route's MTU stands.
 */
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import type { Tunnel } from '../../control/topology.ts';
import type { Address } from '../../net/address.ts';
import { RawSocket } from '../../phy/raw.ts';
import type { Controller } from '../controller.ts';
import { echoRequest, IP_HEADER, readEchoReply } from './echo.ts';
import type { Underlay } from './underlay.ts';

export interface PathMtu {
  readonly state: 'probed' | 'unanswered' | 'not-probed';
  /** Largest packet that was answered; null where none was. */
  readonly mtu: number | null;
  /** ISO 8601: since when it carries less than its route says; null: it does not. */
  readonly narrowSince: string | null;
}

/** Sizes tried together. */
const RUNGS = 16;

/** Smallest packet that is tried: what every IPv6 path must carry (RFC 8200 §5). */
const SMALLEST = 1280;
const ANSWER_MS = 400;
const TRIES = 3;
/** Paths looked at together. */
const PARALLEL = 16;
/** A peer that did not answer may only just be starting. */
const RETRY_MS = 30_000;
const FIRST_MS = 1_000;

/** One bit more than the process id, to be told from liveness probes. */
const identifier = (process.pid & 0xffff) ^ 0x8000;

export class PathMtus {
  readonly #settings: Config['pathMTU'];
  readonly #controller: Controller;
  readonly #underlay: Underlay;
  readonly #log: Logger;
  readonly #sockets = new Map<4 | 6, RawSocket>();
  readonly #results = new Map<string, PathMtu>();
  readonly #due = new Map<string, number>();
  /** Who waits for the reply to which sequence number. */
  readonly #awaited = new Map<number, (answered: boolean) => void>();
  #sequence = 0;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;

  constructor(settings: Config['pathMTU'], controller: Controller, underlay: Underlay, log: Logger) {
    this.#settings = settings;
    this.#controller = controller;
    this.#underlay = underlay;
    this.#log = log;
  }

  start(): void {
    if (!this.#settings.enabled) return;
    for (const family of [4, 6] as const) this.#open(family);
    if (this.#sockets.size === 0) return;
    this.#timer = setInterval(() => void this.#look(), FIRST_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
    for (const answer of this.#awaited.values()) answer(false);
  }

  of(remote: string): PathMtu {
    return this.#results.get(remote) ?? { state: 'not-probed', mtu: null, narrowSince: null };
  }

  #open(family: 4 | 6): void {
    try {
      const socket = RawSocket.open({ family, probe: true });
      socket.onPacket((packet) => {
        const echo = readEchoReply(family, packet);
        if (echo?.identifier === identifier) this.#awaited.get(echo.sequence)?.(true);
      });
      this.#sockets.set(family, socket);
    } catch {
      // Reported once for all probes, see probeFault.
    }
  }

  async #look(): Promise<void> {
    const { live } = this.#controller;
    if (!live || this.#busy) return;
    this.#busy = true;
    try {
      const now = performance.now();
      const tunnels = live.desired.tunnels.filter(({ isPreferred }) => isPreferred);
      this.#forget(tunnels);
      const due = tunnels.filter(({ remote }) => (this.#due.get(remote.text) ?? 0) <= now);
      for (let i = 0; i < due.length; i += PARALLEL) {
        await Promise.all(due.slice(i, i + PARALLEL).map((tunnel) => this.#measure(tunnel)));
      }
    } finally {
      this.#busy = false;
    }
  }

  #forget(tunnels: readonly Tunnel[]): void {
    const current = new Set(tunnels.map(({ remote }) => remote.text));
    for (const remote of this.#results.keys()) {
      if (current.has(remote)) continue;
      this.#results.delete(remote);
      this.#due.delete(remote);
      this.#controller.pathMtu(remote, undefined);
    }
  }

  async #measure({ local, remote }: Tunnel): Promise<void> {
    const route = this.#underlay.mtu(remote);
    const mtu = await this.#largest(local, remote, route);
    const before = this.#results.get(remote.text);
    this.#results.set(
      remote.text,
      mtu === undefined
        ? { state: 'unanswered', mtu: null, narrowSince: before?.narrowSince ?? null }
        : {
            state: 'probed',
            mtu,
            narrowSince: mtu < route ? (before?.narrowSince ?? new Date().toISOString()) : null,
          },
    );
    const pause =
      mtu === undefined ? Math.min(RETRY_MS, this.#settings.interval * 1000) : this.#settings.interval * 1000;
    this.#due.set(remote.text, performance.now() + pause);
    // A path that fell silent keeps what it last showed.
    if (mtu === undefined || before?.mtu === mtu) return;
    if (mtu < route)
      this.#log.warn({ remote: remote.text, route, mtu }, 'the path carries less than its route says');
    this.#controller.pathMtu(remote.text, mtu < route ? mtu : undefined);
  }

  /** Largest size from SMALLEST to `most` that is answered; undefined when none is. */
  async #largest(local: Address, remote: Address, most: number): Promise<number | undefined> {
    if (await this.#passes(local, remote, most)) return most;
    let low = Math.min(SMALLEST, most);
    if (low === most || !(await this.#passes(local, remote, low))) return undefined;
    // Rungs of a ladder together, then those between the last that bore and the first that did not.
    for (let high = most; high - low > 1; ) {
      const rungs = ladder(low, high);
      const borne = await Promise.all(rungs.map((size) => this.#passes(local, remote, size)));
      const best = borne.lastIndexOf(true);
      high = rungs[best + 1] ?? high;
      low = rungs[best] ?? low;
    }
    return low;
  }

  async #passes(local: Address, remote: Address, size: number): Promise<boolean> {
    const socket = this.#sockets.get(remote.family);
    if (!socket) return false;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      this.#sequence = (this.#sequence + 1) & 0xffff;
      const echo = { identifier, sequence: this.#sequence };
      const answered = this.#answer(echo.sequence);
      const packet = echoRequest(local, remote, echo, size - IP_HEADER[remote.family]);
      // Refused by the kernel: longer than the device takes.
      if (await socket.send(packet, remote.text)) return false;
      if (await answered) return true;
    }
    return false;
  }

  #answer(sequence: number): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (answered: boolean) => {
        clearTimeout(timer);
        this.#awaited.delete(sequence);
        resolve(answered);
      };
      const timer = setTimeout(() => finish(false), ANSWER_MS);
      this.#awaited.set(sequence, finish);
    });
  }
}

/** At most RUNGS sizes between two, evenly apart, both ends left out. */
export function ladder(low: number, high: number): number[] {
  const step = Math.max(1, Math.ceil((high - low) / (RUNGS + 1)));
  const rungs: number[] = [];
  for (let size = low + step; size < high; size += step) rungs.push(size);
  return rungs;
}
