// Which offloads are used, and why not the others: what the host gives and the operator has not switched off.
import { release } from 'node:os';
import {
  DEFAULT_BATCH,
  OFFLOAD_COALESCE,
  OFFLOAD_TSO,
  OFFLOAD_UDP_SEGMENT,
  OFFLOAD_USO,
} from '../../../asm/layout/memory.ts';
import type { Config } from '../../config/schema.ts';
import type { HostFeatures, Probe } from '../../phy/addon.ts';

export type OffloadName = keyof Config['offloads'];

interface OffloadChoice {
  readonly used: boolean;
  /** Why, for people. */
  readonly reason: string;
}

export type Offloads = Readonly<Record<OffloadName, OffloadChoice>>;

/** @param isUnderlayHere whether this process's network namespace is the one that leads to the peers */
export function chooseOffloads(
  { offloads, underlay }: Config,
  host: HostFeatures,
  isUnderlayHere = true,
): Offloads {
  const choose = (name: OffloadName, probe: Probe): OffloadChoice => {
    if (offloads[name] === 'off') return { used: false, reason: 'switched off by the configuration' };
    if (probe.available) return { used: true, reason: 'the host gives it' };
    return { used: false, reason: `the host refuses it: ${probe.syscall} ${probe.code}` };
  };
  const udpSegment = choose('udpSegment', host.udpSegment);
  return {
    tso: choose('tso', host.tso),
    uso: choose('uso', host.uso),
    udpSegment:
      udpSegment.used && !underlay.outerChecksum
        ? {
            used: false,
            reason: 'underlay.outerChecksum is off, and the kernel segments only with checksums',
          }
        : udpSegment,
    udpGro: choose('udpGro', host.udpGro),
    coalesce: choose('coalesce', { available: true }),
    // Superframes need TAPs that give them, and a kernel that forwards them to the peers.
    tunnelGso: isUnderlayHere
      ? choose('tunnelGso', host.tso.available ? host.tunnelGso : host.tso)
      : { used: false, reason: 'the underlay lies in another network namespace' },
  };
}

/** OFFLOAD_* bits for the data path. */
export function offloadBits({ tso, uso, udpSegment, coalesce }: Offloads): number {
  return (
    (tso.used ? OFFLOAD_TSO : 0) |
    (uso.used ? OFFLOAD_USO : 0) |
    (udpSegment.used ? OFFLOAD_UDP_SEGMENT : 0) |
    (coalesce.used ? OFFLOAD_COALESCE : 0)
  );
}

/** Most datagrams in one send: UDP_MAX_SEGMENTS is 128 since Linux 6.9, 64 before. */
export function maxBatch(kernel = release()): number {
  const [major = 0, minor = 0] = kernel.split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 9) ? 128 : DEFAULT_BATCH;
}
