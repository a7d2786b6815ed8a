/**
 * What stands before the tunnel's header of a superframe that the kernel splits (asm/stage/inject.ts).
 *
 *     │ Ethernet, to the injection TAP │ IPv4 or IPv6 │ UDP │ VXLAN or GENEVE …
 *
 * Lengths, identification, checksums and the source port are zero: the data path fills them in.
 */
import type { Config } from '../config/schema.ts';
import type { Tunnel } from '../control/topology.ts';
import { derivedMac } from '../net/mac.ts';
import { outerIpHeader } from './tunnel-header.ts';

const ETHERNET = 14;
const IP = { 4: 20, 6: 40 } as const;
/** Bytes from the IP header's start to the protocol of what follows. */
const PROTOCOL = { 4: 9, 6: 6 } as const;
const UDP = 8;
const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const;
const PROTOCOL_UDP = 17;

/** MAC of a node's injection TAP. */
export const injectionMac = (node: string) => derivedMac('injection', node);

/** Settings that shape it. */
export type OuterSettings = Pick<Config, 'node' | 'ports'> & {
  readonly underlay: Pick<Config['underlay'], 'dscp' | 'ttl'>;
};

/** @throws TypeError for what has no UDP header */
export function outerHeader(
  { encapsulation, family, local, remote }: Pick<Tunnel, 'encapsulation' | 'family' | 'local' | 'remote'>,
  { node, ports, underlay }: OuterSettings,
): Uint8Array {
  if (encapsulation === 'ipip' || encapsulation === 'direct')
    throw new TypeError(`${encapsulation} has no UDP header`);
  const header = new Uint8Array(ETHERNET + IP[family] + UDP);
  const view = new DataView(header.buffer);
  header.set(injectionMac(node), 0);
  header.set(derivedMac('injection source', node), 6);
  view.setUint16(12, ETHERTYPE[family]);
  // The node's kernel forwards the frame, which takes one hop.
  const ttl = Math.min(underlay.ttl + 1, 255);
  header.set(outerIpHeader({ family, local, remote }, { dscp: underlay.dscp, ttl }), ETHERNET);
  view.setUint8(ETHERNET + PROTOCOL[family], PROTOCOL_UDP);
  view.setUint16(ETHERNET + IP[family] + 2, ports[encapsulation]);
  return header;
}
