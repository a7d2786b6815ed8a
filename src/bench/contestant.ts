/** Who carries the traffic. */
import { LabError } from '../lab/outcome.ts';
import { ping } from '../lab/traffic.ts';
import type { Setting } from './cases.ts';
import type { BenchNodes } from './nodes.ts';
import type { Path } from './traffic.ts';

export type ContestantName = 'overweft' | PeerName;
export type PeerName = 'kernel' | 'bridge';

/** Somebody whom Overweft is measured against. */
export interface Peer {
  /** As results name it. */
  readonly title: string;
  /** Whether what it carries is encrypted. */
  readonly encrypts: boolean;
  /** @returns what exactly it is, or null where this machine does not have it */
  readonly version: () => Promise<string | null>;
  /** What gets it. */
  readonly obtain: string;
  /**
   * Connects the pods of two nodes.
   * @param stack takes what must be ended before the namespaces are gone
   */
  readonly connect: (nodes: BenchNodes, setting: Setting, stack: AsyncDisposableStack) => Promise<void>;
}

/** @throws LabError where the receiver does not answer within some seconds */
export async function untilReachable(title: string, { from, address }: Path): Promise<void> {
  const attempts = 10;
  for (let attempt = 0; attempt < attempts; attempt++) {
    if ((await ping(from, address)) !== null) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new LabError(`${title}: no reply to ping from ${address}`);
}
