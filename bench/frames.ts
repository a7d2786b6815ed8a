// Packets to measure with, built byte by byte.
import { VNET_HEADER } from '../asm/layout/memory.ts';
import type { Address } from '../src/net/address.ts';
import type { Mac } from '../src/net/mac.ts';

export interface Flow {
  readonly source: Address;
  readonly destination: Address;
  readonly sport: number;
  readonly dport: number;
}

/** The way back. */
export const reversed = ({ source, destination, sport, dport }: Flow): Flow => ({
  source: destination,
  destination: source,
  sport: dport,
  dport: sport,
});

const ETHERNET = 14;
const TCP = 6;
const UDP = 17;

/** An IP packet of `bytes` in all that carries UDP. */
export function udpPacket(flow: Flow, bytes: number): Uint8Array {
  const header = ipLength(flow) + 8;
  const packet = filled(bytes);
  const view = new DataView(packet.buffer);
  writeIp(view, flow, UDP);
  const at = ipLength(flow);
  view.setUint16(at, flow.sport);
  view.setUint16(at + 2, flow.dport);
  view.setUint16(at + 4, bytes - header + 8);
  view.setUint16(at + 6, 0);
  view.setUint16(at + 6, transportChecksum(packet, flow, UDP) || 0xffff);
  return packet;
}

/** An IP packet of `bytes` in all that carries TCP with timestamps, as Linux sends them. */
export function tcpPacket(flow: Flow, bytes: number, sequence: number): Uint8Array {
  const packet = filled(bytes);
  const view = new DataView(packet.buffer);
  writeIp(view, flow, TCP);
  const at = ipLength(flow);
  view.setUint16(at, flow.sport);
  view.setUint16(at + 2, flow.dport);
  view.setUint32(at + 4, sequence);
  view.setUint32(at + 8, 1);
  view.setUint16(at + 12, 0x8010); // 32 bytes, ACK
  view.setUint16(at + 14, 0x1000);
  view.setUint32(at + 16, 0);
  packet.set([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], at + 20);
  view.setUint16(at + 16, transportChecksum(packet, flow, TCP));
  return packet;
}

export const tcpHeaders = (flow: Flow) => ipLength(flow) + 32;

export function ethernetFrame(destination: Mac, source: Mac, packet: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ETHERNET + packet.length);
  frame.set(destination, 0);
  frame.set(source, 6);
  new DataView(frame.buffer).setUint16(12, packet[0] === 0x45 ? 0x0800 : 0x86dd);
  frame.set(packet, ETHERNET);
  return frame;
}

/** A frame as a TAP gives it: behind a vnet header. `gso` makes it a TCP superframe, its checksum left open. */
export function tapFrame(
  frame: Uint8Array,
  gso?: { readonly size: number; readonly flow: Flow },
): Uint8Array {
  const bytes = new Uint8Array(VNET_HEADER + frame.length);
  bytes.set(frame, VNET_HEADER);
  if (gso) {
    const l4 = ETHERNET + ipLength(gso.flow);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, 1);
    view.setUint8(1, gso.flow.source.family === 4 ? 1 : 4);
    view.setUint16(2, l4 + 32, true);
    view.setUint16(4, gso.size, true);
    view.setUint16(6, l4, true);
    view.setUint16(8, 16, true);
  }
  return bytes;
}

const ipLength = ({ source }: Flow) => (source.family === 4 ? 20 : 40);

/** Bytes that differ, so that a wrong offset changes a sum. */
function filled(bytes: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + 7) & 0xff);
}

function writeIp(view: DataView, { source, destination }: Flow, protocol: number): void {
  const bytes = new Uint8Array(view.buffer);
  if (source.family === 4) {
    view.setUint32(0, 0x45000000 | bytes.length);
    view.setUint32(4, 0x00014000); // identification 1, Don't Fragment
    view.setUint32(8, 0x40000000 | (protocol << 16));
    bytes.set(source.bytes.subarray(12), 12);
    bytes.set(destination.bytes.subarray(12), 16);
    view.setUint16(10, checksum(bytes.subarray(0, 20)));
  } else {
    view.setUint32(0, 0x60000000);
    view.setUint16(4, bytes.length - 40);
    view.setUint16(6, (protocol << 8) | 64);
    bytes.set(source.bytes, 8);
    bytes.set(destination.bytes, 24);
  }
}

function transportChecksum(packet: Uint8Array, flow: Flow, protocol: number): number {
  const transport = packet.subarray(ipLength(flow));
  const pseudo = new Uint8Array(8);
  new DataView(pseudo.buffer).setUint32(0, transport.length);
  pseudo[7] = protocol;
  // An IPv4 address as ::ffff:a.b.c.d adds 0xffff to the sum, which is zero in one's complement.
  return checksum(flow.source.bytes, flow.destination.bytes, pseudo, transport);
}

function checksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += ((part[i] ?? 0) << 8) | (part[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum ^ 0xffff;
}
