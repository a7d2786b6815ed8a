/** What a daemon costs that has nothing to do. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Idle {
  /** Share of one core, of each daemon in each window. */
  readonly cpu: readonly number[];
  /** Bytes in memory of each daemon. */
  readonly resident: readonly number[];
  /** Of these, in shared memory: the flow file. */
  readonly shared: readonly number[];
}

/** The daemon's own timers come round in it: liveness probes are two seconds apart. */
const windowMs = 2000;
const windows = 12;
/** For what a start leaves to be done: compiled code, collected garbage. */
const settleMs = 2000;

/** @param pids of the daemons */
export async function watchIdle(pids: readonly number[]): Promise<Idle> {
  await sleep(settleMs);
  const cpu: number[] = [];
  for (let window = 0; window < windows; window++) {
    const begin = performance.now();
    const before = pids.map(cpuSeconds);
    await sleep(windowMs);
    const seconds = (performance.now() - begin) / 1000;
    for (const [index, pid] of pids.entries()) cpu.push((cpuSeconds(pid) - (before[index] ?? 0)) / seconds);
  }
  return {
    cpu,
    resident: pids.map((pid) => memory(pid, 'VmRSS')),
    shared: pids.map((pid) => memory(pid, 'RssShmem')),
  };
}

/** Of all threads, to the nanosecond: Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat. */
const cpuSeconds = (pid: number): number =>
  readdirSync(`/proc/${pid}/task`)
    .map(
      (thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e9,
    )
    .reduce((sum, seconds) => sum + seconds, 0);

/** A line of /proc/<pid>/status, in bytes: proc_pid_status(5). */
function memory(pid: number, line: string): number {
  const [, kilobytes] =
    new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}
