// Bursts as the addon leaves them in memory: descriptors, and frames that processing changes and that are put back.
import {
  RX_DATAGRAM_LENGTH,
  RX_DATAGRAM_OFFSET,
  RX_DATAGRAM_SEGMENT,
  RX_DATAGRAM_SIZE,
  RX_DATAGRAM_SLOT,
  RX_DATAGRAM_SOURCE,
  RX_FRAME_LENGTH,
  RX_FRAME_OFFSET,
  RX_FRAME_PORT,
  RX_FRAME_SIZE,
} from '../asm/layout/burst.ts';
import {
  DATAGRAM_HEADROOM,
  DATAGRAM_STRIDE,
  FRAME_HEADROOM,
  MAX_RX_DATAGRAMS,
  MAX_RX_FRAMES,
  WORKER_DATAGRAM_ARENA,
  WORKER_FRAME_ARENA,
  WORKER_FRAME_ARENA_END,
  WORKER_RX_DATAGRAMS,
  WORKER_RX_FRAMES,
} from '../asm/layout/memory.ts';
import type { Memory } from '../src/dataplane/memory.ts';
import type { Address } from '../src/net/address.ts';

/** As the addon aligns frames (native/receive.cc). */
const FRAME_ALIGNMENT = 64;

/** Where a worker's bursts lie. */
export interface Place {
  readonly memory: Memory;
  /** Of the worker's region. */
  readonly base: number;
}

/** Outer source of what is received, and the socket that it arrives at. */
export interface Receiving {
  readonly source: Address;
  readonly slot: number;
}

export interface Burst {
  /** Descriptors. */
  readonly count: number;
  /** Frames or datagrams in them. */
  readonly packets: number;
  /** Puts descriptors and frames as they were received. */
  restore(): void;
}

/** A frame read from the TAP of `port`, vnet header first. */
export interface TapFrame {
  readonly port: number;
  readonly bytes: Uint8Array;
}

export function tapBurst(place: Place, frames: readonly TapFrame[]): Burst {
  if (frames.length > MAX_RX_FRAMES) throw new RangeError(`${frames.length} frames do not fit one burst`);
  const { base } = place;
  const writes: Write[] = [];
  let next = WORKER_FRAME_ARENA;
  frames.forEach(({ port, bytes }, i) => {
    const at = next + FRAME_HEADROOM;
    next = align(at + bytes.length, FRAME_ALIGNMENT);
    if (next > WORKER_FRAME_ARENA_END) throw new RangeError('the frames do not fit the arena');
    const row = new DataView(new ArrayBuffer(RX_FRAME_SIZE));
    row.setUint32(RX_FRAME_OFFSET, base + at, true);
    row.setUint32(RX_FRAME_LENGTH, bytes.length, true);
    row.setUint16(RX_FRAME_PORT, port, true);
    writes.push({ at: base + WORKER_RX_FRAMES + i * RX_FRAME_SIZE, bytes: new Uint8Array(row.buffer) });
    writes.push({ at: base + at, bytes });
  });
  return { count: frames.length, packets: frames.length, restore: () => apply(place, writes) };
}

/** Datagrams of equal size (the last may be shorter) that one message from the peer's socket held (UDP_GRO). */
export type Merged = readonly Uint8Array[];

/** @param sources who sends each message; none: all are from the one that `place` receives from */
export function socketBurst(
  place: Place & { readonly receiving: Receiving },
  messages: readonly Merged[],
  sources: readonly Address[] = [],
): Burst {
  if (messages.length > MAX_RX_DATAGRAMS)
    throw new RangeError(`${messages.length} messages do not fit one burst`);
  const { base } = place;
  const { source, slot } = place.receiving;
  const writes = messages.flatMap((datagrams, i): Write[] => {
    const bytes = Buffer.concat(datagrams);
    const at = base + WORKER_DATAGRAM_ARENA + i * DATAGRAM_STRIDE + DATAGRAM_HEADROOM;
    const row = new DataView(new ArrayBuffer(RX_DATAGRAM_SIZE));
    row.setUint32(RX_DATAGRAM_OFFSET, at, true);
    row.setUint32(RX_DATAGRAM_LENGTH, bytes.length, true);
    row.setUint32(RX_DATAGRAM_SEGMENT, datagrams.length > 1 ? (datagrams[0]?.length ?? 0) : 0, true);
    row.setUint16(RX_DATAGRAM_SLOT, slot, true);
    new Uint8Array(row.buffer).set((sources[i] ?? source).bytes, RX_DATAGRAM_SOURCE);
    return [
      { at: base + WORKER_RX_DATAGRAMS + i * RX_DATAGRAM_SIZE, bytes: new Uint8Array(row.buffer) },
      { at, bytes },
    ];
  });
  return {
    count: messages.length,
    packets: messages.reduce((sum, datagrams) => sum + datagrams.length, 0),
    restore: () => apply(place, writes),
  };
}

interface Write {
  readonly at: number;
  readonly bytes: Uint8Array;
}

function apply({ memory }: Place, writes: readonly Write[]): void {
  for (const { at, bytes } of writes) memory.bytes.set(bytes, at);
}

const align = (at: number, unit: number) => Math.ceil(at / unit) * unit;
