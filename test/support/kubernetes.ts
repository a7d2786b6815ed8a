// A real API server over a real etcd, for one test file. Nothing runs in its cluster: objects are what tests put there.
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';
import { type Etcd, etcd, freePorts, startServer } from './etcd.ts';
import { goTools } from './go-tools.ts';

export interface Kubernetes extends AsyncDisposable {
  readonly server: string;
  readonly etcd: Etcd;
  /** Of the one who may do everything. */
  readonly kubeconfig: string;
  /** Writes a kubeconfig with another token, or none. */
  readonly kubeconfigOf: (name: string, user: object) => string;
  /** One request as the one who may do everything; refusals throw. */
  readonly ask: (method: string, path: string, body?: object, type?: string) => Promise<Json>;
  /**
   * Applies deploy/rbac.yaml, and makes the Node and a pod of its account there.
   * @returns the pod's token
   */
  readonly grant: (node: string) => Promise<string>;
  readonly kill: () => Promise<void>;
  readonly start: () => Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: what servers answer is looked into by tests
export type Json = any;

const ADMIN = 'overweft-tests';

/** Where objects of its kind are made. */
export function collectionPath({ apiVersion, kind, metadata }: Json): string {
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const plural = kind.endsWith('y') ? `${kind.slice(0, -1)}ies` : `${kind}s`;
  const space = metadata.namespace ? `/namespaces/${metadata.namespace}` : '';
  return `${base}${space}/${plural.toLowerCase()}`;
}

/** @param address of this machine on which it listens */
export async function kubernetes(address = '127.0.0.1'): Promise<Kubernetes> {
  const { 'kube-apiserver': program } = await goTools('kube-apiserver', 'etcd');
  const directory = mkdtempSync(`${tmpdir()}/overweft-kubernetes-`);
  const store = await etcd();
  const [port = 0] = await freePorts(1);
  const server = `https://${address}:${port}`;
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  writeFileSync(`${directory}/sa.key`, privateKey);
  writeFileSync(`${directory}/sa.pub`, publicKey);
  writeFileSync(`${directory}/tokens.csv`, `${ADMIN},admin,admin,system:masters\n`);
  const ask = (method: string, path: string, body?: object, type = 'application/json') =>
    new Promise<Json>((resolve, reject) => {
      const headers = { authorization: `Bearer ${ADMIN}`, 'content-type': type };
      const sent = request(server + path, { method, headers, rejectUnauthorized: false }, (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => {
          text += chunk;
        });
        answer.on('end', () => {
          if ((answer.statusCode ?? 500) < 300) resolve(text.startsWith('{') ? JSON.parse(text) : text);
          else reject(new Error(`${method} ${path}: ${answer.statusCode}: ${text}`));
        });
      });
      sent.on('error', reject);
      sent.end(body && JSON.stringify(body));
    });
  let running: ChildProcess | undefined;
  const kill = async () => {
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    running.kill('SIGKILL');
    await once(running, 'exit');
  };
  const start = async () => {
    const args = [
      ['--etcd-servers', store.endpoint],
      ['--bind-address', address],
      ['--advertise-address', address === '127.0.0.1' ? '192.0.2.1' : address],
      ['--secure-port', `${port}`],
      ['--cert-dir', `${directory}/certificates`],
      ['--service-cluster-ip-range', '10.96.0.0/16'],
      ['--service-account-issuer', 'https://kubernetes.default.svc'],
      ['--service-account-key-file', `${directory}/sa.pub`],
      ['--service-account-signing-key-file', `${directory}/sa.key`],
      ['--token-auth-file', `${directory}/tokens.csv`],
      ['--authorization-mode', 'RBAC'],
      // Nobody makes the default accounts that it would ask for.
      ['--disable-admission-plugins', 'ServiceAccount'],
    ];
    running = await startServer(program, args.flat(), `${directory}/log`, async () => {
      const answer: Json = await ask('GET', '/readyz');
      return answer === 'ok';
    });
  };
  await start();
  const kubeconfigOf = (name: string, user: object) => {
    const file = `${directory}/${name}.kubeconfig`;
    const ca = readFileSync(`${directory}/certificates/apiserver.crt`);
    const cluster = { server, 'certificate-authority-data': ca.toString('base64') };
    writeFileSync(
      file,
      stringify({
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': name,
        contexts: [{ name, context: { cluster: 'test', user: name } }],
        clusters: [{ name: 'test', cluster }],
        users: [{ name, user }],
      }),
    );
    return file;
  };
  const make = async (object: Json): Promise<Json> => {
    const collection = collectionPath(object);
    return ask('POST', collection, object).catch((error: Error) => {
      if (!error.message.includes('AlreadyExists')) throw error;
      return ask('GET', `${collection}/${object.metadata.name}`);
    });
  };
  const grant = async (node: string) => {
    const file = fileURLToPath(new URL('../../deploy/rbac.yaml', import.meta.url));
    for (const document of parseAllDocuments(readFileSync(file, 'utf8'))) await make(document.toJS());
    await make({ apiVersion: 'v1', kind: 'Node', metadata: { name: node } });
    const pod = await make({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `overweft-${node}`, namespace: 'kube-system' },
      spec: { nodeName: node, serviceAccountName: 'overweft', containers: [{ name: 'c', image: 'i' }] },
    });
    const { name, uid } = pod.metadata;
    const answer = await ask('POST', '/api/v1/namespaces/kube-system/serviceaccounts/overweft/token', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } },
    });
    return answer.status.token as string;
  };
  return {
    server,
    etcd: store,
    kubeconfig: kubeconfigOf('admin', { token: ADMIN }),
    kubeconfigOf,
    ask,
    grant,
    kill,
    start,
    [Symbol.asyncDispose]: async () => {
      await kill();
      await store[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
