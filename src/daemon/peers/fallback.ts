/**
 * Other ways to peers that cannot be reached by the one that is preferred.
 *
 *     no reply in the tunnel for the timeout ──► every tunnel to the peer is probed ──► the first that bears is used
 *                                            ──► nothing bears, but the peer is heard ──► what it is heard by is tried
 *     by another way than the first          ──► better ones are probed now and then ──► back, when one bears again
 *
 * A probe is a ping that this thread wraps itself and sends from a socket of its own, so that each tunnel can be tried
 * whatever the tables say. Its reply comes back by the way that the peer uses, so what is tried is the way there alone:
 * each node looks after its own. Where the ways of both are cut, no reply comes by any; but the probes of each arrive at
 * the other, and whoever follows them first gives the other its replies.
 */
import { createSocket, type Socket } from 'node:dgram';
import type { Logger } from 'pino';
import { TUNNEL_RX_PACKETS } from '../../../asm/layout/tables.ts';
import type { Config } from '../../config/schema.ts';
import type { Peer, Tunnel } from '../../control/topology.ts';
import type { CounterRows } from '../../dataplane/counters.ts';
import { innerPayload, ipipPacket } from '../../dataplane/tunnel-header.ts';
import type { Address } from '../../net/address.ts';
import { RawSocket } from '../../phy/raw.ts';
import type { Controller, Live } from '../controller.ts';
import type { DirectPeers } from './direct.ts';
import { echoRequestIp, readEchoReply } from './echo.ts';
import type { Liveness } from './liveness.ts';

export interface PeerFallback {
  /** Tunnel that is used, and the one that would be: encapsulation and family. */
  readonly tunnel: string;
  readonly instead: string;
  readonly reason: string;
  /** ISO 8601. */
  readonly since: string;
}

/** One that was answered in as many of the last intervals bears. */
const FRESH_INTERVALS = 3;
/** Replies one after another before a better tunnel is believed to bear again. */
const PROOF = 3;
/** Intervals of silence before a peer's own probes count: an answer says more. */
const HEARSAY_INTERVALS = 2 * FRESH_INTERVALS;
/** Intervals between two looks at better ones. */
const PATIENCE = 5;

/** Two bits more than the process id, to be told from the other probes. */
const identifier = (process.pid & 0xffff) ^ 0xc000;

interface Watched {
  /** Time of the last reply to a probe in a tunnel, by its key. */
  readonly answered: Map<string, number>;
  /** Replies in a row to probes of a better one. */
  readonly proofs: Map<string, number>;
  /** Packets that had come by a tunnel, and when one came last, by its key. */
  readonly received: Map<string, bigint>;
  readonly heard: Map<string, number>;
  since: number;
  ticks: number;
}

interface Probe {
  readonly peer: string;
  readonly key: string;
}

export interface FallbackParts {
  readonly config: Config;
  readonly controller: Controller;
  readonly liveness: Liveness;
  readonly direct: DirectPeers;
  /** Of tunnels. */
  readonly counters: CounterRows;
  readonly log: Logger;
}

export class Fallback {
  readonly #config: Config;
  readonly #controller: Controller;
  readonly #liveness: Liveness;
  readonly #direct: DirectPeers;
  readonly #counters: CounterRows;
  readonly #log: Logger;
  readonly #raw = new Map<4 | 6, RawSocket>();
  readonly #sockets = new Map<string, Socket>();
  readonly #watched = new Map<string, Watched>();
  readonly #used = new Map<string, PeerFallback & { readonly key: string }>();
  readonly #sent = new Map<number, Probe>();
  #sequence = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor({ config, controller, liveness, direct, counters, log }: FallbackParts) {
    this.#config = config;
    this.#controller = controller;
    this.#liveness = liveness;
    this.#direct = direct;
    this.#counters = counters;
    this.#log = log;
  }

  start(): void {
    for (const family of [4, 6] as const) {
      try {
        const socket = RawSocket.open({ family, headerIncluded: true });
        socket.onPacket((packet) => this.#reply(family, packet));
        this.#raw.set(family, socket);
      } catch {
        // Reported once for all probes, see probeFault.
      }
    }
    if (this.#raw.size === 0) return;
    this.#timer = setInterval(() => this.#tick(), this.#config.liveness.interval * 1000);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const socket of [...this.#raw.values(), ...this.#sockets.values()]) socket.close();
    this.#raw.clear();
    this.#sockets.clear();
  }

  /** Undefined: the peer is reached by the way that is preferred, or by none. */
  of(peer: string): PeerFallback | undefined {
    const used = this.#used.get(peer);
    if (!used) return undefined;
    const { key: _, ...shown } = used;
    return shown;
  }

  #tick(): void {
    const { live } = this.#controller;
    if (!live) return;
    const now = performance.now();
    const tunnels = new Map<string, Tunnel[]>();
    for (const tunnel of live.desired.tunnels) {
      const { name } = tunnel.peer;
      tunnels.set(name, [...(tunnels.get(name) ?? []), tunnel]);
    }
    for (const { name } of live.desired.peers) this.#look(name, tunnels.get(name) ?? [], live, now);
    for (const name of this.#used.keys()) if (!tunnels.has(name)) this.#used.delete(name);
    for (const name of this.#watched.keys()) if (!tunnels.has(name)) this.#watched.delete(name);
  }

  #look(peer: string, tunnels: readonly Tunnel[], live: Live, now: number): void {
    const used = this.#used.get(peer);
    // What was used instead may be gone with an address of the peer.
    if (used && !tunnels.some(({ key }) => key === used.key)) this.#use(peer, undefined);
    if (tunnels.length < 2) return;
    const isSuspect = this.#liveness.isSilent(peer);
    if (!isSuspect && !used) {
      this.#watched.delete(peer);
      return;
    }
    const watched = this.#watched.get(peer) ?? {
      answered: new Map(),
      proofs: new Map(),
      received: new Map(),
      heard: new Map(),
      since: now,
      ticks: 0,
    };
    this.#watched.set(peer, watched);
    this.#listen(tunnels, watched, live, now);
    this.#judge(peer, tunnels, watched, isSuspect, now);
    watched.ticks++;
    const current = tunnels.findIndex(({ isPreferred }) => isPreferred);
    const tried = isSuspect ? tunnels : tunnels.slice(0, current);
    if (isSuspect || watched.ticks % PATIENCE === 0 || watched.proofs.size > 0)
      for (const tunnel of tried) this.#probe(tunnel, live);
  }

  #listen(tunnels: readonly Tunnel[], { received, heard }: Watched, live: Live, now: number): void {
    for (const { key } of tunnels) {
      const facts = live.tunnels.get(key);
      if (!facts) continue;
      const packets = this.#counters.read(facts.number, TUNNEL_RX_PACKETS);
      if (packets !== (received.get(key) ?? packets)) heard.set(key, now);
      received.set(key, packets);
    }
  }

  #judge(peer: string, tunnels: readonly Tunnel[], watched: Watched, isSuspect: boolean, now: number): void {
    const fresh = FRESH_INTERVALS * this.#config.liveness.interval * 1000;
    const bears = (key: string) => now - (watched.answered.get(key) ?? Number.NEGATIVE_INFINITY) < fresh;
    const current = tunnels.find(({ isPreferred }) => isPreferred);
    const [first] = tunnels;
    if (!current || !first) return;
    if (isSuspect && !bears(current.key)) {
      const waited = now - watched.since;
      // Each has had its chance to answer first.
      const other = waited >= fresh ? tunnels.find(({ key }) => bears(key)) : undefined;
      const isHeard = ({ key }: Tunnel) => now - (watched.heard.get(key) ?? Number.NEGATIVE_INFINITY) < fresh;
      const at = tunnels.indexOf(current);
      // In turn, for what is heard may be cut the other way.
      const turn = [...tunnels.slice(at + 1), ...tunnels.slice(0, at)];
      const mayTry = waited >= HEARSAY_INTERVALS * this.#config.liveness.interval * 1000 && !isHeard(current);
      const next = other ?? (mayTry ? turn.find(isHeard) : undefined);
      if (next) this.#use(peer, next, first);
      return;
    }
    const better = tunnels
      .slice(0, tunnels.indexOf(current))
      .find(({ key }) => (watched.proofs.get(key) ?? 0) >= PROOF);
    if (better) this.#use(peer, better, first);
    for (const [key] of watched.proofs) if (!bears(key)) watched.proofs.delete(key);
  }

  #use(peer: string, tunnel: Tunnel | undefined, first = tunnel): void {
    this.#watched.delete(peer);
    if (!tunnel || !first || tunnel.key === first.key) {
      this.#used.delete(peer);
      this.#log.info({ peer }, 'the preferred tunnel is used again');
      this.#controller.choose(peer, undefined);
      return;
    }
    const [name, instead] = [tunnel, first].map(nameOf) as [string, string];
    const reason = `nothing that is sent by ${instead} arrives`;
    this.#used.set(peer, {
      tunnel: name,
      instead,
      reason,
      since: new Date().toISOString(),
      key: tunnel.key,
    });
    this.#log.warn({ peer, tunnel: name }, `${reason}: another tunnel is used`);
    this.#controller.choose(peer, tunnel.key);
  }

  #probe(tunnel: Tunnel, { desired }: Live): void {
    const inner = innerAddresses(tunnel.peer, desired.node.podNetworkAddresses);
    if (!inner) return;
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#sent.set(this.#sequence, { peer: tunnel.peer.name, key: tunnel.key });
    const packet = echoRequestIp(inner.source, inner.target, { identifier, sequence: this.#sequence });
    const refused = (error: Error | null | undefined) => {
      if (error) this.#log.debug({ err: error, remote: tunnel.remote.text }, 'a probe was refused');
    };
    if (tunnel.encapsulation === 'direct') {
      void this.#direct.probe(tunnel, packet).then(refused);
      return;
    }
    if (tunnel.encapsulation === 'ipip') {
      void this.#raw
        .get(tunnel.family)
        ?.send(ipipPacket(tunnel, this.#config, packet), tunnel.remote.text)
        .then(refused);
      return;
    }
    const payload = innerPayload(tunnel, this.#config, desired.node.routerMac, packet);
    this.#socket(tunnel.local).send(
      payload,
      this.#config.ports[tunnel.encapsulation],
      tunnel.remote.text,
      refused,
    );
  }

  /** Bound to the address by which the peer knows this node. */
  #socket({ text, family }: Address): Socket {
    const there = this.#sockets.get(text);
    if (there) return there;
    const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
    // Probes go unanswered then, and that says enough.
    socket.on('error', (err) => this.#log.debug({ err, address: text }, 'a probe cannot be sent'));
    socket.bind(0, text);
    this.#sockets.set(text, socket);
    return socket;
  }

  #reply(family: 4 | 6, packet: Buffer): void {
    const echo = readEchoReply(family, packet);
    if (echo?.identifier !== identifier) return;
    const probe = this.#sent.get(echo.sequence);
    if (!probe) return;
    this.#sent.delete(echo.sequence);
    const watched = this.#watched.get(probe.peer);
    if (!watched) return;
    watched.answered.set(probe.key, performance.now());
    watched.proofs.set(probe.key, (watched.proofs.get(probe.key) ?? 0) + 1);
  }
}

const nameOf = ({ encapsulation, family }: Tunnel): string => `${encapsulation}/ipv${family}`;

/** Ends of a ping inside the tunnel; undefined where they have no family in common. */
function innerAddresses({ probes }: Peer, own: readonly Address[]) {
  for (const target of probes) {
    const source = own.find(({ family }) => family === target.family);
    if (source) return { source, target };
  }
  return undefined;
}
