/**
 * Speaks for load balancers' addresses on the local network.
 *
 *     speakersOf ─► this node's ─► address on the device, with a short life ─► the kernel answers ARP and ND
 *                                          └─ new: gratuitous ARP, unsolicited ND
 *
 * The kernel takes an address away by itself when nobody prolongs its life, so that a node whose daemon has died does
 * not go on speaking beside the next one. Nothing of the host answers on such an address: divert-rules drops what is for
 * no Service.
 */
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import { ipBatch } from '../../host/iproute.ts';
import { shownLinks } from '../../host/links.ts';
import { type Address, parseAddress } from '../../net/address.ts';
import { parseMac } from '../../net/mac.ts';
import { contains, parsePrefix } from '../../net/prefix.ts';
import { FrameSender } from '../../phy/capture.ts';
import { maySpeak, type Speaker, speakersOf } from '../../service/speakers.ts';
import type { Controller } from '../controller.ts';
import type { Liveness } from '../peers/liveness.ts';
import { announcements } from './announcement.ts';

/** How often it is asked who lives, and lives of addresses are prolonged; three times missed and they are gone. */
const BEAT_MS = 2_000;
const LIFE_SECONDS = 7;

/** How often neighbours are told of an address that has come: a frame may be lost. */
const ANNOUNCEMENTS = 3;

interface AnnouncedAddress {
  readonly address: string;
  readonly services: readonly string[];
  /** Name of the node that speaks; null: none can serve it. */
  readonly node: string | null;
}

export interface AnnounceState {
  readonly addresses: readonly AnnouncedAddress[];
  /** Why this node does not speak as it should; null: it does. */
  readonly fault: string | null;
}

export interface AnnouncerParts {
  readonly config: Config;
  readonly controller: Controller;
  readonly liveness: Liveness;
  readonly log: Logger;
  /** Keeps all but Services from addresses, before this node has them. */
  readonly reserve: (addresses: readonly Address[]) => Promise<void>;
}

interface Device {
  readonly name: string;
  readonly mac: string;
  readonly addresses: readonly { readonly local: string; readonly prefixlen: number }[];
}

interface Spoken {
  readonly address: Address;
  readonly device: Device;
  announced: number;
}

export class Announcer {
  readonly #config: Config;
  readonly #controller: Controller;
  readonly #liveness: Liveness;
  readonly #log: Logger;
  readonly #reserve: (addresses: readonly Address[]) => Promise<void>;
  #speakers: readonly Speaker[] = [];
  /** By address text. */
  readonly #spoken = new Map<string, Spoken>();
  #fault: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor({ config, controller, liveness, log, reserve }: AnnouncerParts) {
    this.#config = config;
    this.#controller = controller;
    this.#liveness = liveness;
    this.#log = log;
    this.#reserve = reserve;
  }

  get state(): AnnounceState {
    return {
      addresses: this.#speakers.map(({ address, services, node }) => ({
        address: address.text,
        services,
        node: node ?? null,
      })),
      fault: this.#fault ?? null,
    };
  }

  start(): void {
    if (this.#config.loadBalancer.pools.length === 0) return;
    this.#timer = setInterval(() => void this.beat(), BEAT_MS);
  }

  /** Lets the next speaker begin at once. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#speakers = [];
    await this.#inTurn(() => this.#speak([]));
  }

  /** Speaks for what is this node's now. Never fails: the next beat tries again. */
  beat(): Promise<void> {
    const { live } = this.#controller;
    if (!live || this.#timer === undefined) return Promise.resolve();
    const { node, peers, services } = live.desired;
    const able = [
      ...(maySpeak(services.node?.labels ?? {}) ? [node.name] : []),
      ...peers
        .filter(({ isStatic, labels }) => !isStatic && maySpeak(labels))
        .filter(({ name }) => this.#liveness.of(name).state !== 'dead')
        .map(({ name }) => name),
    ];
    this.#speakers = speakersOf(services.services.values(), this.#config.loadBalancer.pools, able);
    const own = this.#speakers.filter((speaker) => speaker.node === node.name);
    return this.#inTurn(() => this.#speak(own.map(({ address }) => address)));
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work).then(
      () => {
        this.#fault = undefined;
      },
      (error: Error) => {
        const fault = `load balancers' addresses cannot be announced: ${error.message}`;
        if (fault !== this.#fault) this.#log.warn(fault);
        this.#fault = fault;
      },
    );
    return this.#last;
  }

  async #speak(addresses: readonly Address[]): Promise<void> {
    const wanted = new Map(addresses.map((address) => [address.text, address]));
    const gone = [...this.#spoken.values()].filter(({ address }) => !wanted.has(address.text));
    for (const { address } of gone) {
      this.#spoken.delete(address.text);
      this.#log.info({ address: address.text }, 'this node no longer speaks for the address');
    }
    // One whose life is over has gone by itself.
    for (const { address, device } of gone) await ipBatch([withdrawal(address, device.name)]).catch(() => {});
    if (wanted.size === 0) return;
    await this.#reserve(addresses);
    const devices = await this.#devices();
    for (const address of wanted.values()) {
      const device = this.#deviceFor(address, devices);
      const known = this.#spoken.get(address.text);
      if (known?.device.name === device.name) continue;
      this.#spoken.set(address.text, { address, device, announced: 0 });
      this.#log.info({ address: address.text, device: device.name }, 'this node speaks for the address');
    }
    await ipBatch([...this.#spoken.values()].map(({ address, device }) => lease(address, device.name)));
    this.#announce();
  }

  #announce(): void {
    const due = [...this.#spoken.values()].filter(({ announced }) => announced < ANNOUNCEMENTS);
    for (const [name, list] of Map.groupBy(due, ({ device }) => device.name)) {
      for (const spoken of list) spoken.announced++;
      const mac = parseMac(list[0]?.device.mac ?? '');
      if (!mac) continue;
      using sender = new FrameSender(name);
      for (const { address } of list) for (const frame of announcements(address, mac)) sender.send(frame);
    }
  }

  async #devices(): Promise<Device[]> {
    return (await shownLinks()).map(({ ifname, address, addr_info = [] }) => ({
      name: ifname,
      mac: String(address),
      addresses: addr_info.flatMap(({ local, prefixlen }) =>
        local === undefined || prefixlen === undefined ? [] : [{ local, prefixlen }],
      ),
    }));
  }

  /** The device whose network the address belongs to, or else that of the underlay. */
  #deviceFor(address: Address, devices: readonly Device[]): Device {
    const { interface: named } = this.#config.loadBalancer;
    const own = new Set(this.#config.underlay.addresses.map(({ text }) => text));
    const found =
      named === undefined
        ? (devices.find(({ addresses }) =>
            addresses.some(({ local, prefixlen }) => {
              const network = parsePrefix(`${local}/${prefixlen}`);
              const isNetwork = network && network.length < (address.family === 4 ? 32 : 128);
              return isNetwork && contains(network, address);
            }),
          ) ??
          devices.find(({ addresses }) =>
            addresses.some(({ local }) => own.has(parseAddress(local)?.text ?? '')),
          ))
        : devices.find(({ name }) => name === named);
    if (found) return found;
    throw new Error(
      named === undefined
        ? `no device has a network with ${address.text}, nor this node's underlay address`
        : `loadBalancer.interface: there is no device ${named}`,
    );
  }
}

const block = ({ text, family }: Address): string => `${text}/${family === 4 ? 32 : 128}`;

/** Without preferred life it is nobody's source address (RFC 6724 §5, rule 3). */
const lease = (address: Address, device: string): string =>
  `address replace ${block(address)} dev ${device} valid_lft ${LIFE_SECONDS} preferred_lft 0` +
  (address.family === 6 ? ' nodad noprefixroute' : '');

const withdrawal = (address: Address, device: string): string =>
  `address delete ${block(address)} dev ${device}`;
