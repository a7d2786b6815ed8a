// The daemon on a machine, and the plugin in its container runtime's configuration.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { callDaemon, daemonStatus } from '../../../src/daemon/client.ts';
import type { Status } from '../../../src/daemon/status.ts';
import { program } from '../../support/overweft-node.ts';
import { cniFolder } from './containerd.ts';
import type { Machine } from './machine.ts';
import { until } from './until.ts';

export interface Overweft {
  readonly status: () => Promise<Status>;
}

/**
 * Starts a daemon; the network is configured once its tables are live, as an installation does it.
 * @param config daemon configuration beside the machine's own addresses
 */
export async function startOverweft(machine: Machine, config: object): Promise<Overweft> {
  const { folder, name, ips } = machine;
  const socket = `${folder}/overweft/overweft.sock`;
  const file = `${folder}/overweft.yaml`;
  writeFileSync(
    file,
    stringify({ node: name, runDirectory: `${folder}/overweft`, underlay: { addresses: ips }, ...config }),
  );
  machine.start('overweft', [...program, 'run', '--config', file]);
  const healthy = async () => (await callDaemon(socket, 'GET', '/healthz')).status === 200;
  await until(`the daemon of ${name} has live tables`, healthy);
  configureNetwork(machine, socket);
  return { status: () => daemonStatus(socket) };
}

/** containerd does not notice a file that is written in the folder, only one that is renamed there. */
function configureNetwork(machine: Machine, socket: string): void {
  const place = cniFolder(machine);
  mkdirSync(place, { recursive: true });
  const list = {
    cniVersion: '1.1.0',
    name: 'overweft',
    plugins: [{ type: 'overweft-cni', socket, capabilities: { ips: true, mac: true, dns: true } }],
  };
  writeFileSync(`${place}/.overweft`, JSON.stringify(list));
  renameSync(`${place}/.overweft`, `${place}/10-overweft.conflist`);
}
