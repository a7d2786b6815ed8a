/**
 * Which peers are alive: pinged inside the tunnel, and believed when anything arrives through it.
 *
 * A peer is dead only when neither replies nor traffic have come for the timeout. Where pings cannot be sent, silence
 * proves nothing and the peer is unknown.
 */
import type { Logger } from 'pino';
import { TUNNEL_RX_PACKETS } from '../../../asm/layout/tables.ts';
import type { Config } from '../../config/schema.ts';
import type { Peer } from '../../control/topology.ts';
import type { CounterRows } from '../../dataplane/counters.ts';
import type { Address } from '../../net/address.ts';
import { RawSocket } from '../../phy/raw.ts';
import type { Controller, Live } from '../controller.ts';
import { echoRequestIp, readEchoReply } from './echo.ts';

export interface PeerLiveness {
  readonly state: 'alive' | 'dead' | 'unknown';
  /** Seconds since a reply or a packet; null: never. */
  readonly lastSeenSeconds: number | null;
  /** Of the last reply; null: none yet. */
  readonly roundTripMs: number | null;
  /** No ping has been answered for the timeout, whatever else arrives. */
  readonly isSilent: boolean;
}

interface Record {
  /** When it was first looked at, ms. */
  readonly since: number;
  seen: number | undefined;
  roundTripMs: number | undefined;
  /** When a ping was last answered, or first sent, ms. */
  answered: number | undefined;
  received: bigint;
  /** Pings are on their way since then, without any answer. */
  probed: boolean;
  readonly sent: Map<number, number>;
  state: PeerLiveness['state'];
}

const identifier = process.pid & 0xffff;

export class Liveness {
  readonly #settings: Config['liveness'];
  readonly #controller: Controller;
  readonly #counters: CounterRows;
  readonly #log: Logger;
  readonly #records = new Map<string, Record>();
  readonly #sockets = new Map<4 | 6, RawSocket>();
  /** Peer that each pod network address belongs to. */
  #owners = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  #sequence = 0;

  constructor(settings: Config['liveness'], controller: Controller, counters: CounterRows, log: Logger) {
    this.#settings = settings;
    this.#controller = controller;
    this.#counters = counters;
    this.#log = log;
  }

  start(): void {
    if (!this.#settings.enabled) return;
    for (const family of [4, 6] as const) this.#open(family);
    this.#timer = setInterval(() => this.#tick(), this.#settings.interval * 1000);
    this.#tick();
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  of(peer: string): PeerLiveness {
    const record = this.#records.get(peer);
    if (!record) return { state: 'unknown', lastSeenSeconds: null, roundTripMs: null, isSilent: false };
    const age = record.seen === undefined ? null : (performance.now() - record.seen) / 1000;
    return {
      state: record.state,
      lastSeenSeconds: age === null ? null : Math.round(age * 10) / 10,
      roundTripMs: record.roundTripMs === undefined ? null : Math.round(record.roundTripMs * 1000) / 1000,
      isSilent: this.isSilent(peer),
    };
  }

  /** Whether pings have been sent for the timeout and none was answered. What arrives beside is no answer. */
  isSilent(peer: string): boolean {
    const answered = this.#records.get(peer)?.answered;
    return answered !== undefined && performance.now() - answered > this.#settings.timeout * 1000;
  }

  #open(family: 4 | 6): void {
    try {
      const socket = RawSocket.open({ family, headerIncluded: true });
      socket.onPacket((packet, source) => this.#reply(family, packet, source));
      this.#sockets.set(family, socket);
    } catch {
      // Reported once for all probes, see probeFault: liveness then goes by traffic alone.
    }
  }

  #tick(): void {
    const { live } = this.#controller;
    if (!live) return;
    const now = performance.now();
    const { peers } = live.desired;
    this.#owners = new Map(peers.flatMap(({ name, probes }) => probes.map(({ text }) => [text, name])));
    for (const name of this.#records.keys()) {
      if (!peers.some((peer) => peer.name === name)) this.#records.delete(name);
    }
    for (const peer of peers) {
      const received = this.#received(peer, live);
      const record = this.#records.get(peer.name) ?? freshRecord(now, received);
      this.#records.set(peer.name, record);
      if (received !== record.received) record.seen = now;
      record.received = received;
      this.#judge(peer.name, record, now);
      for (const target of peer.probes)
        this.#probe(live.desired.node.podNetworkAddresses, target, record, now);
    }
  }

  #received({ name }: Peer, { desired, tunnels }: Live): bigint {
    return desired.tunnels
      .filter(({ peer }) => peer.name === name)
      .reduce((sum, { key }) => {
        const facts = tunnels.get(key);
        return facts ? sum + this.#counters.read(facts.number, TUNNEL_RX_PACKETS) : sum;
      }, 0n);
  }

  #judge(name: string, record: Record, now: number): void {
    const silence = now - (record.seen ?? record.since);
    const before = record.state;
    if (record.seen !== undefined && silence <= this.#settings.timeout * 1000) record.state = 'alive';
    else if (record.probed && silence > this.#settings.timeout * 1000) record.state = 'dead';
    else record.state = 'unknown';
    if (before === record.state) return;
    if (record.state === 'dead')
      this.#log.warn({ peer: name }, 'peer is dead: neither replies nor traffic arrive');
    else if (record.state === 'alive') this.#log.info({ peer: name }, 'peer is alive');
  }

  #probe(own: readonly Address[], target: Address, record: Record, now: number): void {
    const socket = this.#sockets.get(target.family);
    // From the pod network, so that the reply takes the tunnel, too.
    const source = own.find(({ family }) => family === target.family);
    if (!socket || !source) return;
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const sequence = this.#sequence;
    record.sent.set(sequence, now);
    for (const [old, at] of record.sent)
      if (now - at > this.#settings.timeout * 1000) record.sent.delete(old);
    void socket.send(echoRequestIp(source, target, { identifier, sequence }), target.text).then((error) => {
      if (error) this.#log.debug({ err: error, target: target.text }, 'a liveness probe was refused');
      else {
        record.probed = true;
        record.answered ??= now;
      }
    });
  }

  #reply(family: 4 | 6, packet: Buffer, source: string): void {
    const echo = readEchoReply(family, packet);
    if (echo?.identifier !== identifier) return;
    const name = this.#owners.get(source);
    const record = name === undefined ? undefined : this.#records.get(name);
    const sent = record?.sent.get(echo.sequence);
    if (name === undefined || !record || sent === undefined) return;
    const now = performance.now();
    record.sent.delete(echo.sequence);
    record.seen = record.answered = now;
    record.roundTripMs = now - sent;
    this.#judge(name, record, now);
  }
}

const freshRecord = (since: number, received: bigint): Record => ({
  since,
  seen: undefined,
  roundTripMs: undefined,
  answered: undefined,
  received,
  probed: false,
  sent: new Map(),
  state: 'unknown',
});
