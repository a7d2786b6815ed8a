/**
 * Looks at a host with the daemon's eyes, in the network namespace that this process is in:
 *
 *     kernel ─ privileges ─ programs ─ underlay, routes, settings ─ ports ─ daemon or leftovers ─ CNI ─ machine
 */
import { existsSync } from 'node:fs';
import { loadConfig, parseConfig } from '../config/load.ts';
import { loadAddon } from '../phy/addon.ts';
import { cni } from './cni.ts';
import { daemon, runningDaemon } from './daemon.ts';
import { type Check, type Finding, finding, type Subject } from './finding.ts';
import { kernel } from './kernel.ts';
import { machine } from './machine.ts';
import { network } from './network.ts';
import { listeners } from './ports.ts';
import { privileges } from './privileges.ts';
import { programs } from './tools.ts';

const checks: Readonly<Record<string, Check>> = {
  kernel,
  privileges,
  programs,
  network,
  listeners,
  daemon,
  cni,
  machine,
};

export interface DoctorOptions {
  /** The daemon's configuration; what is asked of the host follows from defaults where it does not exist. */
  readonly config: string;
  readonly binDirectory: string;
}

/** @throws ConfigError */
export async function examine({ config: file, binDirectory }: DoctorOptions): Promise<Finding[]> {
  const isConfigured = existsSync(file);
  const config = isConfigured ? loadConfig(file) : parseConfig(SMALLEST, file);
  const subject: Subject = {
    config,
    isConfigured,
    binDirectory,
    addon: loadAddon(),
    daemon: runningDaemon(config),
  };
  const unconfigured = finding(
    'note',
    'configuration',
    `${file} does not exist: what follows is judged by the defaults`,
    "name the daemon's by --config",
  );
  const findings: Finding[] = isConfigured ? [] : [unconfigured];
  for (const [name, check] of Object.entries(checks)) {
    try {
      findings.push(...(await check(subject)));
    } catch (error) {
      // One that cannot look must not hide what the others see.
      findings.push(finding('warning', name, `could not be looked at: ${(error as Error).message}`));
    }
  }
  return findings;
}

const SMALLEST = 'node: host\nstore: {type: file, directory: /}\nunderlay: {addresses: [127.0.0.1]}\n';
