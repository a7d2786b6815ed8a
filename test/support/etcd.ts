// A real etcd for one test file, on ports of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { JsonHttp } from '../../src/store/http.ts';
import { goTools } from './go-tools.ts';

export interface Etcd extends AsyncDisposable {
  readonly endpoint: string;
  /** Its certificate, where it has one. */
  readonly certificate: string;
  /** One request to the gateway. */
  readonly ask: (path: string, body: object) => Promise<Record<string, unknown>>;
  readonly put: (key: string, value: string | object) => Promise<void>;
  readonly remove: (key: string) => Promise<void>;
  readonly get: (key: string) => Promise<string | undefined>;
  /** Forgets what happened before now. */
  readonly compact: () => Promise<void>;
  readonly kill: () => Promise<void>;
  /** Goes on where it was killed, or with nothing, as one that was set back. */
  readonly start: (options?: { readonly empty?: boolean }) => Promise<void>;
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

export const base64 = (text: string) => Buffer.from(text).toString('base64');

/** Starts a program, its output in a file that failures show; it must answer within a minute. */
export async function startServer(
  program: string,
  args: readonly string[],
  log: string,
  isReady: () => Promise<boolean>,
): Promise<ChildProcess> {
  const fd = openSync(log, 'a');
  const server = spawn(program, args, { stdio: ['ignore', fd, fd] });
  const deadline = Date.now() + 60_000;
  while (!(await isReady().catch(() => false))) {
    if (server.exitCode !== null || Date.now() > deadline) {
      server.kill('SIGKILL');
      throw new Error(`${program} does not come up:\n${readFileSync(log, 'utf8').slice(-4000)}`);
    }
    await sleep(50);
  }
  return server;
}

/**
 * @param address of this machine on which it listens
 * @param tls with a certificate of its own making
 */
export async function etcd({ address = '127.0.0.1', tls = false } = {}): Promise<Etcd> {
  const { etcd: program } = await goTools('etcd');
  const directory = mkdtempSync(`${tmpdir()}/overweft-etcd-`);
  const [client = 0, peer = 0] = await freePorts(2);
  const endpoint = `${tls ? 'https' : 'http'}://${address}:${client}`;
  const http = new JsonHttp(endpoint, { insecure: true });
  let server: ChildProcess | undefined;
  const kill = async () => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    server.kill('SIGKILL');
    await once(server, 'exit');
  };
  const start = async ({ empty = false } = {}) => {
    const data = `${directory}/data`;
    if (empty) rmSync(data, { recursive: true, force: true });
    const args = [
      ['--name', 'test'],
      ['--data-dir', data],
      ['--listen-client-urls', endpoint],
      ['--advertise-client-urls', endpoint],
      ['--listen-peer-urls', `http://127.0.0.1:${peer}`],
      ['--initial-advertise-peer-urls', `http://127.0.0.1:${peer}`],
      ['--initial-cluster', `test=http://127.0.0.1:${peer}`],
      // A test's data need not outlive the machine.
      ['--unsafe-no-fsync'],
      tls ? ['--auto-tls'] : [],
    ];
    server = await startServer(program, args.flat(), `${directory}/log`, async () => {
      await http.ask({ method: 'GET', path: '/health', signal: AbortSignal.timeout(5000) });
      return true;
    });
  };
  const ask = async (path: string, body: object) =>
    (await http.ask({ method: 'POST', path, body, signal: AbortSignal.timeout(30_000) })) as Record<
      string,
      unknown
    >;
  await start();
  return {
    endpoint,
    certificate: `${directory}/data/fixtures/client/cert.pem`,
    ask,
    put: async (key, value) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      await ask('/v3/kv/put', { key: base64(key), value: base64(text) });
    },
    remove: async (key) => {
      await ask('/v3/kv/deleterange', { key: base64(key) });
    },
    get: async (key) => {
      const { kvs } = (await ask('/v3/kv/range', { key: base64(key) })) as {
        kvs?: { value: string }[];
      };
      return kvs?.[0] && Buffer.from(kvs[0].value, 'base64').toString('utf8');
    },
    compact: async () => {
      const { header } = (await ask('/v3/kv/range', { key: base64('a') })) as {
        header: { revision: string };
      };
      await ask('/v3/kv/compaction', { revision: header.revision, physical: true });
    },
    kill,
    start,
    [Symbol.asyncDispose]: async () => {
      await kill();
      http.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
