// The control plane of a Kubernetes cluster on a machine of its own.
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { goTools } from '../../support/go-tools.ts';
import type { Finished, RunOptions } from '../../support/run.ts';
import type { Machine } from './machine.ts';
import { until } from './until.ts';

/** What nodes' ranges are taken from: a range of IPv6 may be at most 16 bits wider than a node's. */
export const clusterCIDRs = ['10.244.0.0/16', 'fd00:244::/48'] as const;
export const serviceCIDRs = ['10.96.0.0/16', 'fd00:96::/112'];

/** Who may do everything. */
export const admin: User = { name: 'admin', groups: ['system:masters'] };
const controllerManager = { name: 'system:kube-controller-manager', groups: [] };
const scheduler = { name: 'system:kube-scheduler', groups: [] };

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

export interface ControlPlane {
  /**
   * Writes a client's configuration.
   * @param token one of the API server's own, in place of that of a user who was named at its start
   * @returns its path
   */
  readonly kubeconfig: (user: User, folder: string, token?: string) => string;
  /** kubectl as the administrator. */
  readonly kubectl: (args: readonly string[], options?: RunOptions) => Promise<Finished>;
}

/**
 * Starts etcd, the API server, the controller manager and the scheduler; returns when the API server is ready.
 * @param users who may speak to the API server beside these: a bearer token each is their name
 */
export async function startControlPlane(machine: Machine, users: readonly User[]): Promise<ControlPlane> {
  const tools = await goTools(
    'etcd',
    'kube-apiserver',
    'kube-controller-manager',
    'kube-scheduler',
    'kubectl',
  );
  const { folder, ips } = machine;
  const server = `https://${ips[0]}:6443`;
  const etcd = 'http://127.0.0.1:2379';
  machine.start('etcd', [
    tools.etcd,
    `--data-dir=${folder}/etcd`,
    `--listen-client-urls=${etcd}`,
    `--advertise-client-urls=${etcd}`,
    // The cluster does not outlive the machine.
    '--unsafe-no-fsync',
  ]);
  const everybody = [admin, controllerManager, scheduler, ...users];
  const token = ({ name }: User) => name.replaceAll(':', '-');
  const tokens = everybody.map((user) =>
    [token(user), user.name, user.name, `"${user.groups.join(',')}"`].join(','),
  );
  writeFileSync(`${folder}/tokens.csv`, `${tokens.join('\n')}\n`);
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  writeFileSync(`${folder}/service-account.key`, privateKey);
  writeFileSync(`${folder}/service-account.pub`, publicKey);
  machine.start('kube-apiserver', [
    tools['kube-apiserver'],
    `--etcd-servers=${etcd}`,
    `--advertise-address=${ips[0]}`,
    `--service-cluster-ip-range=${serviceCIDRs.join(',')}`,
    // It makes its own certificate there, which names the address above.
    `--cert-dir=${folder}`,
    `--token-auth-file=${folder}/tokens.csv`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged',
    // No names are resolved here.
    '--kubelet-preferred-address-types=InternalIP',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${folder}/service-account.pub`,
    `--service-account-signing-key-file=${folder}/service-account.key`,
  ]);
  const certificate = `${folder}/apiserver.crt`;
  const kubeconfig = (user: User, place: string, bearer = token(user)): string => {
    const file = `${place}/${token(user)}.kubeconfig`;
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server, 'certificate-authority': certificate } }],
      users: [{ name: user.name, user: { token: bearer } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: user.name } }],
      'current-context': 'test',
    };
    writeFileSync(file, JSON.stringify(config));
    return file;
  };
  const asAdmin = [tools.kubectl, '--kubeconfig', kubeconfig(admin, folder), `--cache-dir=${folder}/kubectl`];
  const kubectl = (args: readonly string[], options?: RunOptions) =>
    machine.run([...asAdmin, ...args], options);
  await until('the API server is ready', async () => {
    const { status, stderr } = await kubectl(['get', '--raw', '/readyz']);
    if (status !== 0) throw new Error(stderr);
    return true;
  });
  const client = (user: User) => `--kubeconfig=${kubeconfig(user, folder)}`;
  machine.start('kube-controller-manager', [
    tools['kube-controller-manager'],
    client(controllerManager),
    '--use-service-account-credentials',
    // The API server's certificate is its own authority, which a bundle of authorities may not hold.
    '--controllers=*,-kube-apiserver-serving-clustertrustbundle-publisher-controller',
    `--service-account-private-key-file=${folder}/service-account.key`,
    `--root-ca-file=${certificate}`,
    '--allocate-node-cidrs',
    `--cluster-cidr=${clusterCIDRs.join(',')}`,
    `--service-cluster-ip-range=${serviceCIDRs.join(',')}`,
    '--leader-elect=false',
    '--secure-port=0',
  ]);
  machine.start('kube-scheduler', [
    tools['kube-scheduler'],
    client(scheduler),
    '--leader-elect=false',
    '--secure-port=0',
  ]);
  return { kubeconfig, kubectl };
}
