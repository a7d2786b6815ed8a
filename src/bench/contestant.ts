/** Who carries the traffic. */
import { LabError } from '../lab/outcome.ts';
import { ping } from '../lab/traffic.ts';
import type { Setting } from './cases.ts';
import type { Ground } from './ground.ts';
import type { BenchNodes } from './nodes.ts';
import type { Path } from './traffic.ts';

export type ContestantName = 'overweft' | PeerName;
export type PeerName = 'kernel' | 'bridge' | 'openvswitch' | 'flannel' | 'nebula' | 'wireguard';

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
  /** Connects the pods of two nodes, over IPv4 at least. */
  readonly connect: (nodes: BenchNodes, setting: Setting, ground: Ground) => Promise<void>;
}

/** @throws LabError where the receiver does not answer within some seconds */
export async function untilReachable({ from, address }: Path): Promise<void> {
  const deadline = Date.now() + 8000;
  do {
    if ((await ping(from, address)) !== null) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  } while (Date.now() < deadline);
  throw new LabError(`no reply to ping from ${address}`);
}
