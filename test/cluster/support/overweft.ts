// The daemon on a machine.
import { writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { callDaemon, daemonStatus } from '../../../src/daemon/client.ts';
import type { Status } from '../../../src/daemon/status.ts';
import { program } from '../../support/overweft-node.ts';
import { cniFolder } from './containerd.ts';
import type { Machine } from './machine.ts';
import { until } from './until.ts';

export interface Overweft {
  readonly status: () => Promise<Status>;
  readonly kill: () => Promise<void>;
  /** Starts another one in its place; returns when its tables are live. */
  readonly start: () => Promise<void>;
}

/**
 * Starts a daemon; returns when its tables are live, and it tells the container runtime of the network.
 * @param config daemon configuration beside what the machine itself says
 */
export async function startOverweft(
  machine: Machine,
  config: Readonly<Record<string, object>>,
): Promise<Overweft> {
  const { folder, name, ips } = machine;
  const socket = `${folder}/overweft/overweft.sock`;
  const file = `${folder}/overweft.yaml`;
  writeFileSync(
    file,
    stringify({
      node: name,
      runDirectory: `${folder}/overweft`,
      underlay: { addresses: ips },
      ...config,
      cni: { confDirectory: cniFolder(machine), quarantine: 0, ...config.cni },
    }),
  );
  const healthy = async () => (await callDaemon(socket, 'GET', '/healthz')).status === 200;
  const start = async () => {
    machine.start('overweft', [...program, 'run', '--config', file]);
    await until(`the daemon of ${name} has live tables`, healthy);
  };
  await start();
  const status = () => daemonStatus(socket);
  const kill = async () => {
    await machine.must(['kill', '-KILL', `${(await status()).pid}`]);
    await until(`the daemon of ${name} ends`, () =>
      healthy().then(
        () => false,
        () => true,
      ),
    );
  };
  return { status, kill, start };
}
