/**
 * Keeps the live tables equal to what the store says: store → cluster → desired → tables → epoch.
 *
 * Publications run one after another; requests that arrive meanwhile share the next one. One that fails leaves the
 * live tables as they are, is shown in the status, and is tried again with the next change, or after a while: what
 * is missing may be an address or a link of the host.
 */
import type { Logger } from 'pino';
import { MAX_DECISIONS, MAX_TUNNELS } from '../../asm/layout/memory.ts';
import type { Config } from '../config/schema.ts';
import { type Attached, clusterOf } from '../control/cluster.ts';
import { type Desired, desiredOf, type Tunnel } from '../control/desired.ts';
import type { Objects } from '../control/objects.ts';
import type { Store } from '../control/store.ts';
import type { CounterRows } from '../dataplane/counters.ts';
import type { Memory } from '../dataplane/memory.ts';
import type { ControlExports } from '../dataplane/module.ts';
import { Numbering } from '../dataplane/numbering.ts';
import type { Publisher } from '../dataplane/publisher.ts';
import {
  fillTables,
  type TablePort,
  TablesFull,
  type TableUse,
  type TunnelFacts,
} from '../dataplane/tables.ts';
import { overhead } from '../dataplane/tunnel-header.ts';
import type { Decision } from '../policy/compiled.ts';
import type { UnderlaySockets } from './sockets.ts';
import type { Underlay } from './underlay.ts';

/** Between two tries of what has failed. */
const RETRY_MS = 3_000;

/** IPV6_MIN_MTU, RFC 8200 §5. */
const LEAST_INTERFACE_MTU = 1280;

/** What is live. */
export interface Live {
  readonly desired: Desired;
  readonly tunnels: ReadonlyMap<string, TunnelFacts>;
  readonly use: TableUse;
  /** MTU of pods' and the node's interfaces: what every tunnel carries. */
  readonly interfaceMtu: number;
}

/** A port as the tables take it, but for its MTU. */
export type OpenPort = Omit<TablePort, 'mtu'>;

export interface ControllerParts {
  readonly config: Config;
  readonly store: Store;
  readonly publisher: Publisher;
  readonly memory: Memory;
  readonly wasm: ControlExports;
  readonly sockets: UnderlaySockets;
  readonly underlay: Underlay;
  readonly counters: { readonly tunnels: CounterRows; readonly decisions: CounterRows };
  readonly log: Logger;
  /** What container runtimes have attached; another object after each change. */
  readonly attached: () => Attached;
  /** TAPs that are open now. */
  readonly openPorts: () => readonly OpenPort[];
  /** Called after each publication; what it does belongs to the publication. */
  readonly published: (live: Live) => Promise<void>;
}

export class Controller {
  readonly #parts: ControllerParts;
  #desiredOf:
    | { readonly objects: Objects; readonly attached: Attached; readonly desired: Desired }
    | undefined;
  #live: Live | undefined;
  #fault: string | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #tunnelNumbers = new Numbering(0, MAX_TUNNELS);
  #decisionNumbers = new Numbering(1, MAX_DECISIONS);
  #decisions = new Map<string, Decision>();
  /** Path MTU found by probes, by address of the peer. */
  readonly #pathMtus = new Map<string, number>();
  /** Keys of tunnels whose superframes the kernel splits. */
  readonly #injected = new Set<string>();
  readonly #waiting = new Set<() => void>();
  #stopped = false;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
  }

  get live(): Live | undefined {
    return this.#live;
  }

  /** Why the last snapshot is not live. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Decisions in use and the numbers under which they are counted. */
  *decisions(): Iterable<{ number: number; decision: Decision }> {
    for (const [key, decision] of this.#decisions) {
      const number = this.#decisionNumbers.numberOf(key);
      if (number !== undefined) yield { number, decision };
    }
  }

  /** What the snapshot at hand says, live or not yet. */
  desired(): Desired | undefined {
    const { objects } = this.#parts.store.state;
    if (!objects) return undefined;
    const attached = this.#parts.attached();
    if (this.#desiredOf?.objects !== objects || this.#desiredOf.attached !== attached) {
      const desired = desiredOf(clusterOf(objects, attached), this.#parts.config);
      for (const warning of desired.warnings) this.#parts.log.warn(warning);
      this.#desiredOf = { objects, attached, desired };
    }
    return this.#desiredOf.desired;
  }

  /**
   * Publishes what is known now.
   * @returns when it is live
   * @throws where it cannot be: the last good tables stay
   */
  publish(): Promise<void> {
    if (!this.#running) {
      this.#running = this.#publishOnce().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    // What runs may have read its input already, so this request needs the one after it.
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.publish();
      });
    return this.#next;
  }

  /** The store has changed. */
  async storeChanged(): Promise<void> {
    // Only its faults may have: the same tables again would have every connection judged anew for nothing.
    const isLive = this.#live !== undefined && this.#live.desired === this.desired();
    if (!isLive || this.#fault !== undefined) await this.#attempt();
    for (const wake of this.#waiting) wake();
  }

  async #attempt(): Promise<void> {
    try {
      await this.publish();
    } catch {
      // Logged, and shown in the status.
    }
  }

  /** The first defined answer, asked again after each change of the store; undefined when time is up. */
  waitFor<T>(question: () => T | undefined, timeoutMs: number): Promise<T | undefined> {
    return new Promise((resolve) => {
      const finish = (answer: T | undefined) => {
        clearTimeout(timer);
        this.#waiting.delete(ask);
        resolve(answer);
      };
      const ask = () => {
        const answer = question();
        if (answer !== undefined) finish(answer);
      };
      const timer = setTimeout(() => finish(undefined), timeoutMs);
      this.#waiting.add(ask);
      ask();
    });
  }

  /** A probe has found what a path carries; undefined: not known. */
  pathMtu(remote: string, mtu: number | undefined): void {
    if (this.#pathMtus.get(remote) === mtu) return;
    if (mtu === undefined) this.#pathMtus.delete(remote);
    else this.#pathMtus.set(remote, mtu);
    void this.#attempt();
  }

  /** Probes say whether the kernel splits superframes for this tunnel. */
  injected(key: string, isInjected: boolean): void {
    if (this.#injected.has(key) === isInjected) return;
    if (isInjected) this.#injected.add(key);
    else this.#injected.delete(key);
    void this.#attempt();
  }

  stop(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#stopped = true;
  }

  async #publishOnce(): Promise<void> {
    clearTimeout(this.#retry);
    try {
      await this.#publishAndApply();
    } catch (error) {
      if (!this.#stopped) this.#retry = setTimeout(() => void this.#attempt(), RETRY_MS);
      throw error;
    }
  }

  async #publishAndApply(): Promise<void> {
    const { log, store } = this.#parts;
    try {
      const desired = this.desired();
      if (!desired) throw new Error('no good state has been read from the store yet');
      this.#live = await this.#switchTo(desired);
      this.#fault = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#fault)
        log.error({ err: error, faults: store.state.faults }, 'the snapshot is not live');
      this.#fault = message;
      throw error;
    }
    try {
      await this.#parts.published(this.#live);
    } catch (error) {
      log.error({ err: error }, 'interfaces cannot be set to what is live');
      throw error;
    }
  }

  async #switchTo(desired: Desired): Promise<Live> {
    const { config, publisher, memory, wasm, sockets, underlay, openPorts, counters } = this.#parts;
    const tunnelNumbers = this.#tunnelNumbers.copy();
    const decisionNumbers = this.#decisionNumbers.copy();
    const newTunnels = tunnelNumbers.assign(desired.tunnels.map(({ key }) => key));
    if (!newTunnels || desired.tunnels.length > config.tables.tunnels) {
      throw new TablesFull('tunnels', config.tables.tunnels, desired.tunnels.length);
    }
    const keys = desired.policy.decisions.map((decision) => (decision ? JSON.stringify(decision) : ''));
    const newDecisions = decisionNumbers.assign(keys.filter((key) => key !== ''));
    if (!newDecisions) {
      throw new Error(
        `the policies need ${keys.length} decisions, of which there are ${decisionNumbers.capacity}`,
      );
    }
    const numberOf = (numbering: Numbering, name: string) => numbering.numberOf(name) ?? 0;
    // Before the tables can lead a packet to them.
    for (const key of newTunnels) counters.tunnels.restart(numberOf(tunnelNumbers, key));
    for (const key of newDecisions) counters.decisions.restart(numberOf(decisionNumbers, key));

    sockets.open(desired.tunnels);
    await underlay.learn(desired.tunnels.map(({ remote }) => remote));
    const tunnels = new Map<string, TunnelFacts>(
      desired.tunnels.map((tunnel) => {
        const number = numberOf(tunnelNumbers, tunnel.key);
        const isInjected = this.#injected.has(tunnel.key);
        return [
          tunnel.key,
          { number, mtu: this.#tunnelMtu(tunnel), isInjected, ...sockets.sendSlots(tunnel) },
        ];
      }),
    );
    const interfaceMtu = this.#interfaceMtu(desired, tunnels);
    const use = await publisher.publish((area, size, epoch) =>
      fillTables(wasm, memory, area, size, epoch, {
        desired,
        config,
        ports: openPorts().map((port) => ({ ...port, mtu: interfaceMtu })),
        tunnels,
        decisions: keys.map((key) => numberOf(decisionNumbers, key)),
      }),
    );
    this.#tunnelNumbers = tunnelNumbers;
    this.#decisionNumbers = decisionNumbers;
    this.#decisions = new Map(
      desired.policy.decisions.flatMap((decision, i) => (decision ? [[keys[i] ?? '', decision]] : [])),
    );
    await sockets.handOver();
    return { desired, tunnels, use, interfaceMtu };
  }

  /** What the underlay's route carries, or less where a probe says so, without the tunnel's headers. */
  #tunnelMtu(tunnel: Tunnel): number {
    const { config, underlay } = this.#parts;
    const route = underlay.mtu(tunnel.remote);
    const probed = this.#pathMtus.get(tunnel.remote.text) ?? route;
    return Math.min(route, probed) - overhead(tunnel, config);
  }

  /** Below 1280 the kernel takes IPv6 off an interface; what a narrower tunnel does not carry the data path reports. */
  #interfaceMtu(desired: Desired, facts: ReadonlyMap<string, TunnelFacts>): number {
    return Math.max(this.#narrowest(desired, facts), LEAST_INTERFACE_MTU);
  }

  #narrowest({ tunnels }: Desired, facts: ReadonlyMap<string, TunnelFacts>): number {
    const { config, underlay } = this.#parts;
    const used = tunnels
      .filter(({ isPreferred }) => isPreferred)
      .flatMap(({ key }) => facts.get(key)?.mtu ?? []);
    if (used.length > 0) return Math.min(...used);
    const { addresses, family } = config.underlay;
    const local = addresses.find((one) => one.family === (family === 'ipv4' ? 4 : 6)) ?? addresses[0];
    if (!local) throw new TypeError('the configuration names no underlay address');
    return underlay.ownMtu - overhead({ encapsulation: config.encapsulation, family: local.family }, config);
  }
}
