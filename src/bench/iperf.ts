/** iperf3 between two network namespaces. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { run } from '../host/command.ts';
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

async function client(netns: string, address: string, seconds: number, more: string[]) {
  const args = ['--client', address, '--time', `${seconds}`, '--json', '--connect-timeout', '2000', ...more];
  const output = await run(...inside(netnsFile(netns), 'iperf3', args), {
    patienceMs: (seconds + graceSeconds) * 1000,
  });
  const parsed = report.safeParse(JSON.parse(output));
  if (!parsed.success) throw new LabError(`iperf3 towards ${address}: ${output.slice(0, 300)}`);
  return parsed.data;
}
