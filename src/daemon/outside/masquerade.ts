/**
 * Pods reach the world outside under the node's address: keeps the nftables table and the forwarding of the devices that
 * lead there. What is translated stays when the daemon ends, as pods and their connections do.
 */
import { readFile, writeFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import type { Desired } from '../../control/desired.ts';
import { ipQuery } from '../../host/iproute.ts';
import { hasTable, type NftCommand, nft, withoutTable } from '../../host/nft.ts';
import { parseAddress } from '../../net/address.ts';
import { masqueradeCommands, masqueradeTable } from './masquerade-rules.ts';

export interface MasqueradeState {
  readonly enabled: boolean;
  /** What keeps pods from the world outside; empty where nothing is known to. */
  readonly faults: readonly string[];
  readonly exceptCIDRs: readonly string[];
  /** Devices whose forwarding this daemon has switched on, by family. */
  readonly forwarding: { readonly ipv4: readonly string[]; readonly ipv6: readonly string[] };
}

const { family, name } = masqueradeTable;

export class Masquerade {
  readonly #config: Config;
  readonly #log: Logger;
  #of: Desired | undefined;
  #wanted: readonly NftCommand[] | undefined;
  #applied = '';
  #tableFault: string | undefined;
  #forwardingFaults: readonly string[] = [];
  readonly #switched = { 4: new Set<string>(), 6: new Set<string>() };

  constructor(config: Config, log: Logger) {
    this.#config = config;
    this.#log = log;
  }

  get state(): MasqueradeState {
    const { enabled, exceptCIDRs } = this.#config.masquerade;
    return {
      enabled,
      faults: [...(this.#tableFault === undefined ? [] : [this.#tableFault]), ...this.#forwardingFaults],
      exceptCIDRs: exceptCIDRs.map(({ text }) => text),
      forwarding: { ipv4: [...this.#switched[4]], ipv6: [...this.#switched[6]] },
    };
  }

  /** Brings the table to what a snapshot says. Never fails: pods among themselves need none of it. */
  async apply(desired: Desired): Promise<void> {
    const { enabled } = this.#config.masquerade;
    // The same objects while no node changes: there are thousands.
    if (this.#of?.peers === desired.peers && this.#of.node === desired.node) return;
    this.#of = desired;
    this.#wanted = enabled ? masqueradeCommands(desired, this.#config) : withoutTable(family, name);
    await this.#write(this.#wanted);
    if (enabled) await this.#forward();
  }

  /** Puts back what somebody has taken away: a firewall that is loaded anew flushes all tables. */
  async check(): Promise<void> {
    if (!this.#config.masquerade.enabled || !this.#wanted) return;
    const isThere = await hasTable(family, name).catch(() => false);
    if (!isThere) this.#applied = '';
    await this.#write(this.#wanted);
    await this.#forward();
  }

  async #write(commands: readonly NftCommand[]): Promise<void> {
    const wanted = JSON.stringify(commands);
    if (wanted === this.#applied) return;
    try {
      await nft(commands);
      this.#applied = wanted;
      this.#tableFault = undefined;
    } catch (error) {
      const { message } = error as Error;
      const fault = this.#config.masquerade.enabled ? `pods reach nobody outside: ${message}` : undefined;
      if (fault !== undefined && fault !== this.#tableFault) this.#log.warn(fault);
      this.#tableFault = fault;
    }
  }

  async #forward(): Promise<void> {
    if (this.#config.masquerade.forwarding === 'off') return;
    const faults: string[] = [];
    for (const version of [4, 6] as const) {
      const fault = await this.#forwardFamily(version);
      if (fault !== undefined) faults.push(fault);
    }
    for (const fault of faults) if (!this.#forwardingFaults.includes(fault)) this.#log.warn(fault);
    this.#forwardingFaults = faults;
  }

  /** @returns why packets are not forwarded */
  async #forwardFamily(version: 4 | 6): Promise<string | undefined> {
    const { clusterCIDRs } = this.#config.podNetwork;
    if (!clusterCIDRs.some(({ address }) => address.family === version)) return undefined;
    const base = `/proc/sys/net/ipv${version}/conf`;
    const setting = version === 4 ? 'forwarding' : 'force_forwarding';
    try {
      if ((await readFile(`${base}/all/forwarding`, 'utf8')).trim() !== '0') return undefined;
    } catch {
      return undefined; // A kernel without this family.
    }
    for (const device of await this.#devices(version)) {
      const file = `${base}/${device}/${setting}`;
      try {
        if ((await readFile(file, 'utf8')).trim() !== '0') continue;
        await writeFile(file, '1');
        this.#switched[version].add(device);
        this.#log.info({ device }, `net.ipv${version}.conf.${device}.${setting} is set to 1 for masquerade`);
      } catch (error) {
        return (
          `pods reach nobody outside over IPv${version}: ${(error as Error).message}: ` +
          `net.ipv${version}.conf.all.forwarding must be 1` +
          (version === 6 ? ', or Linux 6.17 is needed, where devices forward one by one' : '')
        );
      }
    }
    return undefined;
  }

  /** Where pods' packets come from, and where replies do: default routes and the underlay. */
  async #devices(version: 4 | 6): Promise<Set<string>> {
    const [routes, links] = await Promise.all([
      ipQuery(['route show default'], { family: version }),
      ipQuery(['address show'], { family: version }),
    ]);
    const devices = new Set(['ow-node', 'ow-forward']);
    for (const { dev, nexthops } of routes as { dev?: string; nexthops?: { dev?: string }[] }[])
      for (const device of [dev, ...(nexthops ?? []).map((hop) => hop.dev)])
        if (device !== undefined) devices.add(device);
    const own = new Set(this.#config.underlay.addresses.map(({ text }) => text));
    for (const { ifname, addr_info = [] } of links as { ifname: string; addr_info?: { local?: string }[] }[])
      if (addr_info.some(({ local }) => own.has(parseAddress(local ?? '')?.text ?? ''))) devices.add(ifname);
    return devices;
  }
}
