// Pod ports: TAPs in pods' network namespaces, attached on request and again after a restart.
import { existsSync } from 'node:fs';
import type { Logger } from 'pino';
import { DIRECT_SLOT, MAX_PORTS } from '../../../asm/layout/memory.ts';
import { podMac } from '../../control/desired.ts';
import type { Pod } from '../../control/pods.ts';
import type { CounterRows } from '../../dataplane/counters.ts';
import type { Memory } from '../../dataplane/memory.ts';
import { Numbering } from '../../dataplane/numbering.ts';
import type { WorkerPool } from '../../dataplane/pool.ts';
import { type Bandwidth, resetBuckets } from '../../dataplane/rates.ts';
import { run } from '../../host/command.ts';
import { ipBatch } from '../../host/iproute.ts';
import { namespaceId } from '../../host/netns.ts';
import type { Address } from '../../net/address.ts';
import { formatMac, type Mac } from '../../net/mac.ts';
import type { Addon, SlotFailure, TapOffloads, TapOptions } from '../../phy/addon.ts';
import type { Controller, Live, OpenPort } from '../controller.ts';
import { FIRST_POD_SLOT, nodeTapMac, nodeTaps } from '../outside/node-ports.ts';
import { Turns } from '../turns.ts';
import { podLines } from './interfaces.ts';
import type { PortFile, PortPlace } from './port-file.ts';

/** A request that cannot be met, with the HTTP status that says so. */
export class PortError extends Error {
  override readonly name = 'PortError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** An attached pod. */
export interface PodPort extends PortPlace {
  readonly slot: number;
  readonly mac: Mac;
  readonly bandwidth: Bandwidth | undefined;
  readonly offloads: TapOffloads;
  /** Inode of the network namespace. */
  readonly namespaceId: number | undefined;
}

export interface AttachOptions {
  /** The pod must have these; otherwise any. */
  readonly addresses?: readonly Address[];
  /** In place of the one derived from the pod's addresses. */
  readonly mac?: Mac | undefined;
  readonly bandwidth?: Bandwidth | undefined;
  /** EEXIST where the namespace has an interface of that name already. */
  readonly exclusive?: boolean;
}

/** How long an attachment waits for its Pod object to have addresses. */
const POD_PATIENCE_MS = 10_000;

export interface PortsParts {
  readonly addon: Addon;
  readonly pool: WorkerPool;
  readonly counters: CounterRows;
  readonly memory: Memory;
  readonly node: string;
  readonly workers: number;
  /** Of each TAP, for each worker. */
  readonly queues: number;
  /** What TAPs are asked for. */
  readonly offloads: TapOffloads;
  readonly file: PortFile;
  readonly log: Logger;
}

export class Ports {
  readonly #parts: PortsParts;
  readonly #slots = new Numbering(FIRST_POD_SLOT, DIRECT_SLOT);
  readonly #ports = new Map<string, PodPort>();
  /** Descriptors that no worker has yet: by port, worker and queue. */
  readonly #unadopted = new Map<number, readonly (readonly number[])[]>();
  /** What is being done to a port, so that the next thing waits for it. */
  readonly #turns = new Turns();
  readonly #nodeOffloads = new Map<string, TapOffloads>();
  #configured = new Map<string, string>();
  /** The file does not say what is attached now. */
  #isStale = false;

  constructor(parts: PortsParts) {
    this.#parts = parts;
  }

  get list(): readonly PodPort[] {
    return [...this.#ports.values()];
  }

  /** The port of an interface in a namespace, if it is one. */
  at(netns: string, name: string): PodPort | undefined {
    return this.list.find(
      (port) => port.netns === netns && port.interface === name && port.namespaceId === namespaceId(netns),
    );
  }

  /** How many more pods can be attached. */
  get free(): number {
    return this.#slots.capacity - this.#ports.size;
  }

  /** Every open TAP, as the tables take them. */
  open(): OpenPort[] {
    const { node } = this.#parts;
    return [
      ...nodeTaps.map(({ kind, slot }) => ({ kind, slot, mac: nodeTapMac(kind, node) })),
      ...this.list.map((port) => ({
        kind: 'pod' as const,
        slot: port.slot,
        mac: port.mac,
        pod: keyOf(port),
        bandwidth: port.bandwidth,
      })),
    ];
  }

  nodeOffloads(device: string): TapOffloads | undefined {
    return this.#nodeOffloads.get(device);
  }

  /** Opens the node's TAPs, and those of the pods that were attached before this process began. */
  restore(): void {
    for (const { device, slot } of nodeTaps)
      this.#nodeOffloads.set(device, this.#openTap(slot, device, undefined));
    for (const port of this.#parts.file.ports) {
      try {
        if (!existsSync(port.netns)) throw new Error(`network namespace ${port.netns} is gone`);
        // A namespace without it is another one of the same name.
        this.#openPod(port, port, 'existing');
      } catch (error) {
        this.#parts.log.warn({ err: error, pod: keyOf(port) }, 'port forgotten: it cannot be attached again');
      }
    }
    this.#noteDown();
  }

  /** Hands descriptors that were opened to the workers; to be called when tables know their slots. */
  async handOver(): Promise<void> {
    const pending = [...this.#unadopted];
    this.#unadopted.clear();
    const { addon, pool } = this.#parts;
    for (const [slot, workers] of pending) {
      for (const [index, queues] of workers.entries()) {
        const fds = queues.map((fd) => addon.release(fd));
        await pool.ask(index, { type: 'adopt-tap', slot, fds });
      }
    }
  }

  /** Gives a pod its interface. Returns when the pod can send and receive. Repeatable, unless it is to be a new one. */
  attach(place: PortPlace, controller: Controller, options: AttachOptions = {}): Promise<PodPort> {
    return this.#turns.take(keyOf(place), () => this.#attach(place, controller, options));
  }

  /** Takes a pod's interface away; true when there was one. */
  detach(key: string, controller: Controller): Promise<boolean> {
    return this.#turns.take(key, () => this.#detach(key, controller));
  }

  /** Sets interfaces to what the live tables say: addresses and MTU of the pods. */
  async configure({ desired, interfaceMtu }: Live): Promise<void> {
    await Promise.all(
      this.list.map(async (port) => {
        const key = keyOf(port);
        const pod = desired.localPods.get(key);
        if (!pod) return;
        try {
          await this.#configure(port, pod, interfaceMtu);
        } catch (error) {
          this.#parts.log.error({ err: error, pod: key }, 'interface cannot be set up');
        }
      }),
    );
  }

  /**
   * Takes away ports whose pods are gone without a word. An open TAP keeps its namespace alive, so nothing else would
   * ever end it: the file that named the namespace is gone, or names another one.
   */
  async sweep(controller: Controller): Promise<void> {
    if (this.#isStale) this.#noteDown();
    for (const port of this.list) {
      if (namespaceId(port.netns) === port.namespaceId) continue;
      this.#parts.log.warn({ pod: keyOf(port), netns: port.netns }, 'the network namespace of a pod is gone');
      await this.detach(keyOf(port), controller);
    }
  }

  /** A worker says that slots cannot be read any more: their TAPs are gone. */
  async failed(failures: readonly SlotFailure[], controller: Controller): Promise<void> {
    for (const { slot, code, syscall } of failures) {
      const port = this.list.find((one) => one.slot === slot % MAX_PORTS);
      if (!port) continue;
      this.#parts.log.warn({ pod: keyOf(port), code, syscall }, 'the TAP of a pod is gone');
      await this.detach(keyOf(port), controller);
    }
  }

  async #attach(place: PortPlace, controller: Controller, options: AttachOptions): Promise<PodPort> {
    const key = keyOf(place);
    const pod = await controller.waitFor(() => {
      const found = controller.desired()?.localPods.get(key);
      return found && hasAddresses(found, options.addresses) ? found : undefined;
    }, POD_PATIENCE_MS);
    if (!pod) throw this.#whyNoPod(key, controller);
    if (!existsSync(place.netns))
      throw new PortError(400, `netns: ${place.netns} does not exist: must be a file of a network namespace`);
    const there = this.#ports.get(key);
    if (there && !isSamePlace(there, place)) await this.#detach(key, controller);
    const port =
      this.#ports.get(key) ??
      this.#openPod(
        place,
        { mac: options.mac ?? podMac(pod), bandwidth: options.bandwidth },
        options.exclusive ? 'new' : undefined,
      );
    try {
      await controller.publish();
      await this.handOver();
      if (!controller.live) throw new Error('the tables are not live');
      await this.#configure(port, pod, controller.live.interfaceMtu);
      // A pod that the next daemon would not know is none.
      this.#remember();
    } catch (error) {
      if (!there) await this.#detach(key, controller).catch(() => {});
      throw error;
    }
    this.#parts.log.info({ pod: key, slot: port.slot, mac: formatMac(port.mac) }, 'port attached');
    return port;
  }

  async #detach(key: string, controller: Controller): Promise<boolean> {
    const port = this.#ports.get(key);
    if (!port) return false;
    const { addon, pool, log, queues } = this.#parts;
    this.#ports.delete(key);
    this.#configured.delete(key);
    this.#noteDown();
    // First out of the tables, so that no packet meets a slot without a TAP.
    await controller.publish().catch(() => {});
    const unadopted = this.#unadopted.get(port.slot);
    this.#unadopted.delete(port.slot);
    for (const fd of unadopted?.flat() ?? []) addon.close(fd);
    if (!unadopted) await pool.askAll({ type: 'drop', slot: port.slot, queues });
    // A namespace that is gone has taken its TAP along, and another one of that name is not this pod's.
    if (namespaceId(port.netns) === port.namespaceId) this.deleteTap(port);
    this.#slots.remove(key);
    log.info({ pod: key, slot: port.slot }, 'port detached');
    return true;
  }

  #openPod(
    { namespace, pod, netns, interface: name }: PortPlace,
    { mac, bandwidth }: Pick<PodPort, 'mac' | 'bandwidth'>,
    presence?: TapOptions['presence'],
  ): PodPort {
    const key = `${namespace}/${pod}`;
    const slot = this.#slots.add(key);
    if (slot === undefined)
      throw new PortError(507, `no port is free: ${this.#slots.capacity} pods are attached`);
    try {
      const offloads = this.#openTap(slot, name, netns, presence);
      const place = { namespace, pod, netns, interface: name };
      const port: PodPort = { ...place, slot, mac, bandwidth, offloads, namespaceId: namespaceId(netns) };
      this.#ports.set(key, port);
      return port;
    } catch (error) {
      this.#slots.remove(key);
      throw error;
    }
  }

  /** Deletes a TAP that may be gone already. */
  deleteTap({ interface: name, netns }: Pick<PortPlace, 'interface' | 'netns'>): void {
    try {
      this.#parts.addon.deleteTap({ name, netns });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENODEV') throw error;
    }
  }

  /** Opens each worker's queues. */
  #openTap(
    slot: number,
    name: string,
    netns: string | undefined,
    presence?: TapOptions['presence'],
  ): TapOffloads {
    const { addon, workers, queues, offloads, counters, memory } = this.#parts;
    const opened = Array.from({ length: workers * queues }, (_, i) =>
      addon.openTap({ name, netns, persist: true, presence: i === 0 ? presence : undefined, offloads }),
    );
    counters.restart(slot);
    resetBuckets(memory, slot);
    this.#unadopted.set(
      slot,
      Array.from({ length: workers }, (_, worker) =>
        opened.slice(worker * queues, (worker + 1) * queues).map(({ fd }) => fd),
      ),
    );
    return opened[0]?.offloads ?? { csum: false, tso: false, uso: false };
  }

  async #configure(port: PodPort, pod: Pod, mtu: number): Promise<void> {
    const lines = podLines(port.interface, port.mac, mtu, pod.addresses);
    const wanted = lines.join('\n');
    const key = keyOf(port);
    if (this.#configured.get(key) === wanted) return;
    if (pod.addresses.some(({ family }) => family === 6)) await enableIPv6(port);
    await ipBatch(lines, { netns: port.netns });
    this.#configured.set(key, wanted);
  }

  #whyNoPod(key: string, controller: Controller): PortError {
    const desired = controller.desired();
    if (!desired) return new PortError(503, 'no good cluster state has been read from the store yet');
    if (desired.localPods.has(key)) return new PortError(404, `Pod ${key}: has no status.podIPs`);
    const wanted = `a live Pod with spec.nodeName ${this.#parts.node}, off the host network`;
    return new PortError(404, `Pod ${key}: is not in the store: must be ${wanted}`);
  }

  #remember(): void {
    this.#parts.file.write(this.list);
    this.#isStale = false;
  }

  /** What is gone is gone, whether or not it can be written: a port too many in the file is found gone at the next start. */
  #noteDown(): void {
    try {
      this.#remember();
    } catch (error) {
      if (!this.#isStale) this.#parts.log.error({ err: error }, 'the attached ports cannot be written down');
      this.#isStale = true;
    }
  }
}

/** Those that are asked for, or some. */
const hasAddresses = ({ addresses }: Pod, wanted: readonly Address[] = []): boolean =>
  addresses.length > 0 && wanted.every((address) => addresses.some(({ text }) => text === address.text));

const keyOf = ({ namespace, pod }: Pick<PortPlace, 'namespace' | 'pod'>) => `${namespace}/${pod}`;

const isSamePlace = (port: PodPort, place: PortPlace): boolean =>
  port.netns === place.netns &&
  port.interface === place.interface &&
  port.namespaceId === namespaceId(place.netns);

/** Container runtimes switch IPv6 off in new namespaces; where /proc cannot be written, adding the address says so. */
async function enableIPv6({ netns, interface: name }: PodPort): Promise<void> {
  const setting = `net/ipv6/conf/${name}/disable_ipv6=0`;
  await run('nsenter', [`--net=${netns}`, 'sysctl', '-q', '-w', setting]).catch(() => {});
}
