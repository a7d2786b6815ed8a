/**
 * Descriptors by hand: what the data path would write and read, for tests of the addon.
 *
 *     0x10000 RxFrame, RxDatagram │ 0x20000 TxMessage │ 0x40000 gather list │ 0x80000 payload │ 0x200000 arena … end
 */
import { isIPv4, SocketAddress } from 'node:net';
import * as burst from '../../asm/layout/burst.ts';
import { FIRST_SOCKET_SLOT } from '../../asm/layout/memory.ts';
import { loadAddon, type SocketKind, type TapOptions, type UdpOptions } from '../../src/phy/addon.ts';

export const addon = loadAddon();
export const memory = new WebAssembly.Memory({ initial: 256, maximum: 256, shared: true });
export const bytes = new Uint8Array(memory.buffer as SharedArrayBuffer);
const view = new DataView(memory.buffer);
addon.attachMemory(bytes);

export const MEMORY_SIZE = bytes.length;
export const DESCRIPTORS = 0x10000;
export const MESSAGES = 0x20000;
export const IOVS = 0x40000;
const PAYLOAD = 0x80000;
export const ARENA = 0x200000;
export const HEADROOM = 192;
export const MAX_FRAME = 65664;
export const STRIDE = 66048;

const AF_INET = 2;
const AF_INET6 = 10;

/** 16 bytes of an address, IPv4 as ::ffff:a.b.c.d. */
export function addressBytes(text: string): Uint8Array {
  if (isIPv4(text))
    return Uint8Array.from([...Array(10).fill(0), 0xff, 0xff, ...text.split('.').map(Number)]);
  const [head = '', tail] = text.split('::');
  const groups = (part: string | undefined) =>
    part ? part.split(':').map((group) => Number.parseInt(group, 16)) : [];
  const left = groups(head);
  const right = groups(tail);
  const all = [...left, ...Array(8 - left.length - right.length).fill(0), ...right];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

export interface Message {
  readonly slot: number;
  readonly queue?: number;
  /** Payload, one gather entry each. */
  readonly parts: readonly Uint8Array[];
  readonly segment?: number;
  readonly tos?: number;
  readonly to?: { readonly address: string; readonly port: number };
}

/** A bump allocator over the payload area. */
let next = PAYLOAD;
function put(data: Uint8Array): number {
  const offset = next;
  bytes.set(data, offset);
  next = (offset + data.length + 63) & ~63;
  return offset;
}

/** A struct sockaddr_in or sockaddr_in6 (linux/in.h, linux/in6.h). */
export function putSocketAddress(address: string, port: number): number {
  const image = new Uint8Array(burst.SOCKADDR_SIZE);
  const fields = new DataView(image.buffer);
  const four = isIPv4(address);
  fields.setUint16(0, four ? AF_INET : AF_INET6, true);
  fields.setUint16(2, port);
  if (four) image.set(addressBytes(address).subarray(12), 4);
  else image.set(addressBytes(address), 8);
  return put(image);
}

/** Fields of one TxMessage as they stand in memory. */
export interface RawMessage {
  readonly slot: number;
  readonly queue?: number;
  readonly tos?: number;
  readonly iov?: number;
  readonly iovs?: number;
  readonly segment?: number;
  readonly address?: number;
}

export function putMessage(index: number, message: RawMessage): void {
  const row = MESSAGES + index * burst.TX_MESSAGE_SIZE;
  bytes.fill(0xa5, row, row + burst.TX_MESSAGE_SIZE);
  view.setUint16(row + burst.TX_SLOT, message.slot, true);
  view.setUint8(row + burst.TX_TOS, message.tos ?? 0);
  view.setUint8(row + burst.TX_QUEUE, message.queue ?? 0);
  view.setUint32(row + burst.TX_IOV, message.iov ?? 0, true);
  view.setUint32(row + burst.TX_IOVS, message.iovs ?? 1, true);
  view.setUint16(row + burst.TX_SEGMENT, message.segment ?? 0, true);
  view.setUint32(row + burst.TX_ADDRESS, message.address ?? 0, true);
}

export function putIov(index: number, offset: number, length: number): void {
  view.setUint32(IOVS + index * burst.IOV_SIZE + burst.IOV_OFFSET, offset, true);
  view.setUint32(IOVS + index * burst.IOV_SIZE + burst.IOV_LENGTH, length, true);
}

export const status = (index: number): number =>
  view.getInt32(MESSAGES + index * burst.TX_MESSAGE_SIZE + burst.TX_STATUS, true);

/** Sends the messages in one burst; returns their statuses, having checked the count of refused ones. */
export function transmit(messages: readonly Message[]): number[] {
  next = PAYLOAD;
  let iov = 0;
  messages.forEach((message, index) => {
    putMessage(index, {
      slot: message.slot,
      queue: message.queue ?? 0,
      tos: message.tos ?? 0,
      iov,
      iovs: message.parts.length,
      segment: message.segment ?? 0,
      address: message.to ? putSocketAddress(message.to.address, message.to.port) : 0,
    });
    for (const part of message.parts) putIov(iov++, put(part), part.length);
  });
  const refused = addon.transmit(MESSAGES, messages.length, IOVS, iov);
  const statuses = messages.map((_, index) => status(index));
  const failed = statuses.filter((value) => value !== 0).length;
  if (failed !== refused) throw new Error(`transmit returned ${refused}, statuses say ${failed}`);
  return statuses;
}

export interface Frame {
  readonly port: number;
  readonly queue: number;
  readonly offset: number;
  /** A copy, vnet header included. */
  readonly data: Uint8Array;
}

/** One receiveFrames without waiting. */
export function receiveFrames(max = 128, arenaEnd = MEMORY_SIZE): Frame[] {
  const count = addon.receiveFrames(DESCRIPTORS, max, ARENA, arenaEnd, HEADROOM, MAX_FRAME);
  return Array.from({ length: count }, (_, index) => {
    const row = DESCRIPTORS + index * burst.RX_FRAME_SIZE;
    const offset = view.getUint32(row + burst.RX_FRAME_OFFSET, true);
    const length = view.getUint32(row + burst.RX_FRAME_LENGTH, true);
    return {
      port: view.getUint16(row + burst.RX_FRAME_PORT, true),
      queue: view.getUint8(row + burst.RX_FRAME_QUEUE),
      offset,
      data: bytes.slice(offset, offset + length),
    };
  });
}

export interface Datagram {
  readonly slot: number;
  readonly source: string;
  readonly sport: number;
  readonly segment: number;
  readonly tos: number;
  readonly truncated: boolean;
  readonly length: number;
  /** A copy of what fitted the buffer. */
  readonly data: Uint8Array;
}

/** One receiveDatagrams without waiting. */
export function receiveDatagrams(max = 16, bufferLength = 65536): Datagram[] {
  const count = addon.receiveDatagrams(DESCRIPTORS, max, ARENA, STRIDE, 256, bufferLength);
  return Array.from({ length: count }, (_, index) => {
    const row = DESCRIPTORS + index * burst.RX_DATAGRAM_SIZE;
    const offset = view.getUint32(row + burst.RX_DATAGRAM_OFFSET, true);
    const length = view.getUint32(row + burst.RX_DATAGRAM_LENGTH, true);
    const source = Array.from({ length: 8 }, (_, group) =>
      view.getUint16(row + burst.RX_DATAGRAM_SOURCE + group * 2).toString(16),
    ).join(':');
    return {
      slot: view.getUint16(row + burst.RX_DATAGRAM_SLOT, true),
      source: (SocketAddress.parse(`[${source}]:1`)?.address ?? source).replace('::ffff:', ''),
      sport: view.getUint16(row + burst.RX_DATAGRAM_SPORT, true),
      segment: view.getUint32(row + burst.RX_DATAGRAM_SEGMENT, true),
      tos: view.getUint8(row + burst.RX_DATAGRAM_TOS),
      truncated: (view.getUint8(row + burst.RX_DATAGRAM_FLAGS) & burst.RX_FLAG_TRUNCATED) !== 0,
      length,
      data: bytes.slice(offset, offset + Math.min(length, bufferLength)),
    };
  });
}

/** Waits and receives until `enough` says so; fails after five seconds. */
export function collect<Item>(receive: () => Item[], enough: (items: readonly Item[]) => boolean): Item[] {
  const items: Item[] = [];
  const deadline = Date.now() + 5000;
  while (!enough(items)) {
    if (Date.now() > deadline) throw new Error(`only ${items.length} arrived in 5 s`);
    addon.wait(100);
    items.push(...receive());
  }
  return items;
}

export const count =
  (wanted: number) =>
  (items: readonly unknown[]): boolean =>
    items.length >= wanted;

export interface Adopted extends Disposable {
  readonly slot: number;
}

const taken = (slot: number): Adopted => ({ slot, [Symbol.dispose]: () => addon.drop(slot) });

/** A TAP in a slot until the end of the block. */
export function tap(slot: number, options: TapOptions): Adopted & { readonly name: string } {
  const opened = addon.openTap(options);
  addon.adoptTap(slot, opened.fd);
  return { ...taken(slot), name: opened.name };
}

/** The index-th socket slot, holding `fd`. */
export function socket(index: number, fd: number, kind: SocketKind, receive = true): Adopted {
  addon.adoptSocket(FIRST_SOCKET_SLOT + index, fd, kind, { receive });
  return taken(FIRST_SOCKET_SLOT + index);
}

/** A UDP socket in the index-th socket slot. */
export function udp(
  index: number,
  options: Omit<UdpOptions, 'port'> & { port?: number },
): Adopted & { readonly port: number } {
  const opened = addon.openUdp({ port: 0, ...options });
  return { ...socket(index, opened.fd, 'udp'), port: opened.port };
}

/** Bytes that tell their place. */
export const pattern = (length: number, seed = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 7 + seed) & 0xff);
