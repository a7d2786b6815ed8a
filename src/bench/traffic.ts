/** The traffic that every contestant carries: bench/traffic/traffic.c. */
import { z } from 'zod';
import { run } from '../host/command.ts';
import { netnsFile } from '../host/netns.ts';
import { compiled } from './compiled.ts';

/** From a pod to a pod. */
export interface Path {
  /** Network namespaces, by the names that `ip netns` knows. */
  readonly from: string;
  readonly to: string;
  /** The receiver's. */
  readonly address: string;
  /** Where the sender knocks instead, and the receiver's port behind it. */
  readonly service?: { readonly address: string; readonly port: number; readonly target: number };
}

/** The program ends by itself ten seconds after its window; this is for one that cannot. */
const graceMs = 20_000;

async function traffic<T>(
  mode: string,
  { from, to, address, service }: Path,
  windowMs: number,
  more: readonly string[],
  answer: z.ZodType<T>,
): Promise<T> {
  const ends = ['--from', netnsFile(from), '--to', netnsFile(to), '--address', address];
  if (service)
    ends.push('--port', `${service.target}`, '--knock', service.address, '--knock-port', `${service.port}`);
  const args = [mode, ...ends, '--window-ms', `${windowMs}`, ...more];
  return answer.parse(
    JSON.parse(await run(await compiled('traffic'), args, { patienceMs: windowMs + graceMs })),
  );
}

const window = z.object({
  /** How long was measured. */
  seconds: z.number().positive(),
  /** Seconds in which a core of the machine was not idle: all processes, both nodes, interrupts. */
  busySeconds: z.number(),
});

const stream = window.extend({ bytes: z.number() });
const datagrams = window.extend({
  /** What arrived within the window, */
  packets: z.number(),
  /** and in all. */
  sent: z.number(),
  received: z.number(),
});
const roundTrips = window.extend({ roundTrips: z.number(), p50: z.number(), p99: z.number() });

/** One stream of TCP. */
export const tcp = (path: Path, windowMs: number): Promise<z.infer<typeof stream>> =>
  traffic('tcp', path, windowMs, [], stream);

/**
 * UDP with payloads of 16 bytes.
 * @param rate packets per second in all; 0 for as many as the sender can
 */
export const udp = (
  path: Path,
  windowMs: number,
  { flows, rate }: { flows: number; rate: number },
): Promise<z.infer<typeof datagrams>> =>
  traffic('udp', path, windowMs, ['--flows', `${flows}`, '--rate', `${Math.round(rate)}`], datagrams);

/**
 * One byte there and one back over TCP, in seconds.
 * @param intervalUs between two requests; 0 for back to back
 * @param bulk with a TCP stream over the same path beside it
 */
export const roundTrip = (
  path: Path,
  windowMs: number,
  { intervalUs = 0, bulk = false }: { intervalUs?: number; bulk?: boolean } = {},
): Promise<z.infer<typeof roundTrips>> =>
  traffic('rr', path, windowMs, ['--interval-us', `${intervalUs}`, ...(bulk ? ['--bulk'] : [])], roundTrips);
