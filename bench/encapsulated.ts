// What a peer sends, byte by byte.
import type { Tunnel } from '../src/control/topology.ts';
import { tunnelHeader } from '../src/dataplane/tunnel-header.ts';
import { ethernetFrame } from './frames.ts';
import type { World } from './world.ts';

/** A packet inside a peer's tunnel, from the first byte that our socket sees. */
export function encapsulated({ config, desired }: World, tunnel: Tunnel, packet: Uint8Array): Uint8Array {
  const { encapsulation, family, peer } = tunnel;
  const header = tunnelHeader(tunnel, config);
  const ethernet = ethernetFrame(desired.node.routerMac, peer.routerMac, packet);
  if (encapsulation === 'ipip') {
    // Raw IPv4 sockets see the outer header, raw IPv6 sockets do not.
    if (family === 6) return packet;
    header[9] = packet[0] === 0x45 ? 4 : 41;
    return Buffer.concat([header, packet]);
  }
  if (encapsulation === 'vxlan' || config.geneve.payload === 'ethernet')
    return Buffer.concat([header, ethernet]);
  new DataView(header.buffer).setUint16(2, packet[0] === 0x45 ? 0x0800 : 0x86dd);
  return Buffer.concat([header, packet]);
}
