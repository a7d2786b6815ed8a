// One question after the other with the host's own `ping`, which is there in the namespaces of pods, too: nsenter brings it.
import { CommandError, run } from '../host/command.ts';
import { inside } from '../host/netns.ts';
import type { Address } from '../net/address.ts';

export interface PingOptions {
  /** File of the network namespace that asks; this process's own by default. */
  readonly netns?: string | undefined;
  /** Address to ask from; the kernel's choice by default. */
  readonly source?: Address | undefined;
  /** Bytes of the whole IP packet, which must not be fragmented. */
  readonly size: number;
}

export type Echo =
  | { readonly answered: true; readonly roundTripMs: number }
  /** `said`: what an ICMP error or the kernel said of it, with who did. */
  | { readonly answered: false; readonly said: string | null };

/** IP and ICMP header. */
const HEADERS = { 4: 28, 6: 48 };

/** Seconds of the first try and of the second: a machine under load, or one that must look up a neighbour, may need it. */
const PATIENCE = { first: 1, second: 2 };

/** Bytes of a whole packet with room for the time stamp from which ping tells the round trip. */
export const SMALL = { 4: HEADERS[4] + 16, 6: HEADERS[6] + 16 };

/** @throws CommandError where there is no `ping` */
export async function ping(target: Address, options: PingOptions): Promise<Echo> {
  const echo = await tryOnce(target, options, PATIENCE.first);
  return echo.answered ? echo : await tryOnce(target, options, PATIENCE.second);
}

/** Largest size from `low`, which passes, to below `high`, which does not. */
export async function largest(
  target: Address,
  options: Omit<PingOptions, 'size'>,
  low: number,
  high: number,
): Promise<number> {
  let [passes, fails] = [low, high];
  while (fails - passes > 1) {
    const size = (passes + fails) >> 1;
    if ((await tryOnce(target, { ...options, size }, PATIENCE.first)).answered) passes = size;
    else fails = size;
  }
  return passes;
}

async function tryOnce(
  { text, family }: Address,
  { netns, source, size }: PingOptions,
  seconds: number,
): Promise<Echo> {
  const args = [
    ...['-n', '-c', '1', '-W', `${seconds}`],
    // Don't Fragment, and nothing larger than what is known of the path.
    ...['-M', 'do', '-s', `${size - HEADERS[family]}`],
    ...(source ? ['-I', source.text] : []),
    text,
  ];
  try {
    const output = netns === undefined ? run('ping', args) : run(...inside(netns, 'ping', args));
    return { answered: true, roundTripMs: Number(/time=([\d.]+) ms/.exec(await output)?.[1]) };
  } catch (error) {
    if (!(error instanceof CommandError) || /is not installed|failed to execute/.test(error.message))
      throw error;
    return { answered: false, said: complaint(`${error.stdout}\n${error.message}`) };
  }
}

/** Lines of iputils' ping that tell more than silence. */
function complaint(output: string): string | null {
  const [, router, message] = /^From (\S+) icmp_seq=\d+ (.+)$/m.exec(output) ?? [];
  if (message !== undefined) return `${router}: ${message}`;
  return /^ping: (?:local error: |connect: |sendmsg: )?(.+)$/m.exec(output)?.[1] ?? null;
}
