/**
 * Bytes that the data path puts before each inner packet, prebuilt per tunnel.
 *
 *     VXLAN (RFC 7348 §5)     │ flags 08 │ 0 │ 0 │ 0 │   VNI   │ 0 │
 *     GENEVE (RFC 8926 §3.4)  │ opt len  │ O C       │ protocol    │   VNI   │ 0 │ options …
 *     direct                  a vnet header that asks nothing of the kernel; the Ethernet header is all that goes out
 *     IPIP                    the outer IPv4 or IPv6 header; lengths, identification, checksum and protocol zero
 */
import { VNET_HEADER } from '../../asm/layout/memory.ts';
import type { Config } from '../config/schema.ts';
import type { Tunnel } from '../control/topology.ts';
import type { Mac } from '../net/mac.ts';

const ETHERNET_BRIDGING = 0x6558;

/** Settings that shape headers. */
export type HeaderSettings = Pick<Config, 'geneve'> & {
  readonly underlay: Pick<Config['underlay'], 'dscp' | 'ttl'>;
};

export function tunnelHeader(tunnel: Tunnel, settings: HeaderSettings): Uint8Array {
  switch (tunnel.encapsulation) {
    case 'vxlan':
      return vxlanHeader(tunnel.peer.vni);
    case 'geneve':
      return geneveHeader(tunnel.peer.vni, settings.geneve);
    case 'ipip':
      return outerIpHeader(tunnel, settings.underlay);
    case 'direct':
      return new Uint8Array(VNET_HEADER);
  }
}

const ETHERNET = 14;
const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const;

/**
 * What a UDP datagram of a tunnel holds for an inner IP packet: tunnel header, Ethernet header where it has one, packet.
 * @param tunnel not IPIP
 */
export function innerPayload(
  tunnel: Tunnel,
  settings: HeaderSettings,
  sourceMac: Mac,
  packet: Uint8Array,
): Buffer {
  const etherType = ETHERTYPE[(packet[0] ?? 0) >> 4 === 6 ? 6 : 4];
  const header = Buffer.from(tunnelHeader(tunnel, settings));
  if (tunnel.encapsulation === 'geneve' && settings.geneve.payload === 'ip') {
    header.writeUInt16BE(etherType, 2);
    return Buffer.concat([header, packet]);
  }
  const ethernet = Buffer.alloc(ETHERNET);
  ethernet.set(tunnel.peer.routerMac, 0);
  ethernet.set(sourceMac, 6);
  ethernet.writeUInt16BE(etherType, 12);
  return Buffer.concat([header, ethernet, packet]);
}

/** An inner IP packet as IPIP carries it, for a raw socket: the kernel fills in an IPv4 header's checksum (raw(7)). */
export function ipipPacket(tunnel: Tunnel, { underlay }: HeaderSettings, packet: Uint8Array): Buffer {
  const header = Buffer.from(outerIpHeader(tunnel, underlay));
  const protocol = (packet[0] ?? 0) >> 4 === 6 ? 41 : 4;
  if (tunnel.family === 4) {
    header.writeUInt16BE(header.length + packet.length, 2);
    header[9] = protocol;
  } else {
    header.writeUInt16BE(packet.length, 4);
    header[6] = protocol;
  }
  return Buffer.concat([header, packet]);
}

/** Bytes that a tunnel adds to an inner IP packet, outer IP header included: what its MTU is less than the path's. */
export function overhead(
  { encapsulation, family }: Pick<Tunnel, 'encapsulation' | 'family'>,
  { geneve }: Pick<Config, 'geneve'>,
): number {
  const ip = family === 4 ? 20 : 40;
  const udp = 8;
  const ethernet = 14;
  switch (encapsulation) {
    case 'vxlan':
      return ip + udp + 8 + ethernet;
    case 'geneve':
      return ip + udp + 8 + optionBytes(geneve).length + (geneve.payload === 'ethernet' ? ethernet : 0);
    case 'ipip':
      return ip;
    case 'direct':
      return 0;
  }
}

function vxlanHeader(vni: number): Uint8Array {
  const header = new DataView(new ArrayBuffer(8));
  header.setUint8(0, 0x08);
  header.setUint32(4, vni * 256);
  return new Uint8Array(header.buffer);
}

function geneveHeader(vni: number, geneve: Config['geneve']): Uint8Array {
  const options = optionBytes(geneve);
  const critical = geneve.options.some((option) => option.critical);
  const header = new DataView(new ArrayBuffer(8 + options.length));
  header.setUint8(0, options.length / 4);
  header.setUint8(1, critical ? 0x40 : 0);
  header.setUint16(2, ETHERNET_BRIDGING);
  header.setUint32(4, vni * 256);
  const bytes = new Uint8Array(header.buffer);
  bytes.set(options, 8);
  return bytes;
}

/** RFC 8926 §3.5: class, type with its critical bit, length in words, data. */
function optionBytes({ options }: Config['geneve']): Uint8Array {
  return Buffer.concat(
    options.map((option) => {
      const data = Buffer.from(option.data, 'hex');
      const type = option.type | (option.critical ? 0x80 : 0);
      return Buffer.from([option.class >> 8, option.class & 0xff, type, data.length / 4, ...data]);
    }),
  );
}

/** An outer IP header without lengths, identification, checksum and protocol. */
export function outerIpHeader(
  { family, local, remote }: Pick<Tunnel, 'family' | 'local' | 'remote'>,
  { dscp, ttl }: HeaderSettings['underlay'],
): Uint8Array {
  const header = new Uint8Array(family === 4 ? 20 : 40);
  if (family === 4) {
    header[0] = 0x45;
    header[1] = dscp << 2;
    header[6] = 0x40; // Don't Fragment
    header[8] = ttl;
    header.set(local.bytes.subarray(12), 12);
    header.set(remote.bytes.subarray(12), 16);
  } else {
    header[0] = 0x60 | (dscp >> 2);
    header[1] = (dscp << 6) & 0xff;
    header[7] = ttl;
    header.set(local.bytes, 8);
    header.set(remote.bytes, 24);
  }
  return header;
}
