/**
 * The node's two TAPs and the routes to them.
 *
 *     local process ──► rule iif lo ──► table T   ──► ow-node    "the pod's own node", always admitted by policy
 *     forwarded     ──► any rule    ──► table T+1 ──► ow-forward judged by its source, like tunnel traffic
 *     data path     ──► ow-node ──► the node's own processes, or out by the kernel's routes
 */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import type { Desired } from '../../control/desired.ts';
import { gateway4, gateway6 } from '../../dataplane/tables.ts';
import { ipBatch, ipQuery } from '../../host/iproute.ts';
import type { ShownAddress } from '../../host/links.ts';
import { type Address, address } from '../../net/address.ts';
import { derivedMac } from '../../net/mac.ts';
import { contains, covers, type Prefix, prefix } from '../../net/prefix.ts';
import { type NodeInterface, nodeLines } from '../ports/interfaces.ts';

export const nodeTaps = [
  { kind: 'node', device: 'ow-node', slot: 0 },
  { kind: 'forward', device: 'ow-forward', slot: 1 },
] as const;

/** Slots from here on are pods'. */
export const FIRST_POD_SLOT = nodeTaps.length;

export const nodeTapMac = (kind: 'node' | 'forward', node: string) => derivedMac('tap', kind, node);

/** Who made a rule, as `ip rule` shows it: a number that rt_protos(5) leaves free. */
export const RULE_PROTOCOL = '244';

const firstOf = (family: 4 | 6, addresses: readonly Address[]): Address | undefined =>
  addresses.find((address) => address.family === family);

const host = ({ text, family }: Address): Prefix => prefix(`${text}/${family === 4 ? 32 : 128}`);

/** A block as `ip route show` writes it. */
const shown = ({ text, length, address }: Prefix): string =>
  length === 0 ? 'default' : length === (address.family === 4 ? 32 : 128) ? address.text : text;

/** Families that this host's kernel has. */
const families: readonly (4 | 6)[] = existsSync('/proc/sys/net/ipv6') ? [4, 6] : [4];

/** Brings up what a snapshot says of the node; does nothing when that is what is there. */
export class NodePorts {
  readonly #config: Config;
  readonly #own: readonly Address[];
  readonly #log: Logger;
  #applied: ReadonlySet<string> = new Set();

  /** @param own underlay addresses that this network namespace has */
  constructor(config: Config, own: readonly Address[], log: Logger) {
    this.#config = config;
    this.#own = own;
    this.#log = log;
  }

  async apply(desired: Desired, mtu: number): Promise<void> {
    const interfaces = this.#interfaces(desired, mtu);
    const lines = interfaces.flatMap(nodeLines);
    const wanted = new Set(lines);
    const added = lines.filter((line) => !this.#applied.has(line));
    if (added.length === 0 && wanted.size === this.#applied.size) return;
    await Promise.all(interfaces.map(({ device }) => this.#settings(device)));
    // There may be a route for each of thousands of Services; a changed link takes all with it.
    await ipBatch(added.every((line) => line.startsWith('route')) ? added : lines);
    await this.#rules();
    await this.#tidy(interfaces);
    this.#applied = wanted;
  }

  #interfaces(desired: Desired, mtu: number): NodeInterface[] {
    const { name, podNetworkAddresses, resolverAddresses } = desired.node;
    const { routeTable } = this.#config.podNetwork;
    const outliers = desired.peers
      .flatMap(({ podCIDRs }) => podCIDRs)
      .filter((block) => !desired.clusterCIDRs.some((cluster) => covers(cluster, block)));
    const has = ({ family }: Address) => families.includes(family);
    const prefixes = [
      ...new Map(
        [...desired.clusterCIDRs, ...outliers, ...this.#services(desired)].map((one) => [one.text, one]),
      ).values(),
    ].filter(({ address }) => has(address));
    const source = (family: 4 | 6) => firstOf(family, [...this.#own, ...podNetworkAddresses]);
    const nodes = desired.peers.flatMap(({ isStatic, probes }) => (isStatic ? [] : probes)).filter(has);
    return nodeTaps.map(({ kind, device }) => ({
      device,
      mac: nodeTapMac(kind, name),
      mtu,
      addresses: kind === 'node' ? [...podNetworkAddresses, ...resolverAddresses].filter(has) : [],
      routes:
        kind === 'forward'
          ? prefixes.map((prefix) => ({ prefix, source: undefined }))
          : [
              ...prefixes.map((prefix) => ({ prefix, source: source(prefix.address.family) })),
              // To an underlay address a node replies outside the tunnel, so others are asked from within.
              ...nodes.map((node) => ({
                prefix: host(node),
                source: firstOf(node.family, podNetworkAddresses),
              })),
            ],
      table: kind === 'node' ? routeTable : routeTable + 1,
    }));
  }

  /** Where Services are: what the configuration says, and cluster IPs of which it does not know. */
  #services({ services }: Desired): Prefix[] {
    const { serviceCIDRs } = this.#config.podNetwork;
    const others = [...services.frontends.clusterIPs()]
      .map(address)
      .filter((one) => !serviceCIDRs.some((block) => contains(block, one)));
    return [...serviceCIDRs, ...others.map(host)];
  }

  /** New rules come before the old ones go: at no time do packets to pods take another way. */
  async #rules(): Promise<void> {
    const { routeTable, rulePreference } = this.#config.podNetwork;
    const wanted = [
      `preference ${rulePreference} iif lo lookup ${routeTable}`,
      `preference ${rulePreference + 1} lookup ${routeTable + 1}`,
    ];
    for (const family of families) {
      const there = (await ipQuery(['rule show'], { family })).filter(
        ({ protocol }) => protocol === RULE_PROTOCOL,
      );
      const texts = there.map(
        ({ priority, iif, table }) => `preference ${priority}${iif ? ` iif ${iif}` : ''} lookup ${table}`,
      );
      const added = wanted.filter((text) => !texts.includes(text)).map((text) => `rule add ${text}`);
      const removed = texts.filter((text) => !wanted.includes(text)).map((text) => `rule del ${text}`);
      await ipBatch(
        [...added, ...removed].map((line) => `${line} protocol ${RULE_PROTOCOL}`),
        { family },
      );
    }
  }

  /** Removes addresses and routes that another configuration, or another state of the cluster, has left. */
  async #tidy(interfaces: readonly NodeInterface[]): Promise<void> {
    for (const { device, addresses, routes, table } of interfaces) {
      const kept = new Set([
        ...addresses.map(({ text }) => text),
        ...routes.map(({ prefix }) => `${shown(prefix)} ${table}`),
      ]);
      const lines: string[] = [];
      for (const link of await ipQuery([`addr show dev ${device} scope global`])) {
        for (const { local, prefixlen } of (link.addr_info ?? []) as ShownAddress[])
          if (local !== undefined && !kept.has(local))
            lines.push(`addr del ${local}/${prefixlen} dev ${device}`);
      }
      for (const family of families) {
        const there = await ipQuery([`route show table all dev ${device}`], { family });
        for (const { dst, gateway, table: of } of there) {
          const isOurs = gateway === gateway4.text || gateway === gateway6.text;
          if (isOurs && !kept.has(`${dst} ${of}`)) lines.push(`route del ${dst} dev ${device} table ${of}`);
        }
      }
      await ipBatch(lines);
    }
  }

  /** Per interface only: what holds for all of the host is not Overweft's. */
  async #settings(device: string): Promise<void> {
    const set = async (path: string, value: string) => {
      const file = `/proc/sys/net/${path}`;
      try {
        // In a container these are read-only, and may be right.
        if ((await readFile(file, 'utf8')).trim() !== value) await writeFile(file, value);
      } catch (error) {
        this.#log.warn({ err: error }, `${path} cannot be set to ${value}`);
      }
    };
    // The data path has checked sources: other nodes' underlay addresses, and those of Services, lead elsewhere or nowhere.
    await set(`ipv4/conf/${device}/rp_filter`, '0');
    // What Services answer comes from an address of this node, and so do errors of its router.
    await set(`ipv4/conf/${device}/accept_local`, '1');
    if (!families.includes(6)) return;
    await set(`ipv6/conf/${device}/disable_ipv6`, '0');
    await set(`ipv6/conf/${device}/accept_ra`, '0');
  }
}
