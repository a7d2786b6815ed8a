import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import {
  attachPod,
  type Daemon,
  daemonReady,
  logTail,
  startDaemon,
  writeConfig,
} from '../../src/lab/daemon.ts';

/** The command line as a user starts it, for daemons. */
export const program = [
  process.execPath,
  fileURLToPath(new URL('../../src/bin/overweft.mjs', import.meta.url)),
];

export interface TestPod {
  readonly name: string;
  /** Namespace in which its eth0 appears. */
  readonly netns: string;
  readonly ips: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
}

/** One real daemon in a namespace of its own making, with the pods that it was given. */
export interface OverweftNode extends AsyncDisposable {
  readonly daemon: Daemon;
  readonly manifests: string;
  /**
   * Waits for the daemon's end, asked for by a signal or not, then starts another one in its place.
   * @param changes of its configuration, from now on
   */
  readonly restart: (signal?: 'SIGTERM' | 'SIGKILL', changes?: object) => Promise<void>;
  /** The end of the daemon's log, for a failure's message. */
  readonly log: () => string;
}

/**
 * @param netns namespace with the underlay interface up and addressed
 * @param config daemon configuration without store, runDirectory and api
 */
export async function overweftNode(
  netns: string,
  config: object,
  podCIDRs: readonly string[],
  pods: readonly TestPod[],
): Promise<OverweftNode> {
  const directory = mkdtempSync(`${tmpdir()}/overweft-node-`);
  const manifests = `${directory}/manifests`;
  mkdirSync(manifests);
  const place = {
    name: 'node-1',
    netns,
    config: `${directory}/config.yaml`,
    socket: `${directory}/run/overweft.sock`,
    log: `${directory}/daemon.log`,
  };
  let settings: object = {
    node: place.name,
    runDirectory: `${directory}/run`,
    store: { type: 'file', directory: manifests },
    ...config,
  };
  writeConfig(place, settings);
  const manifest = (name: string, object: object): void =>
    writeFileSync(`${manifests}/${name}.yaml`, JSON.stringify(object));
  manifest('namespace', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } });
  manifest('node', { apiVersion: 'v1', kind: 'Node', metadata: { name: place.name }, spec: { podCIDRs } });
  for (const { name, ips, labels = {} } of pods) {
    manifest(name, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', labels },
      spec: { nodeName: place.name },
      status: { phase: 'Running', podIPs: ips.map((ip) => ({ ip })) },
    });
  }
  let daemon = startDaemon(place, program);
  const log = () => logTail(daemon, 30);
  const end = async (signal?: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (signal && daemon.ended() === null) process.kill(daemon.pid, signal);
    const deadline = Date.now() + 3000;
    while (daemon.ended() === null) {
      if (Date.now() > deadline) process.kill(daemon.pid, 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const stop = async (): Promise<void> => {
    await end('SIGTERM');
    rmSync(directory, { recursive: true });
  };
  try {
    await daemonReady(daemon);
    for (const pod of pods) await attachPod(daemon, { ...pod, namespace: 'default' });
  } catch (error) {
    const message = `${error instanceof Error ? error.message : error}\n${log()}`;
    await stop();
    throw new Error(message);
  }
  return {
    get daemon() {
      return daemon;
    },
    manifests,
    restart: async (signal, changes = {}) => {
      await end(signal);
      settings = { ...settings, ...changes };
      writeConfig(place, settings);
      daemon = startDaemon(place, program);
      await daemonReady(daemon);
    },
    log,
    [Symbol.asyncDispose]: stop,
  };
}
