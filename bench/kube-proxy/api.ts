/** The process of serve.ts, from the side of the bench. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { execArgv, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ipBatch } from '../../src/host/iproute.ts';
import { inside, netnsFile } from '../../src/host/netns.ts';
import { underlayNetns } from '../../src/lab/plan.ts';
import type { Served } from '../api-server.ts';
import type { Change } from './serve.ts';

/** Of the bridge, which every node reaches. */
const address = '192.0.2.200';
const ports = { overweft: 8001, 'kube-proxy': 8002 } as const;
export type SideName = keyof typeof ports;

export class Api implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
  }

  /** @param directory for its files */
  static async start(directory: string, paths: Readonly<Record<string, Served>>): Promise<Api> {
    await ipBatch([`address add ${address}/24 dev underlay0`], { netns: netnsFile(underlayNetns) });
    const file = `${directory}/objects.json`;
    writeFileSync(file, JSON.stringify(paths));
    const program = fileURLToPath(new URL('./serve.ts', import.meta.url));
    const args = [...execArgv, program, file, ...Object.values(ports).map(String)];
    const child = spawn(...inside(netnsFile(underlayNetns), execPath, args), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    await once(child, 'message');
    return new Api(child, directory);
  }

  /** @returns the file by which a side finds its server */
  kubeconfig(side: SideName): string {
    const file = `${this.#directory}/${side}.kubeconfig`;
    const named = { cluster: 'bench', user: 'bench' };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'bench', cluster: { server: `http://${address}:${ports[side]}` } }],
      users: [{ name: 'bench', user: {} }],
      contexts: [{ name: 'bench', context: named }],
      'current-context': 'bench',
    };
    writeFileSync(file, stringify(config));
    return file;
  }

  /** @returns when a side was told, CLOCK_MONOTONIC in nanoseconds */
  async change(side: SideName, { path, object }: Omit<Change, 'port'>): Promise<bigint> {
    const answer = once(this.#child, 'message');
    this.#child.send({ port: ports[side], path, object } satisfies Change);
    return BigInt((await answer)[0]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }
}
