// What a burst left behind, as bytes: two programs did the same when these are equal.
import { IOV_LENGTH, IOV_SIZE, TX_ADDRESS, TX_IOV, TX_IOVS, TX_MESSAGE_SIZE } from '../asm/layout/burst.ts';
import {
  MAX_PORTS,
  MAX_TUNNELS,
  MAX_VERDICTS,
  WORKER_PACKETS,
  WORKER_PORT_COUNTERS,
  WORKER_STATS,
  WORKER_TUNNEL_COUNTERS,
  WORKER_TX_IOVS,
  WORKER_TX_MESSAGES,
  WORKER_VERDICTS,
} from '../asm/layout/memory.ts';
import { PACKET_SIZE } from '../asm/layout/packet.ts';
import { PORT_COUNTER_SIZE, STAT_COUNT, TUNNEL_COUNTER_SIZE } from '../asm/layout/tables.ts';
import type { World } from './world.ts';

/** Named parts, so that a difference says where it is. */
export type Output = ReadonlyMap<string, Uint8Array>;

/** Messages and the bytes that they would send, counters, flows. */
export function burstOutput(world: World, messages: number): Output {
  const { view, bytes } = world.memory;
  const parts: Uint8Array[] = [];
  for (let i = 0; i < messages; i++) {
    const message = world.base + WORKER_TX_MESSAGES + i * TX_MESSAGE_SIZE;
    parts.push(bytes.slice(message, message + TX_MESSAGE_SIZE));
    const address = view.getUint32(message + TX_ADDRESS, true);
    if (address !== 0) parts.push(bytes.slice(address, address + 16));
    const first = view.getUint32(message + TX_IOV, true);
    for (let j = 0; j < view.getUint32(message + TX_IOVS, true); j++) {
      const entry = world.base + WORKER_TX_IOVS + (first + j) * IOV_SIZE;
      const offset = view.getUint32(entry, true);
      parts.push(bytes.slice(offset, offset + view.getUint32(entry + IOV_LENGTH, true)));
    }
  }
  return new Map([
    ['messages', Buffer.concat(parts)],
    ['verdicts', world.region(WORKER_VERDICTS, MAX_VERDICTS * 8)],
    ['statistics', world.region(WORKER_STATS, STAT_COUNT * 8)],
    ['port counters', world.region(WORKER_PORT_COUNTERS, MAX_PORTS * PORT_COUNTER_SIZE)],
    ['tunnel counters', world.region(WORKER_TUNNEL_COUNTERS, MAX_TUNNELS * TUNNEL_COUNTER_SIZE)],
    ['flows', world.flows()],
  ]);
}

/** Rows of the packet vector. */
export const rowsOutput = (world: World, packets: number): Output =>
  new Map([['rows', world.region(WORKER_PACKETS, packets * PACKET_SIZE)]]);

/** @throws where the two differ, naming part and place */
export function assertSame(subject: string, wasm: Output, c: Output): void {
  for (const [part, expected] of wasm) {
    const found = c.get(part) ?? new Uint8Array();
    if (Buffer.compare(expected, found) === 0) continue;
    const at = expected.findIndex((byte, i) => byte !== found[i]);
    const place = at < 0 ? Math.min(expected.length, found.length) : at;
    const context = (bytes: Uint8Array) =>
      Buffer.from(bytes.subarray(place & ~7, (place & ~7) + 16)).toString('hex');
    throw new Error(
      `${subject}: WebAssembly and C differ in ${part} (${expected.length} and ${found.length} bytes) from byte ${place}: ${context(expected)} and ${context(found)}`,
    );
  }
}
