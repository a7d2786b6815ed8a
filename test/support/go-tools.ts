// Programs that exist as Go modules only, at the versions that a go.mod of the tests pins, and the tests' own ones beside
// them: built once, and kept outside the checkout.
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { env, pid } from 'node:process';
import { fileURLToPath } from 'node:url';
import { must } from './run.ts';

/** Name to package, by the folder of the module below `test/`; those of the tests themselves are below `./`. */
const modules = {
  'cluster/go': {
    bandwidth: 'github.com/containernetworking/plugins/plugins/meta/bandwidth',
    cnitool: 'github.com/containernetworking/cni/cnitool',
    containerd: 'github.com/containerd/containerd/v2/cmd/containerd',
    'containerd-shim-runc-v2': 'github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2',
    cri: './cmd/cri',
    ctr: 'github.com/containerd/containerd/v2/cmd/ctr',
    etcd: 'go.etcd.io/etcd/server/v3',
    'host-local': 'github.com/containernetworking/plugins/plugins/ipam/host-local',
    'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
    'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
    'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
    kubectl: 'k8s.io/kubernetes/cmd/kubectl',
    kubelet: 'k8s.io/kubernetes/cmd/kubelet',
    runc: 'github.com/opencontainers/runc',
    tool: './cmd/tool',
    tuning: 'github.com/containernetworking/plugins/plugins/meta/tuning',
  },
  'conformance/go/cyclonus': {
    cyclonus: './',
    'cyclonus-worker': 'github.com/mattfenwick/cyclonus/cmd/worker',
  },
  'conformance/go/kubernetes': {
    agnhost: './agnhost',
    ginkgo: 'github.com/onsi/ginkgo/v2/ginkgo',
    'network-policy.test': './policy',
  },
} as const;

type Packages<Modules> = Modules extends Modules ? keyof Modules : never;
export type GoTool = Packages<(typeof modules)[keyof typeof modules]>;

/** The only one with C in it: it enters namespaces before Go has threads, and has libseccomp make its filters. */
const withC: GoTool = 'runc';
const tags = 'no_btrfs,no_devmapper,no_zfs,seccomp';

/** Those that the tests of a folder below `test/` need beside others'. */
export const goToolNames = (folder: 'cluster' | 'conformance'): GoTool[] =>
  Object.entries(modules)
    .filter(([module]) => module.startsWith(`${folder}/`))
    .flatMap(([, packages]) => Object.keys(packages) as GoTool[]);

/**
 * Builds what is not there yet; from nothing all of them take many minutes.
 * @returns the executables by name; those of other projects lie in one folder
 */
export async function goTools<Name extends GoTool>(...names: Name[]): Promise<Record<Name, string>> {
  for (const name of names) if (!isBuilt(name)) await build(name);
  return Object.fromEntries(names.map((name) => [name, pathOf(name)])) as Record<Name, string>;
}

export const isBuilt = (name: GoTool): boolean => existsSync(pathOf(name));

const cache = `${env.XDG_CACHE_HOME ?? `${homedir()}/.cache`}/overweft/go`;

/** Folder of the module, and package in it. */
function placeOf(name: GoTool): { folder: string; package: string } {
  for (const [module, packages] of Object.entries(modules))
    for (const [candidate, found] of Object.entries(packages))
      if (candidate === name)
        return { folder: fileURLToPath(new URL(`../${module}/`, import.meta.url)), package: found };
  throw new Error(`no module has ${name}`);
}

/** Names the versions of all modules, and the sources of what is the tests' own. */
function pathOf(name: GoTool): string {
  const { folder, package: found } = placeOf(name);
  const own = found.startsWith('./') ? globSync(`${found}/**/*.go`, { cwd: folder }).sort() : [];
  const hash = createHash('sha256').update(`${process.arch} ${tags}\n`);
  for (const file of ['go.mod', 'go.sum', ...own])
    hash.update(`${file}\n`).update(readFileSync(folder + file));
  return `${cache}/${hash.digest('hex').slice(0, 12)}/${name}`;
}

async function build(name: GoTool): Promise<void> {
  const { folder, package: found } = placeOf(name);
  const path = pathOf(name);
  const unfinished = `${path}.${pid}`;
  mkdirSync(dirname(path), { recursive: true });
  const [, version = '', minor = ''] =
    /k8s\.io\/kubernetes (v1\.(\d+)\S*)/.exec(readFileSync(`${folder}go.mod`, 'utf8')) ?? [];
  // What a node and the API server say that they are.
  const variables = { gitVersion: version, gitMajor: '1', gitMinor: minor };
  const set = Object.entries(variables).map(
    ([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`,
  );
  const linker = ['-s', '-w', ...set].join(' ');
  await must(
    'nice',
    [
      'go',
      ...(name.endsWith('.test') ? ['test', '-c', '-vet=off'] : ['build']),
      '-trimpath',
      '-buildvcs=false',
      '-tags',
      tags,
      '-ldflags',
      linker,
      '-o',
      unfinished,
      found,
    ],
    { cwd: folder, env: { CGO_ENABLED: name === withC ? '1' : '0' }, timeoutMs: 1_800_000 },
  );
  renameSync(unfinished, path);
}
