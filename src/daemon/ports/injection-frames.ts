/**
 * Frames for the injection TAP that prove, before any traffic depends on it, that the kernel takes what is injected.
 *
 *     │ vnet, 24 │ Ethernet │ IP │ UDP │ tunnel header │ Ethernet │ IP │ …
 *
 * Pure. Headers as in asm/stage/inject.ts and asm/wire/vnet.ts.
 */
import { VNET_TUNNEL_HEADER } from '../../../asm/layout/memory.ts';
import type { Config } from '../../config/schema.ts';
import type { Tunnel } from '../../control/topology.ts';
import { outerHeader } from '../../dataplane/outer-header.ts';
import { innerPayload } from '../../dataplane/tunnel-header.ts';
import type { Address } from '../../net/address.ts';
import { checksum } from '../../net/checksum.ts';
import type { Mac } from '../../net/mac.ts';

const ETHERNET = 14;
const IP = { 4: 20, 6: 40 } as const;
const UDP = 8;
const TCP = 20;

// linux/virtio_net.h
const NEEDS_CSUM = 1;
const UDP_TUNNEL_CSUM = 8;
const GSO_TCPV4 = 1;
const GSO_UDP_TUNNEL = { 4: 0x20, 6: 0x40 } as const;
const TCP_CHECKSUM = 16;

/** Payload of each segment of the probe that the kernel has to understand; it holds two. */
const SEGMENT = 512;

/** An inner packet in one datagram, no superframe, checksums complete. */
export function packetFrame(
  tunnel: Tunnel,
  config: Config,
  sourcePort: number,
  sourceMac: Mac,
  packet: Uint8Array,
): Uint8Array {
  const outer = finishedOuter(
    outerHeader(tunnel, config),
    tunnel.family,
    sourcePort,
    innerPayload(tunnel, config, sourceMac, packet),
  );
  return Buffer.concat([Buffer.alloc(VNET_TUNNEL_HEADER), outer]);
}

/**
 * A superframe of two TCP segments inside a UDP datagram to `port` of this very node: what the kernel has understood
 * of it arrives there.
 */
export function localSuperframe(
  node: Pick<Config, 'node' | 'underlay'>,
  local: Address,
  port: number,
): { readonly frame: Uint8Array; readonly payload: number } {
  const { family } = local;
  const inner = Buffer.alloc(IP[4] + TCP + 2 * SEGMENT);
  inner[0] = 0x45;
  inner.writeUInt16BE(inner.length, 2);
  inner[8] = 1;
  inner[9] = 6;
  inner.set([192, 0, 0, 8, 192, 0, 0, 8], 12); // the IPv4 dummy address, RFC 7600
  inner.writeUInt16BE(checksum([inner.subarray(0, IP[4])]), 10);
  inner[IP[4] + 12] = 0x50;
  inner[IP[4] + 13] = 0x10;
  const pseudo = Buffer.concat([inner.subarray(12, 20), Buffer.from([0, 6, 0, 0])]);
  pseudo.writeUInt16BE(inner.length - IP[4], 10);
  inner.writeUInt16BE(0xffff - checksum([pseudo]), IP[4] + TCP_CHECKSUM);

  // A tunnel header of eight bytes and an Ethernet header, whatever they say.
  const payload = Buffer.concat([Buffer.alloc(8 + ETHERNET), inner]);
  const tunnel = { encapsulation: 'vxlan', family, local, remote: local } as const;
  const settings = { node: node.node, underlay: node.underlay, ports: { vxlan: port, geneve: port } };
  const outer = finishedOuter(outerHeader(tunnel, settings), family, port, payload, true);
  const innerNetwork = outer.length - inner.length;
  const vnet = Buffer.alloc(VNET_TUNNEL_HEADER);
  vnet[0] = NEEDS_CSUM | UDP_TUNNEL_CSUM;
  vnet[1] = GSO_TCPV4 | GSO_UDP_TUNNEL[family];
  vnet.writeUInt16LE(innerNetwork + IP[4] + TCP, 2);
  vnet.writeUInt16LE(SEGMENT, 4);
  vnet.writeUInt16LE(innerNetwork + IP[4], 6);
  vnet.writeUInt16LE(TCP_CHECKSUM, 8);
  vnet.writeUInt16LE(ETHERNET + IP[family], 20);
  vnet.writeUInt16LE(innerNetwork, 22);
  return { frame: Buffer.concat([vnet, outer]), payload: payload.length };
}

/** Fills in what the template leaves open; `isOpen` leaves the UDP checksum to the kernel. */
function finishedOuter(
  template: Uint8Array,
  family: 4 | 6,
  sourcePort: number,
  payload: Uint8Array,
  isOpen = false,
): Buffer {
  const frame = Buffer.concat([template, payload]);
  const ip = ETHERNET;
  const udp = ip + IP[family];
  const datagram = UDP + payload.length;
  if (family === 4) {
    frame.writeUInt16BE(IP[4] + datagram, ip + 2);
    frame.writeUInt16BE(checksum([frame.subarray(ip, udp)]), ip + 10);
  } else {
    frame.writeUInt16BE(datagram, ip + 4);
  }
  frame.writeUInt16BE(sourcePort, udp);
  frame.writeUInt16BE(datagram, udp + 4);
  const addresses = frame.subarray(family === 4 ? ip + 12 : ip + 8, udp);
  const pseudo = Buffer.from([0, 17, datagram >> 8, datagram & 0xff]);
  const sum = checksum([addresses, pseudo, ...(isOpen ? [] : [frame.subarray(udp)])]);
  // Zero would say that there is none (RFC 768).
  frame.writeUInt16BE(isOpen ? 0xffff - sum : sum || 0xffff, udp + 6);
  return frame;
}
