/**
 * How an API server is reached, and as whom: by a kubeconfig file, or as a pod of its cluster is told. Files that these
 * name are read anew for each use, because tokens and certificates are replaced while a daemon runs.
 * https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { env } from 'node:process';
import { parse } from 'yaml';
import { z } from 'zod';
import { issuesOf } from '../../config/issues.ts';
import type { Tls } from '../http.ts';

export interface ApiAccess {
  /** URL. */
  readonly server: string;
  /** @throws Error where a file cannot be read */
  readonly tls: () => Tls;
  /** Bearer token; undefined: the certificate says who asks. */
  readonly token: () => string | undefined;
}

/** @throws Error that says what is missing, and where */
export const accessOf = (kubeconfig: string | undefined): ApiAccess =>
  kubeconfig === undefined ? fromPod() : fromKubeconfig(kubeconfig);

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
function fromPod(): ApiAccess {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  if (!host) {
    throw new Error(
      'store.kubeconfig: is missing, and this is no pod of a cluster: KUBERNETES_SERVICE_HOST is not set',
    );
  }
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    tls: () => ({ ca: readFileSync(`${ACCOUNT}/ca.crt`, 'utf8') }),
    token: () => readFileSync(`${ACCOUNT}/token`, 'utf8').trim(),
  };
}

const cluster = z.looseObject({
  server: z.url({ protocol: /^https?$/, error: 'must be a URL such as https://192.0.2.10:6443' }),
  'certificate-authority': z.string().optional(),
  'certificate-authority-data': z.string().optional(),
  'tls-server-name': z.string().optional(),
  'insecure-skip-tls-verify': z.boolean().optional(),
});

const refused = (right: string) =>
  z.undefined({ error: `is not supported: use ${right} in the kubeconfig of a daemon` });
const LASTING = 'client-certificate and client-key, token or tokenFile';

const user = z.looseObject({
  'client-certificate': z.string().optional(),
  'client-certificate-data': z.string().optional(),
  'client-key': z.string().optional(),
  'client-key-data': z.string().optional(),
  token: z.string().optional(),
  tokenFile: z.string().optional(),
  exec: refused(LASTING).optional(),
  'auth-provider': refused(LASTING).optional(),
  username: refused(LASTING).optional(),
});

const kubeconfigSchema = z.looseObject({
  'current-context': z.string({ error: 'must name a context' }).min(1, 'must name a context'),
  contexts: z.array(
    z.looseObject({ name: z.string(), context: z.looseObject({ cluster: z.string(), user: z.string() }) }),
  ),
  clusters: z.array(z.looseObject({ name: z.string(), cluster })),
  users: z.array(z.looseObject({ name: z.string(), user })),
});

function fromKubeconfig(file: string): ApiAccess {
  const complain = (path: string, message: string) => new Error(`${file}: ${path}: ${message}`);
  const result = kubeconfigSchema.safeParse(parse(readFileSync(file, 'utf8')) ?? {});
  if (!result.success) {
    throw new Error(
      issuesOf(result.error)
        .map(({ path, message }) => complain(path, message).message)
        .join('\n'),
    );
  }
  const { 'current-context': current, contexts, clusters, users } = result.data;
  const find = <T extends { readonly name: string }>(list: readonly T[], field: string, name: string): T => {
    const found = list.find((one) => one.name === name);
    if (!found) throw complain(field, `has none of the name ${name}`);
    return found;
  };
  const { context } = find(contexts, 'contexts', current);
  const { cluster: there } = find(clusters, 'clusters', context.cluster);
  const { user: who } = find(users, 'users', context.user);
  /** Of a file relative to the kubeconfig, or of base64 in it. */
  const pem = (path: string | undefined, data: string | undefined) => {
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    return path === undefined ? undefined : readFileSync(resolve(dirname(file), path), 'utf8');
  };
  return {
    server: there.server,
    tls: () => ({
      ca: pem(there['certificate-authority'], there['certificate-authority-data']),
      cert: pem(who['client-certificate'], who['client-certificate-data']),
      key: pem(who['client-key'], who['client-key-data']),
      servername: there['tls-server-name'],
      insecure: there['insecure-skip-tls-verify'],
    }),
    token: () => (who.tokenFile === undefined ? who.token : pem(who.tokenFile, undefined)?.trim()),
  };
}
