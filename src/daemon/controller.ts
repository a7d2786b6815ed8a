/**
 * Keeps the live tables equal to what the store says: store → cluster → desired → tables → epoch.
 *
 * Publications run one after another; requests that arrive meanwhile share the next one. One that fails leaves the
 * live tables as they are, is shown in the status, and is tried again with the next change, or after a while: what
 * is missing may be an address or a link of the host.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { CONTROL_AREA_A, CONTROL_AREA_B, CONTROL_AREA_SIZE } from '../../asm/layout/memory.ts';
import type { Config, Encapsulation } from '../config/schema.ts';
import { noChanges, type ObjectChanges } from '../control/changes.ts';
import type { Desired } from '../control/desired.ts';
import { NodeView } from '../control/node-view.ts';
import type { Attached } from '../control/pods.ts';
import type { DirectWay, Tunnel } from '../control/topology.ts';
import type { CounterRows } from '../dataplane/counters.ts';
import type { Memory } from '../dataplane/memory.ts';
import type { ControlExports } from '../dataplane/module.ts';
import { Numbering } from '../dataplane/numbering.ts';
import type { Publisher } from '../dataplane/publisher.ts';
import { TablesFull } from '../dataplane/table-fault.ts';
import { TableArea, type TablePort, type TableUse } from '../dataplane/tables.ts';
import { overhead } from '../dataplane/tunnel-header.ts';
import { isSameFacts, type TunnelFacts } from '../dataplane/tunnel-rows.ts';
import type { Decision } from '../policy/compiled.ts';
import type { Store } from '../store/store.ts';
import type { Underlay } from './peers/underlay.ts';
import type { UnderlaySockets } from './ports/sockets.ts';

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

/** What is known of the tunnels. */
interface Ways {
  readonly tunnels: readonly Tunnel[];
  /** Of what routes and probes say. */
  readonly revision: string;
  readonly facts: ReadonlyMap<string, TunnelFacts>;
  readonly interfaceMtu: number;
}

/** A port as the tables take it, but for its MTU. */
export type OpenPort = Omit<TablePort, 'mtu'>;

export interface ControllerParts {
  readonly config: Config;
  /** Encapsulations for which `sockets` can open none, and why. */
  readonly unusable: ReadonlyMap<Encapsulation, string>;
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
  readonly #view: NodeView;
  /** Both table areas, by the lowest bit of their epochs. */
  readonly #areas: readonly [TableArea, TableArea];
  /** Changes that the view has not been told of. */
  #pending: ObjectChanges[] = [];
  #attached: Attached | undefined;
  /** Between what a publication starts from and its bytes nothing must change. */
  #isHeld = false;
  #warned = new Set<string>();
  #live: Live | undefined;
  #fault: string | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #tunnelNumbers: Numbering;
  #decisions: ReadonlyMap<number, Decision> = new Map();
  /** Path MTU found by probes, by address of the peer. */
  readonly #pathMtus = new Map<string, number>();
  /** Keys of tunnels whose superframes the kernel splits. */
  readonly #injected = new Set<string>();
  /** How often a probe has found something else than before. */
  #probed = 0;
  #ways: Ways | undefined;
  readonly #waiting = new Set<() => void>();
  #stopped = false;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    const { config, unusable, memory, wasm } = parts;
    this.#view = new NodeView(config, unusable);
    this.#tunnelNumbers = new Numbering(0, config.tables.tunnels);
    const size = memory.view.getUint32(CONTROL_AREA_SIZE, true);
    const area = (at: number) => new TableArea(wasm, memory, memory.view.getUint32(at, true), size);
    this.#areas = [area(CONTROL_AREA_A), area(CONTROL_AREA_B)];
  }

  get live(): Live | undefined {
    return this.#live;
  }

  /** Why the last snapshot is not live. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Decisions in use and the numbers under which they are counted. */
  get decisions(): ReadonlyMap<number, Decision> {
    return this.#decisions;
  }

  /** What the snapshot at hand says, live or not yet. */
  desired(): Desired | undefined {
    if (!this.#isHeld && this.#isBehind()) this.#follow();
    return this.#view.desired;
  }

  /** Whether something has changed of which the view does not know. */
  #isBehind(): boolean {
    if (this.#parts.store.state.objects === undefined) return false;
    return this.#pending.length > 0 || this.#attached !== this.#parts.attached();
  }

  #follow(): void {
    const [first = noChanges, ...more] = this.#pending;
    this.#pending = [];
    const attached = this.#parts.attached();
    this.#attached = attached;
    for (const changes of [first, ...more]) {
      const delta = this.#view.apply(changes, attached);
      if (delta) for (const area of this.#areas) area.mark(delta);
    }
    const { warnings = [] } = this.#view.desired ?? {};
    for (const warning of warnings) if (!this.#warned.has(warning)) this.#parts.log.warn(warning);
    this.#warned = new Set(warnings);
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
  async storeChanged(changes: ObjectChanges): Promise<void> {
    this.#pending.push(changes);
    const desired = this.desired();
    // Nothing that matters may have: the same tables again would have every connection judged anew for nothing.
    const isLive = this.#live !== undefined && this.#live.desired === desired && !this.#isBehind();
    if (!isLive || this.#fault !== undefined || this.#view.fault) await this.#attempt();
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
  waitFor<T>(question: () => T | undefined, timeoutMs?: number): Promise<T | undefined> {
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
      const timer = timeoutMs === undefined ? undefined : setTimeout(() => finish(undefined), timeoutMs);
      this.#waiting.add(ask);
      ask();
    });
  }

  /** A probe has found what a path carries; undefined: not known. */
  pathMtu(remote: string, mtu: number | undefined): void {
    if (this.#pathMtus.get(remote) === mtu) return;
    if (mtu === undefined) this.#pathMtus.delete(remote);
    else this.#pathMtus.set(remote, mtu);
    this.#probed++;
    void this.#attempt();
  }

  /** Probes say by which of its tunnels a peer is to be reached; undefined: by the first. */
  choose(peer: string, key: string | undefined): void {
    this.#view.choose(peer, key);
    void this.storeChanged(noChanges);
  }

  /** The host says which peers are reached without a tunnel, by their names. */
  direct(ways: ReadonlyMap<string, DirectWay>): void {
    this.#view.takeWays(ways);
    void this.storeChanged(noChanges);
  }

  /** Probes say whether the kernel splits superframes for this tunnel. */
  injected(key: string, isInjected: boolean): void {
    if (this.#injected.has(key) === isInjected) return;
    if (isInjected) this.#injected.add(key);
    else this.#injected.delete(key);
    this.#probed++;
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
      if (this.#view.fault) throw this.#view.fault;
      if (!desired) throw new Error('no good state has been read from the store yet');
      this.#isHeld = true;
      this.#live = await this.#switchTo(desired).finally(() => {
        this.#isHeld = false;
      });
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
    const { config, publisher, sockets, underlay, openPorts, counters } = this.#parts;
    const tunnelNumbers = this.#numbersFor(desired);
    const { decisions } = desired.policy;
    for (const [number, decision] of decisions === this.#decisions ? [] : decisions) {
      // Before the tables can lead a packet to it.
      if (!isDeepStrictEqual(this.#decisions.get(number), decision)) counters.decisions.restart(number);
    }
    if (this.#live?.desired.tunnels !== desired.tunnels) {
      sockets.open(desired.tunnels);
      await underlay.learn(desired.tunnels.map(({ remote }) => remote));
    }
    const { facts: tunnels, interfaceMtu } = this.#waysTo(desired, tunnelNumbers);
    const use = await publisher.publish((_area, _size, epoch) =>
      this.#areas[(epoch & 1) as 0 | 1].write(epoch, {
        desired,
        config,
        ports: openPorts().map((port) => ({ ...port, mtu: interfaceMtu })),
        tunnels,
      }),
    );
    this.#tunnelNumbers = tunnelNumbers;
    this.#decisions = decisions;
    await sockets.handOver();
    return { desired, tunnels, use, interfaceMtu };
  }

  #numbersFor({ tunnels }: Desired): Numbering {
    if (this.#live?.desired.tunnels === tunnels) return this.#tunnelNumbers;
    const { config, counters } = this.#parts;
    const numbers = this.#tunnelNumbers.copy();
    const added = numbers.assign(tunnels.map(({ key }) => key));
    if (!added) throw new TablesFull('tunnels', config.tables.tunnels, tunnels.length);
    for (const key of added) counters.tunnels.restart(numbers.numberOf(key) ?? 0);
    return numbers;
  }

  /** The same as before while nothing about tunnels changes: there are thousands. */
  #waysTo(desired: Desired, numbers: Numbering): Ways {
    const { tunnels } = desired;
    const revision = `${this.#parts.underlay.revision} ${this.#probed}`;
    if (this.#ways?.tunnels !== tunnels || this.#ways.revision !== revision) {
      const facts = this.#factsOf(tunnels, numbers);
      this.#ways = { tunnels, revision, facts, interfaceMtu: this.#interfaceMtu(desired, facts) };
    }
    return this.#ways;
  }

  #factsOf(tunnels: readonly Tunnel[], numbers: Numbering): ReadonlyMap<string, TunnelFacts> {
    const { sockets } = this.#parts;
    const before = this.#live?.tunnels;
    const facts = new Map(
      tunnels.map((tunnel): [string, TunnelFacts] => {
        const { key } = tunnel;
        const mtu = this.#tunnelMtu(tunnel);
        const isInjected = this.#injected.has(key);
        const number = numbers.numberOf(key) ?? 0;
        return [key, { number, mtu, isInjected, ...sockets.sendSlots(tunnel) }];
      }),
    );
    const isSame =
      before?.size === facts.size && [...facts].every(([key, one]) => isSameFacts(before.get(key), one));
    return isSame ? before : facts;
  }

  /** What the underlay's route carries, or less where a probe or the peer says so, without the tunnel's headers. */
  #tunnelMtu(tunnel: Tunnel): number {
    const { config, underlay } = this.#parts;
    const route = underlay.mtu(tunnel.remote);
    const probed = this.#pathMtus.get(tunnel.remote.text) ?? route;
    return Math.min(route, probed, tunnel.peer.mtu ?? route) - overhead(tunnel, config);
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
