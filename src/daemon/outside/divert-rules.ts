/**
 * What arrives for a Service from outside goes to the data path before the kernel takes it for its own, as a table of
 * nftables. Pure.
 *
 *     device of the host ─► ingress hook ─┬─ a Service's address, protocol and port ─► ow-forward ─► data path
 *     lo: own processes                   │                                   own ──► ow-node
 *                                         ├─ an ICMP error that quotes what came from one ─► the same
 *                                         ├─ an address that is Services' alone ─► dropped
 *                                         └─ anything else ─► the kernel
 *
 * Routing could not do it: addresses of the node are local, and the kernel looks those up before any other rule. The
 * sets hold one element a frontend; no rule is one Service's. Fragments behind the first have no ports: the first leaves
 * its identification for them. What an ICMP error quotes lies at fixed offsets, unless it has IPv4 options or IPv6 extension
 * headers; then the kernel gets the error, and drops it.
 *
 *     │ ICMP, 8 bytes │ IPv4: … protocol at 9, source at 12 (20 bytes) │ source port …
 *     │               │ IPv6: … next header at 6, source at 8 (40 bytes) │ source port …
 */
import { address } from '../../net/address.ts';
import type { Mac } from '../../net/mac.ts';
import type { Knocks } from '../../service/outside.ts';

/** Family and name, as nft takes them. */
export const DIVERT_TABLE = 'netdev overweft';

const MORE_FRAGMENTS = '0x2000';
const FRAGMENT_OFFSET = '0x1fff';

/** Of what an ICMP error quotes: source, protocol, source port; in bits behind the outer IP header. */
const QUOTED4 = '@th,160,32 . @th,136,8 . @th,224,16';
const QUOTED6 = '@th,128,128 . @th,112,8 . @th,384,16';

/** IANA's numbers. */
const protocols: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };

/**
 * The table, whatever was there, with nothing in the sets that say what is diverted.
 * @param devices Ethernet devices of the host on which clients arrive
 * @param routerMac to whom frames must be for the data path to take them
 */
export function divertScript(devices: readonly string[], routerMac: Mac): string {
  const chains = devices.map(
    (device, i) => `
  chain device-${i} {
    type filter hook ingress device "${device}" priority 0; policy accept;
    jump ${device === 'lo' ? 'from-node' : 'from-outside'}
  }`,
  );
  return `table ${DIVERT_TABLE}
delete table ${DIVERT_TABLE}
table ${DIVERT_TABLE} {
  set frontends4 { type ipv4_addr . inet_proto . inet_service; }
  set frontends6 { type ipv6_addr . inet_proto . inet_service; }
  set quoted4 { typeof ${QUOTED4}; }
  set quoted6 { typeof ${QUOTED6}; }
  set addresses4 { type ipv4_addr; }
  set addresses6 { type ipv6_addr; }
  set fragments4 { typeof ip saddr . ip daddr . ip protocol . ip id; size 65535; flags dynamic,timeout; timeout 30s; }
  set fragments6 { typeof ip6 saddr . ip6 daddr . frag id; size 65535; flags dynamic,timeout; timeout 30s; }
${from('node', 'ow-node', routerMac)}
${from('outside', 'ow-forward', routerMac)}
${chains.join('')}
}
`;
}

function from(origin: 'node' | 'outside', tap: string, routerMac: Mac): string {
  const knocks4 = 'ip daddr . ip protocol . th dport @frontends4';
  const knocks6 = 'ip6 daddr . meta l4proto . th dport @frontends6';
  const datagram4 = 'ip saddr . ip daddr . ip protocol . ip id';
  const datagram6 = 'ip6 saddr . ip6 daddr . frag id';
  return `
  chain to-${tap} {
    @ll,0,48 set 0x${hex(routerMac)} fwd to "${tap}"
  }
  chain from-${origin} {
    ip frag-off & ${FRAGMENT_OFFSET} != 0 ${datagram4} @fragments4 goto to-${tap}
    ip frag-off & ${FRAGMENT_OFFSET} == 0 ${knocks4} goto knock-${origin}
    frag frag-off != 0 ${datagram6} @fragments6 goto to-${tap}
    frag frag-off != 0 goto other
    ${knocks6} goto knock-${origin}
    icmp type { destination-unreachable, time-exceeded, parameter-problem } ${QUOTED4} @quoted4 goto to-${tap}
    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } ${QUOTED6} @quoted6 goto to-${tap}
    goto other
  }
  chain knock-${origin} {
    ip frag-off & ${MORE_FRAGMENTS} != 0 add @fragments4 { ${datagram4} }
    exthdr frag exists add @fragments6 { ${datagram6} }
    goto to-${tap}
  }${
    origin === 'outside'
      ? ''
      : `
  chain other {
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip daddr @addresses4 drop
    ip6 daddr @addresses6 drop
  }`
  }`;
}

/** `ether daddr` would leave lo out, whose type is another. */
const hex = (mac: Mac): string => Buffer.from(mac).toString('hex');

/** From what the sets hold to what they should; empty: nothing changes. */
export function elementScript(before: Knocks, after: Knocks): string {
  return (['frontends', 'addresses'] as const)
    .flatMap((kind) =>
      ([4, 6] as const).flatMap((family) => {
        const gone = without(before[kind][family], after[kind][family]);
        const come = without(after[kind][family], before[kind][family]);
        return [
          ...elements('delete', `${kind}${family}`, gone),
          ...elements('add', `${kind}${family}`, come),
          ...(kind === 'frontends'
            ? [
                ...elements('delete', `quoted${family}`, gone.map(quoted)),
                ...elements('add', `quoted${family}`, come.map(quoted)),
              ]
            : []),
        ];
      }),
    )
    .join('');
}

/** `192.0.2.1 . tcp . 30080` in numbers, as nft takes what is compared with raw bytes. */
function quoted(frontend: string): string {
  const [host = '', protocol = '', port = ''] = frontend.split(' . ');
  const { bytes, family } = address(host);
  const number = Buffer.from(bytes.subarray(family === 4 ? 12 : 0)).toString('hex');
  return `0x${number} . ${protocols[protocol]} . ${port}`;
}

const without = (all: ReadonlySet<string>, some: ReadonlySet<string>): string[] =>
  [...all].filter((one) => !some.has(one));

const elements = (verb: 'add' | 'delete', set: string, list: readonly string[]): string[] =>
  list.length === 0 ? [] : [`${verb} element ${DIVERT_TABLE} ${set} { ${list.join(', ')} }\n`];
