/**
 * The node's two TAPs and the routes to them.
 *
 *     local process ──► rule iif lo ──► table T   ──► ow-node    "the pod's own node", always admitted by policy
 *     forwarded     ──► any rule    ──► table T+1 ──► ow-forward judged by its source, like tunnel traffic
 *     data path     ──► ow-node ──► the node's own processes, or out by the kernel's routes
 */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import type { Desired } from '../control/desired.ts';
import { ipBatch, ipQuery } from '../host/iproute.ts';
import type { Address } from '../net/address.ts';
import { derivedMac } from '../net/mac.ts';
import { covers } from '../net/prefix.ts';
import { type NodeInterface, nodeLines } from './interfaces.ts';

export const nodeTaps = [
  { kind: 'node', device: 'ow-node', slot: 0 },
  { kind: 'forward', device: 'ow-forward', slot: 1 },
] as const;

/** Slots from here on are pods'. */
export const FIRST_POD_SLOT = nodeTaps.length;

export const nodeTapMac = (kind: 'node' | 'forward', node: string) => derivedMac('tap', kind, node);

/** Families that this host's kernel has. */
const families: readonly (4 | 6)[] = existsSync('/proc/sys/net/ipv6') ? [4, 6] : [4];

/** Brings up what a snapshot says of the node; does nothing when that is what is there. */
export class NodePorts {
  readonly #config: Config;
  readonly #log: Logger;
  #applied = '';

  constructor(config: Config, log: Logger) {
    this.#config = config;
    this.#log = log;
  }

  async apply(desired: Desired, mtu: number): Promise<void> {
    const interfaces = this.#interfaces(desired, mtu);
    const lines = interfaces.flatMap(nodeLines);
    const wanted = lines.join('\n');
    if (wanted === this.#applied) return;
    await Promise.all(interfaces.map(({ device }) => this.#settings(device)));
    await ipBatch(lines);
    await this.#rules();
    this.#applied = wanted;
  }

  #interfaces(desired: Desired, mtu: number): NodeInterface[] {
    const { name, podNetworkAddresses } = desired.node;
    const { routeTable } = this.#config.podNetwork;
    const outliers = desired.peers
      .flatMap(({ podCIDRs }) => podCIDRs)
      .filter((block) => !desired.clusterCIDRs.some((cluster) => covers(cluster, block)));
    const has = ({ family }: Address) => families.includes(family);
    const prefixes = [
      ...new Map([...desired.clusterCIDRs, ...outliers].map((one) => [one.text, one])).values(),
    ].filter(({ address }) => has(address));
    const source = (family: 4 | 6): Address | undefined =>
      [...this.#config.underlay.addresses, ...podNetworkAddresses].find(
        (address) => address.family === family,
      );
    return nodeTaps.map(({ kind, device }) => ({
      device,
      mac: nodeTapMac(kind, name),
      mtu,
      addresses: kind === 'node' ? podNetworkAddresses.filter(has) : [],
      routes: prefixes.map((prefix) => ({
        prefix,
        source: kind === 'node' ? source(prefix.address.family) : undefined,
      })),
      table: kind === 'node' ? routeTable : routeTable + 1,
    }));
  }

  async #rules(): Promise<void> {
    const { routeTable, rulePreference } = this.#config.podNetwork;
    for (const family of families) {
      const lines: string[] = [];
      const there = await ipQuery(['rule show'], { family });
      const has = (preference: number) => there.some(({ priority }) => priority === preference);
      if (!has(rulePreference)) {
        lines.push(`rule add preference ${rulePreference} iif lo lookup ${routeTable}`);
      }
      if (!has(rulePreference + 1)) {
        lines.push(`rule add preference ${rulePreference + 1} lookup ${routeTable + 1}`);
      }
      await ipBatch(lines, { family });
    }
  }

  /** Per interface only: what holds for all of the host is not Overweft's. */
  async #settings(device: string): Promise<void> {
    const set = async (path: string, value: string) => {
      try {
        await writeFile(`/proc/sys/net/${path}`, value);
      } catch (error) {
        this.#log.warn({ err: error }, `${path} cannot be set to ${value}`);
      }
    };
    // Loose: other nodes reach this one's pod network address from their underlay addresses.
    await set(`ipv4/conf/${device}/rp_filter`, '2');
    if (!families.includes(6)) return;
    await set(`ipv6/conf/${device}/disable_ipv6`, '0');
    await set(`ipv6/conf/${device}/accept_ra`, '0');
  }
}
