/** iperf3 between two network namespaces. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { CommandError, run } from '../host/command.ts';
import { inside, netnsFile } from '../host/netns.ts';
import { LabError } from '../lab/outcome.ts';

/** A server that listens, until it is disposed of. */
export async function iperfServer(netns: string): Promise<AsyncDisposable> {
  const command = inside(netnsFile(netns), 'iperf3', ['--server', '--forceflush']);
  const child: ChildProcess = spawn(...command, { stdio: ['ignore', 'pipe', 'ignore'] });
  // Its first words are that it listens; where it cannot start, the client says that nobody answers.
  await Promise.race([once(child.stdout as Readable, 'data'), once(child, 'error'), once(child, 'exit')]);
  child.stdout?.resume();
  return {
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit');
    },
  };
}

const report = z.object({
  end: z.object({
    sum_received: z.object({ bits_per_second: z.number() }),
    sum: z
      .object({ packets: z.number(), lost_packets: z.number(), seconds: z.number() })
      .partial()
      .optional(),
  }),
});

/** One stream of TCP, what arrived in bits per second. */
export async function tcpStream(netns: string, address: string, seconds: number): Promise<number> {
  const { end } = await client(netns, address, seconds, []);
  return end.sum_received.bits_per_second;
}

/** 16-byte UDP payloads from a sender that does not hold back, what arrived in packets per second. */
export async function smallDatagrams(netns: string, address: string, seconds: number): Promise<number> {
  const { end } = await client(netns, address, seconds, ['--udp', '--length', '16', '--bitrate', '0']);
  const { packets = 0, lost_packets: lost = 0, seconds: took = seconds } = end.sum ?? {};
  return (packets - lost) / took;
}

/** For connecting and for the report. */
const graceSeconds = 10;
const attempts = 10;
const pauseMs = 300;

async function client(netns: string, address: string, seconds: number, more: string[]) {
  const args = ['--client', address, '--time', `${seconds}`, '--json', '--connect-timeout', '2000', ...more];
  for (let attempt = 1; ; attempt++) {
    const output = await run(...inside(netnsFile(netns), 'iperf3', args), {
      patienceMs: (seconds + graceSeconds) * 1000,
    }).catch(reportOf);
    const parsed = report.safeParse(JSON.parse(output));
    if (parsed.success) return parsed.data;
    const { error = output } = JSON.parse(output) as { error?: string };
    // A server is busy until it has seen the end of the client before.
    if (!error.includes('busy') || attempt === attempts)
      throw new LabError(`iperf3 towards ${address}: ${error}`);
    await sleep(pauseMs);
  }
}

/** iperf3 fails with its report on stdout. */
function reportOf(error: unknown): string {
  if (error instanceof CommandError && error.stdout.startsWith('{')) return error.stdout;
  throw error;
}
