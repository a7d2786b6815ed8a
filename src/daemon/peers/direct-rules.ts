/**
 * What the node's kernel must not take of what peers send without a tunnel, as a table of nftables. Pure.
 *
 *     device of the underlay ─┬─► packet socket ─► data path
 *                             └─► ingress hook: dropped
 *
 * The kernel would route the same packets once more. The table stays when the daemon ends: until the next one they go nowhere.
 */
import type { Address } from '../../net/address.ts';
import type { Prefix } from '../../net/prefix.ts';
import type { DirectBlocks } from './direct-filter.ts';

/** Family and name, as nft takes them. */
export const DIRECT_TABLE = { family: 'netdev', name: 'overweft-direct' } as const;
const NAME = `${DIRECT_TABLE.family} ${DIRECT_TABLE.name}`;

/** Before Services are diverted (outside/divert-rules.ts). */
const PRIORITY = -10;

/** The table, whatever was there. @param nodes addresses of the other nodes */
export function directScript(
  device: string,
  { ranges, own, pods }: DirectBlocks,
  nodes: readonly Address[],
): string {
  const sets = ([4, 6] as const).flatMap((family) => {
    const of = (list: readonly Prefix[]) => list.filter(({ address }) => address.family === family);
    const others = nodes.filter((one) => one.family === family);
    return [
      set(`ranges${family}`, family, of(ranges).map(textOf)),
      set(`own${family}`, family, of(own).map(textOf)),
      set(`pods${family}`, family, of(pods).map(textOf)),
      set(`nodes${family}`, family, others.map(textOf)),
    ];
  });
  return `add table ${NAME}
delete table ${NAME}
table ${NAME} {
${sets.join('\n')}
  chain arriving {
    type filter hook ingress device "${device}" priority ${PRIORITY}; policy accept;
    ip daddr @ranges4 ip saddr @pods4 drop
    ip daddr @ranges4 ip saddr @nodes4 drop
    ip daddr @own4 ip saddr @pods4 drop
    ip6 daddr @ranges6 ip6 saddr @pods6 drop
    ip6 daddr @ranges6 ip6 saddr @nodes6 drop
    ip6 daddr @own6 ip6 saddr @pods6 drop
  }
}
`;
}

const textOf = ({ text }: { readonly text: string }): string => text;

function set(name: string, family: 4 | 6, elements: readonly string[]): string {
  const type = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const list = elements.length === 0 ? '' : ` elements = { ${elements.join(', ')} }`;
  return `  set ${name} { type ${type}; flags interval; auto-merge;${list} }`;
}
