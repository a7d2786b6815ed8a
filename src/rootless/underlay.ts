/**
 * Underlay sockets of a daemon without root: opened while the process is still in the host's network namespace, used by
 * the program that it executes inside. A socket stays in the namespace where it was opened.
 *
 *     bequeath ── descriptors and what they are ──▶ execve … execve ──▶ Inherited
 */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { env } from 'node:process';
import type { Config, Encapsulation } from '../config/schema.ts';
import type { RouteMtus } from '../daemon/peers/underlay.ts';
import { chooseOffloads } from '../daemon/ports/offloads.ts';
import { OpenedHere, type SocketSource, type UdpEncapsulation } from '../daemon/ports/socket-source.ts';
import type { Address } from '../net/address.ts';
import { parseAddress } from '../net/address.ts';
import type { Addon, RawIpSocket, UdpSocket } from '../phy/addon.ts';
import { RootlessError } from './error.ts';

/** Where the bequest is written, as JSON. */
export const BEQUEST = 'OVERWEFT_UNDERLAY';

interface Bequest {
  /** What the tunnels end at, which is not to be seen from inside. */
  readonly addresses: readonly string[];
  readonly device: string | undefined;
  /** MTU of the device with this node's address. */
  readonly mtu: number | undefined;
  /** By `vxlan/4`, `send/6` and their like. */
  readonly sockets: Readonly<Record<string, readonly UdpSocket[]>>;
  /** By family: sockets that only ask for routes. */
  readonly lookUps: Readonly<Record<string, number>>;
}

/**
 * Opens all that a node may need: a peer of the other encapsulation may come later, and then it is too late.
 * @throws RootlessError where the configuration asks for what only root has
 */
export function openUnderlay(addon: Addon, config: Config): Bequest {
  if (config.fallbackEncapsulations.includes('ipip'))
    throw new RootlessError(noRaw('fallbackEncapsulations'));
  const ipip = [config, ...config.peers].find(({ encapsulation }) => encapsulation === 'ipip');
  if (ipip) throw new RootlessError(noRaw('name' in ipip ? `peer ${ipip.name}` : 'encapsulation'));
  const source = new OpenedHere(addon, config, chooseOffloads(config, addon.probe()).udpGro.used);
  const sockets: Record<string, readonly UdpSocket[]> = {};
  const lookUps: Record<string, number> = {};
  for (const local of config.underlay.addresses) {
    const { family, text } = local;
    for (const encapsulation of ['vxlan', 'geneve'] as const) {
      try {
        sockets[`${encapsulation}/${family}`] = source.receivers(encapsulation, local);
      } catch (error) {
        // Somebody else's port is in the way only where this node's own encapsulation is on it.
        const isForeign = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
        if (!isForeign || encapsulation === config.encapsulation) throw error;
      }
    }
    sockets[`send/${family}`] = source.senders(local);
    const asked = addon.openUdp({
      address: text,
      port: 0,
      device: config.underlay.interface,
      freebind: true,
    });
    lookUps[family] = asked.fd;
  }
  return {
    addresses: config.underlay.addresses.map(({ text }) => text),
    device: config.underlay.interface,
    mtu: ownMtu(config),
    sockets,
    lookUps,
  };
}

/**
 * Gives the sockets to the next program, and to every command that this process runs until then.
 * @returns what BEQUEST is to be set to
 */
export function bequeath(addon: Addon, { sockets, lookUps, ...rest }: Bequest): string {
  const bequest: Bequest = {
    ...rest,
    sockets: mapValues(sockets, (list) =>
      list.map((socket) => ({ ...socket, fd: addon.bequeath(socket.fd) })),
    ),
    lookUps: mapValues(lookUps, (fd) => addon.bequeath(fd)),
  };
  return JSON.stringify(bequest);
}

const mapValues = <From, To>(map: Readonly<Record<string, From>>, to: (value: From) => To) =>
  Object.fromEntries(Object.entries(map).map(([key, value]) => [key, to(value)]));

const isTaken = 'its port was in use when this daemon began, which opens nothing later';

const noRaw = (what: string) =>
  `${what}: ipip needs raw sockets of the host, which only root can open: must be vxlan or geneve with --rootless`;

function ownMtu({ underlay }: Config): number | undefined {
  const own = Object.entries(networkInterfaces()).find(([, addresses]) =>
    addresses?.some(({ address }) =>
      underlay.addresses.some(({ text }) => text === parseAddress(address)?.text),
    ),
  );
  const device = underlay.interface ?? own?.[0];
  if (device === undefined) return undefined;
  return Number(readFileSync(`/sys/class/net/${device}/mtu`, 'utf8'));
}

/** What was bequeathed to this process; undefined where nothing was. */
export function inherit(addon: Addon): Inherited | undefined {
  const text = env[BEQUEST];
  // For this process alone: the commands that it runs get neither.
  delete env[BEQUEST];
  return text === undefined ? undefined : new Inherited(addon, JSON.parse(text) as Bequest);
}

export class Inherited implements SocketSource {
  readonly #addon: Addon;
  readonly #bequest: Bequest;

  constructor(addon: Addon, bequest: Bequest) {
    this.#addon = addon;
    this.#bequest = bequest;
    for (const { fd } of Object.values(bequest.sockets).flat()) addon.inherit(fd);
    for (const fd of Object.values(bequest.lookUps)) addon.inherit(fd);
  }

  /** Encapsulations whose sockets are not open over every family that any is open over, and why. */
  get unusable(): ReadonlyMap<Encapsulation, string> {
    const families = Object.keys(this.#bequest.lookUps);
    const closed = (['geneve', 'vxlan'] as const).filter(
      (one) => !families.every((family) => this.#bequest.sockets[`${one}/${family}`]),
    );
    return new Map<Encapsulation, string>([
      ...closed.map((one): [Encapsulation, string] => [one, isTaken]),
      ['ipip', 'it needs raw sockets of the host, which only root can open'],
    ]);
  }

  /** The configuration with the underlay that was found where it can be seen. */
  on(config: Config): Config {
    const { addresses, device } = this.#bequest;
    return {
      ...config,
      underlay: {
        ...config.underlay,
        addresses: addresses.flatMap((text) => parseAddress(text) ?? []),
        interface: device,
      },
    };
  }

  receivers(encapsulation: UdpEncapsulation, { family }: Address): readonly UdpSocket[] {
    const opened = this.#bequest.sockets[`${encapsulation}/${family}`];
    if (opened) return opened;
    throw new Error(`${encapsulation} over IPv${family}: ${isTaken}`);
  }

  senders({ family }: Address): readonly UdpSocket[] {
    return this.#bequest.sockets[`send/${family}`] ?? [];
  }

  raw(_protocol: 4 | 41, { family }: Address): RawIpSocket {
    throw new Error(noRaw(`a peer over IPv${family}`));
  }

  /** Routes of the namespace where the sockets were opened. */
  readonly lookUp = async (remotes: readonly Address[]): Promise<RouteMtus> => ({
    own: this.#bequest.mtu,
    byRemote: new Map(
      remotes.flatMap((remote): [string, number][] => {
        const mtu = this.#mtu(remote);
        return mtu === undefined ? [] : [[remote.text, mtu]];
      }),
    ),
  });

  #mtu({ text, family }: Address): number | undefined {
    const fd = this.#bequest.lookUps[family];
    if (fd === undefined) return undefined;
    try {
      return this.#addon.pathMtu(fd, text);
    } catch {
      return undefined; // There is no route now.
    }
  }
}
