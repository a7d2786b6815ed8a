/**
 * Peers on the same subnet, reached without encapsulation where both nodes are configured so.
 *
 *     the device ─► packet sockets, filter, nftables ─► this node says that it takes such packets
 *     peers that say so, too ─► subnet ─► neighbour's MAC ─► a while later ─► controller: a way without a tunnel
 *
 * Looked at again every two seconds: a peer of which something is missing is reached by a tunnel at once.
 */
import { write } from 'node:fs';
import type { Logger } from 'pino';
import { DIRECT_SLOT, VNET_HEADER } from '../../../asm/layout/memory.ts';
import type { Config } from '../../config/schema.ts';
import type { Desired } from '../../control/desired.ts';
import type { DirectWay, Peer, Tunnel } from '../../control/topology.ts';
import type { WorkerPool } from '../../dataplane/pool.ts';
import { hasTable, nft, nftScript, withoutTable } from '../../host/nft.ts';
import { formatMac, type Mac } from '../../net/mac.ts';
import { covers, type Prefix, single } from '../../net/prefix.ts';
import type { Addon } from '../../phy/addon.ts';
import type { Controller } from '../controller.ts';
import { type DirectDevice, directDevice, neighboursOf, onOneSubnet } from './direct-device.ts';
import { type DirectBlocks, directFilter } from './direct-filter.ts';
import { DIRECT_TABLE, directScript } from './direct-rules.ts';

export interface DirectState {
  /** Where peers are looked for; null: nowhere. */
  readonly device: string | null;
  /** Why nobody is reached without encapsulation; null: nothing is in the way. */
  readonly fault: string | null;
}

/** Why a peer is not reached without encapsulation. */
export interface Indirect {
  readonly reason: string;
  /** It should be: both nodes are configured so, and on one subnet. */
  readonly isFault: boolean;
}

const LOOK_MS = 2_000;
/** How long both ends know of each other before the first packet: the peer looks as often as this node does. */
const SETTLE_MS = 5_000;
const ETHERNET = 14;
const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const;

export interface DirectParts {
  readonly config: Config;
  readonly addon: Addon;
  readonly pool: WorkerPool;
  readonly controller: Controller;
  /** Whether the underlay is in this process's network namespace. */
  readonly isHere: boolean;
  /** Called when this node takes such packets, or no longer does. */
  readonly changed: () => void;
  readonly log: Logger;
}

export class DirectPeers {
  readonly #parts: DirectParts;
  #device: DirectDevice | undefined;
  /** This thread's descriptors of the workers' sockets. */
  #sockets: readonly number[] = [];
  /** What the kernel has. */
  #script = '';
  #filter = '';
  #fault: string | undefined;
  #ways: ReadonlyMap<string, DirectWay> = new Map();
  /** Why a peer has no way, by its name. */
  #reasons: ReadonlyMap<string, Indirect> = new Map();
  /** Since when a peer answers under a MAC, ms. */
  #since = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(parts: DirectParts) {
    this.#parts = parts;
  }

  get state(): DirectState {
    return { device: this.#device?.name ?? null, fault: this.#fault ?? null };
  }

  /** Whether this node takes packets without encapsulation. */
  get isOpen(): boolean {
    return this.#sockets.length > 0 && this.#fault === undefined;
  }

  /** Why a peer is not reached without encapsulation; undefined: it is, or nobody is to be. */
  reason(peer: string): Indirect | undefined {
    return this.#reasons.get(peer);
  }

  start(): void {
    const { config, isHere } = this.#parts;
    if (config.direct === 'off') {
      // What an earlier daemon has left would keep the peers' packets from the kernel.
      if (isHere) void nft(withoutTable(DIRECT_TABLE.family, DIRECT_TABLE.name)).catch(() => {});
      return;
    }
    if (!isHere) {
      this.#fault = 'there are no packet sockets without root';
      return;
    }
    this.#timer = setInterval(() => this.follow(), LOOK_MS);
    this.follow();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#running;
    this.#closeSockets();
  }

  /** Looks now, unless that is being done. */
  follow(): void {
    if (this.#timer === undefined) return;
    this.#running ??= this.#lookAndSay().finally(() => {
      this.#running = undefined;
    });
  }

  /** Puts the table back that a firewall which was loaded anew has flushed. */
  async check(): Promise<void> {
    if (this.#script === '') return;
    const isThere = await hasTable(DIRECT_TABLE.family, DIRECT_TABLE.name).catch(() => false);
    if (!isThere) this.#script = '';
  }

  /** Sends an IP packet by a way of its own, whatever the tables say. */
  probe({ way }: Tunnel, packet: Uint8Array): Promise<Error | undefined> {
    const [socket] = this.#sockets;
    if (socket === undefined || !way) return Promise.resolve(new Error('there is no packet socket'));
    const frame = Buffer.alloc(VNET_HEADER + ETHERNET + packet.length);
    frame.set(way.remoteMac, VNET_HEADER);
    frame.set(way.localMac, VNET_HEADER + 6);
    frame.writeUInt16BE(ETHERTYPE[(packet[0] ?? 0) >> 4 === 6 ? 6 : 4], VNET_HEADER + 12);
    frame.set(packet, VNET_HEADER + ETHERNET);
    return new Promise((resolve) => write(socket, frame, (error) => resolve(error ?? undefined)));
  }

  async #lookAndSay(): Promise<void> {
    const wasOpen = this.isOpen;
    try {
      const { live } = this.#parts.controller;
      if (!live) return;
      const device = await this.#open(live.desired);
      this.#fault = undefined;
      this.#use(await this.#meet(device, live.desired.peers));
    } catch (error) {
      const fault = (error as Error).message;
      if (fault !== this.#fault) this.#parts.log.warn(`nobody is reached without encapsulation: ${fault}`);
      this.#fault = fault;
      this.#reasons = new Map();
      this.#since.clear();
      this.#use(new Map());
    }
    if (this.isOpen !== wasOpen) this.#parts.changed();
  }

  /** Brings device, rules, filter and sockets to what is live. @throws where one of them cannot be had */
  async #open(desired: Desired): Promise<DirectDevice> {
    const { underlay } = this.#parts.config;
    const first = underlay.family === 'ipv4' ? 4 : 6;
    const own = [...underlay.addresses].sort(
      (a, b) => Number(b.family === first) - Number(a.family === first),
    );
    const device = await directDevice(own);
    if (device.index !== this.#device?.index) {
      await this.#dropSockets();
      // A chain goes with its device.
      this.#script = '';
    }
    this.#device = device;
    const blocks = blocksOf(desired, this.#parts.config);
    const nodes = desired.peers.flatMap(({ nodeAddresses }) => nodeAddresses);
    const script = directScript(device.name, blocks, nodes);
    if (script !== this.#script) {
      await nftScript(script);
      this.#script = script;
    }
    const filter = directFilter(blocks);
    if (this.#sockets.length === 0) await this.#openSockets(device, filter);
    else if (filter !== this.#filter)
      for (const fd of this.#sockets) this.#parts.addon.filterPackets(fd, filter);
    this.#filter = filter;
    return device;
  }

  async #openSockets({ name }: DirectDevice, filter: string): Promise<void> {
    const { addon, pool, config } = this.#parts;
    const { bufferBytes } = config.underlay;
    const opened: number[] = [];
    try {
      for (let i = 0; i < config.workers; i++) {
        const group = config.workers > 1 ? process.pid & 0xffff : undefined;
        const fd = addon.openPacket({
          interface: name,
          filter,
          group,
          receiveBuffer: bufferBytes,
          sendBuffer: bufferBytes,
        });
        opened.push(addon.duplicate(fd));
        await pool.ask(i, { type: 'adopt-tap', slot: DIRECT_SLOT, fds: [addon.release(fd)] });
      }
    } finally {
      this.#sockets = opened;
    }
  }

  async #dropSockets(): Promise<void> {
    const workers = this.#sockets.length;
    this.#closeSockets();
    for (let i = 0; i < workers; i++)
      await this.#parts.pool.ask(i, { type: 'drop', slot: DIRECT_SLOT, queues: 1 }).catch(() => {});
  }

  #closeSockets(): void {
    for (const fd of this.#sockets) this.#parts.addon.close(fd);
    this.#sockets = [];
  }

  /** Ways to the peers that are on a subnet of the device, answer there, and want it. */
  async #meet(device: DirectDevice, peers: readonly Peer[]): Promise<Map<string, DirectWay>> {
    const reasons = new Map<string, Indirect>();
    const says = (name: string, reason: string, isFault: boolean) => reasons.set(name, { reason, isFault });
    const wanted = new Map<Peer, Pick<DirectWay, 'local' | 'remote'>>();
    for (const peer of peers) {
      const ends = onOneSubnet(device, peer.addresses);
      if (!peer.takesDirect) says(peer.name, 'its node does not ask for it', false);
      else if (!ends) says(peer.name, `it is on no subnet of ${device.name}`, false);
      else wanted.set(peer, ends);
    }
    const remotes = [...wanted.values()].map(({ remote }) => remote);
    const macs = await neighboursOf(device, remotes);
    const owners = ownersOf([...macs.values()]);
    const ways = new Map<string, DirectWay>();
    const since = new Map<string, number>();
    const now = performance.now();
    for (const [{ name }, { local, remote }] of wanted) {
      const mac = macs.get(remote.text);
      if (!mac) says(name, `${remote.text} does not answer on ${device.name}`, true);
      // Somebody answers for others: what is sent there crosses a router.
      else if ((owners.get(formatMac(mac)) ?? 0) > 1)
        says(name, `${formatMac(mac)} answers for more than one node`, true);
      else {
        const key = `${name} ${formatMac(mac)}`;
        const from = this.#since.get(key) ?? now;
        since.set(key, from);
        const isSettled = now - from >= SETTLE_MS;
        ways.set(name, { local, remote, localMac: device.mac, remoteMac: mac, isSettled });
      }
    }
    this.#since = since;
    this.#reasons = reasons;
    return ways;
  }

  /** Tells the controller where something has changed. */
  #use(found: ReadonlyMap<string, DirectWay>): void {
    const ways = new Map(
      [...found].map(([name, way]): [string, DirectWay] => {
        const before = this.#ways.get(name);
        return [name, before && isSameWay(before, way) ? before : way];
      }),
    );
    const isSame =
      ways.size === this.#ways.size && [...ways].every(([name, way]) => this.#ways.get(name) === way);
    this.#ways = ways;
    if (!isSame) this.#parts.controller.direct(ways);
  }
}

function blocksOf({ node, peers, clusterCIDRs }: Desired, { podNetwork, underlay }: Config): DirectBlocks {
  return {
    ranges: node.podCIDRs,
    own: outermost([...underlay.addresses, ...node.internalIPs].map(single)),
    pods: outermost([
      ...clusterCIDRs,
      ...podNetwork.serviceCIDRs,
      ...node.podCIDRs,
      ...peers.flatMap(({ podCIDRs }) => podCIDRs),
    ]),
  };
}

/** Without blocks that lie in others. */
function outermost(blocks: readonly Prefix[]): Prefix[] {
  const kept: Prefix[] = [];
  for (const block of [...blocks].sort((a, b) => a.bits - b.bits))
    if (!kept.some((outer) => covers(outer, block))) kept.push(block);
  return kept;
}

function ownersOf(macs: readonly Mac[]): Map<string, number> {
  const owners = new Map<string, number>();
  for (const mac of macs) owners.set(formatMac(mac), (owners.get(formatMac(mac)) ?? 0) + 1);
  return owners;
}

const isSameWay = (a: DirectWay, b: DirectWay): boolean =>
  a.isSettled === b.isSettled &&
  a.local.text === b.local.text &&
  a.remote.text === b.remote.text &&
  formatMac(a.localMac) === formatMac(b.localMac) &&
  formatMac(a.remoteMac) === formatMac(b.remoteMac);
