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

const ETHERNET = 14;
const IP = { 4: 20, 6: 40 } as const;
const UDP = 8;
const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const;
const PROTOCOL_UDP = 17;

/** MAC of a node's injection TAP. */
export const injectionMac = (node: string) => derivedMac('injection', node);

/** Settings that shape it. */
export type OuterSettings = Pick<Config, 'node' | 'ports'> & {
  readonly underlay: Pick<Config['underlay'], 'dscp' | 'ttl'>;
};

/** @throws TypeError for IPIP, which has no UDP header */
export function outerHeader(
  { encapsulation, family, local, remote }: Pick<Tunnel, 'encapsulation' | 'family' | 'local' | 'remote'>,
  { node, ports, underlay }: OuterSettings,
): Uint8Array {
  if (encapsulation === 'ipip') throw new TypeError('IPIP has no UDP header');
  const header = new Uint8Array(ETHERNET + IP[family] + UDP);
  const view = new DataView(header.buffer);
  header.set(injectionMac(node), 0);
  header.set(derivedMac('injection source', node), 6);
  view.setUint16(12, ETHERTYPE[family]);
  // The node's kernel forwards the frame, which takes one hop.
  const hops = Math.min(underlay.ttl + 1, 255);
  const ip = ETHERNET;
  if (family === 4) {
    view.setUint8(ip, 0x45);
    view.setUint8(ip + 1, underlay.dscp << 2);
    view.setUint16(ip + 6, 0x4000); // Don't Fragment
    view.setUint8(ip + 8, hops);
    view.setUint8(ip + 9, PROTOCOL_UDP);
    header.set(local.bytes.subarray(12), ip + 12);
    header.set(remote.bytes.subarray(12), ip + 16);
  } else {
    view.setUint32(ip, 0x60000000 | (underlay.dscp << 22));
    view.setUint8(ip + 6, PROTOCOL_UDP);
    view.setUint8(ip + 7, hops);
    header.set(local.bytes, ip + 8);
    header.set(remote.bytes, ip + 24);
  }
  view.setUint16(ip + IP[family] + 2, ports[encapsulation]);
  return header;
}
