/** New connections: bench/traffic/openings.c. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { compiled } from '../../src/bench/compiled.ts';
import { run } from '../../src/host/command.ts';
import { netnsFile } from '../../src/host/netns.ts';
import type { Side } from './side.ts';

/** Where connections go, and who listens: address and port each. */
export interface Ends {
  readonly targets: readonly (readonly [string, number])[];
  /** In the order of the side's endpoints. */
  readonly servers: readonly (readonly [string, number])[];
}

const leastPort = 1024;
const ports = 65_536 - leastPort;
const answer = z.object({ opened: z.number(), seconds: z.number().positive(), busySeconds: z.number() });
const patienceMs = 60_000;

const args = ({ from, to }: Side, servers: Ends['servers']): string[] => [
  ...['--from', netnsFile(from)],
  ...servers.flatMap(([address, port], i) => ['--server', `${netnsFile(to[i] ?? '')},${address},${port}`]),
];

/** Opens connections of a side to the same targets again and again, no two from one port to one target. */
export class Openings {
  readonly #side: Side;
  readonly #servers: Ends['servers'];
  readonly #file: string;
  #used = 0;

  /** @param file that this may write */
  constructor(side: Side, { targets, servers }: Ends, file: string) {
    this.#side = side;
    this.#servers = servers;
    this.#file = file;
    writeFileSync(file, targets.map(([address, port]) => `${address},${port}\n`).join(''));
  }

  /** @returns connections opened a second, some at a time */
  async rate(count: number, flight: number): Promise<number> {
    const first = leastPort + (this.#used % ports);
    this.#used += count;
    const { opened, seconds } = answer.parse(
      JSON.parse(
        await run(
          await compiled('openings'),
          [
            ...['rate', ...args(this.#side, this.#servers), '--targets', this.#file],
            ...['--first-port', `${first}`, '--count', `${count}`, '--flight', `${flight}`],
          ],
          { patienceMs },
        ),
      ),
    );
    return opened / seconds;
  }
}

/** For kube-proxy, which applies changes at most once a second. */
const settleMs = 2500;

/**
 * Opens a connection every half a millisecond while the Service behind the target moves.
 * @param change makes it move to `wanted`, an index into the servers; returns when, CLOCK_MONOTONIC in nanoseconds
 * @returns seconds until the first connection has arrived there
 */
export async function untilMoved(
  side: Side,
  ends: Ends,
  wanted: number,
  change: () => Promise<bigint>,
): Promise<number> {
  await using arrivals = await Arrivals.watch(side, ends, 500);
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  const [told, arrived] = await Promise.all([
    change(),
    arrivals.first((server) => server === wanted, 60_000),
  ]);
  if (arrived < told) throw new Error('a connection came to the new endpoint before it was named');
  return Number(arrived - told) / 1e9;
}

/** Until a connection has come to any of the servers. */
export async function untilOpen(side: Side, ends: Ends): Promise<void> {
  await using arrivals = await Arrivals.watch(side, ends, 5000);
  await arrivals.first(() => true, 240_000);
}

/** Where connections arrive that are opened in a steady stream. */
class Arrivals implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<null, Readable, null>;

  private constructor(child: ChildProcessByStdio<null, Readable, null>) {
    this.#child = child;
  }

  static async watch(side: Side, { targets, servers }: Ends, intervalUs: number): Promise<Arrivals> {
    const first = leastPort + Math.floor(Math.random() * ports);
    const to = targets.flatMap(([address, port]) => ['--target', `${address},${port}`]);
    const rhythm = ['--first-port', `${first}`, '--interval-us', `${intervalUs}`];
    return new Arrivals(
      spawn(await compiled('openings'), ['watch', ...args(side, servers), ...to, ...rhythm], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    );
  }

  /** @returns when the first connection came to a server that is wanted, CLOCK_MONOTONIC in nanoseconds; once alone */
  async first(isWanted: (server: number) => boolean, patienceMs: number): Promise<bigint> {
    const giveUp = setTimeout(() => this.#child.kill('SIGKILL'), patienceMs);
    try {
      for await (const line of createInterface(this.#child.stdout)) {
        const [time = '', server = ''] = line.split(' ');
        if (isWanted(Number(server))) return BigInt(time);
      }
    } finally {
      clearTimeout(giveUp);
    }
    throw new Error(`no connection has come to a wanted server within ${patienceMs / 1000} s`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
}
