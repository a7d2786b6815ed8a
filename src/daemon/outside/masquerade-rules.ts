/**
 * Which of the pods' connections leave under the node's address, as an nftables table. Pure.
 *
 *     pod ─► data path ─► ow-node ─► the kernel's routes ─► postrouting: masquerade ─► outside
 *
 * Tunnel datagrams are kept out of connection tracking: the chain of type nat switches it on for the whole namespace,
 * and it would cost something for each.
 */
import type { Config } from '../../config/schema.ts';
import type { Desired } from '../../control/desired.ts';
import type { NftCommand } from '../../host/nft.ts';
import type { Address } from '../../net/address.ts';
import { covers, type Prefix, single } from '../../net/prefix.ts';
import { injectionDevice } from '../ports/injection-tap.ts';

const family = 'inet';
export const masqueradeTable = { family, name: 'overweft-masquerade' } as const;

/** NF_IP_PRI_RAW and NF_IP_PRI_NAT_SRC, linux/netfilter_ipv4.h. */
const PRIORITY = { untracked: -300, source: 100 };

const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });
const match = (left: object, op: '==' | '!=', right: unknown) => ({ match: { op, left, right } });
const blocks = (prefixes: readonly Prefix[]) => ({
  set: prefixes.map(({ address: { text: addr }, length: len }) => ({ prefix: { addr, len } })),
});

/** One transaction that makes the table what it should be, whatever was there. */
export function masqueradeCommands(
  desired: Pick<Desired, 'node' | 'peers' | 'clusterCIDRs'>,
  config: Pick<Config, 'masquerade' | 'ports' | 'underlay'>,
): readonly NftCommand[] {
  const { node, peers, clusterCIDRs } = desired;
  const pods = [...clusterCIDRs, ...node.podCIDRs];
  const inside = [
    ...pods,
    ...peers.flatMap(({ podCIDRs, nodeAddresses }) => [...podCIDRs, ...nodeAddresses.map(single)]),
    ...config.underlay.addresses.map(single),
    ...config.masquerade.exceptCIDRs,
  ];
  const masqueraded = ([4, 6] as const).flatMap((version) => {
    const [from, to] = [pods, inside].map((list) => apart(list, version)) as [Prefix[], Prefix[]];
    if (from.length === 0) return [];
    const protocol = version === 4 ? 'ip' : 'ip6';
    return [
      [
        match(payload(protocol, 'saddr'), '==', blocks(from)),
        match(payload(protocol, 'daddr'), '!=', blocks(to)),
        // Source ports at random, so that two connections made at once do not fight for one (kubernetes#56903).
        { masquerade: { flags: 'fully-random' } },
      ],
    ];
  });
  const tunnels = match(payload('udp', 'dport'), '==', { set: [config.ports.vxlan, config.ports.geneve] });
  return [
    { add: { table: masqueradeTable } },
    ...chain('postrouting', { type: 'nat', hook: 'postrouting', prio: PRIORITY.source }, masqueraded),
    ...chain('arriving', { type: 'filter', hook: 'prerouting', prio: PRIORITY.untracked }, [
      ...config.underlay.addresses.map((address) => [
        match(payload(address.family === 4 ? 'ip' : 'ip6', 'daddr'), '==', address.text),
        tunnels,
        { notrack: null },
      ]),
      [match({ meta: { key: 'iifname' } }, '==', injectionDevice), { notrack: null }],
    ]),
    ...chain('leaving', { type: 'filter', hook: 'output', prio: PRIORITY.untracked }, [
      [tunnels, { notrack: null }],
    ]),
  ];
}

/** Makes a base chain and its rules anew; connections that it has translated before go on. */
function chain(name: string, base: object, rules: readonly (readonly object[])[]): NftCommand[] {
  const place = { family, table: masqueradeTable.name };
  return [
    { add: { chain: { ...place, name, ...base, policy: 'accept' } } },
    { flush: { chain: { ...place, name } } },
    ...rules.map((expr): NftCommand => ({ add: { rule: { ...place, chain: name, expr } } })),
  ];
}

/** Blocks of one family without those that lie in another: intervals of a set must not overlap. */
function apart(prefixes: readonly Prefix[], family: Address['family']): Prefix[] {
  const unique = [...new Map(prefixes.map((one) => [one.text, one])).values()]
    .filter(({ address }) => address.family === family)
    .sort((a, b) => a.length - b.length);
  const kept: Prefix[] = [];
  const wide: Prefix[] = [];
  for (const one of unique) {
    if (wide.some((block) => covers(block, one))) continue;
    kept.push(one);
    if (one.length < (family === 4 ? 32 : 128)) wide.push(one);
  }
  return kept;
}
