/** Whoever carries the cluster's Services while it is measured. */
import { readFileSync } from 'node:fs';

export interface Side {
  /** Network namespace of the client. */
  readonly from: string;
  /** Those of the endpoints, in the order of their addresses; several addresses may share one. */
  readonly to: readonly string[];
  /** Bytes that node-1 spends on it now: processes, and what they have made the kernel keep. */
  readonly memory: () => Memory;
}

export interface Memory {
  /** Resident, shared memory included. */
  readonly process: number;
  /** Undefined where the host does not tell. */
  readonly kernel: number | undefined;
}

/** Resident memory: proc_pid_status(5). */
export function resident(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}
