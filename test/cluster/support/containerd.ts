// containerd on a machine, and its CRI as a kubelet calls it.
import { writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { plugin } from '../../support/cni.ts';
import { goTools } from '../../support/go-tools.ts';
import { image, writeToolImage } from './image.ts';
import type { Machine } from './machine.ts';
import { until } from './until.ts';

export const containerdSocket = '/run/containerd/containerd.sock';

/** Where the machine's network configuration goes. */
export const cniFolder = (machine: Machine): string => `${machine.folder}/net.d`;

export interface Containerd {
  /** One call, such as `RuntimeService/RunPodSandbox`: fields are those of runtime.v1 in JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: answers of all methods are looked into
  readonly call: (method: string, request?: object) => Promise<any>;
  /** Runs a command in a container; returns what it prints. */
  readonly exec: (containerId: string, cmd: readonly string[]) => Promise<string>;
  /** Takes the images of an archive. */
  readonly load: (archive: string) => Promise<void>;
}

interface CniFolders {
  readonly plugins: string;
  readonly configurations: string;
}

/** Those of a machine whose daemon is a process of the tests. */
const ofProcess = (machine: Machine): CniFolders => ({
  plugins: dirname(plugin),
  configurations: cniFolder(machine),
});

/** Starts containerd with the tests' image; returns when it serves. */
export async function startContainerd(machine: Machine, cni = ofProcess(machine)): Promise<Containerd> {
  const tools = await goTools('containerd', 'containerd-shim-runc-v2', 'cri', 'ctr', 'runc', 'tool');
  const { folder } = machine;
  const config = `${folder}/containerd.toml`;
  await machine.must(['mkdir', '-p', cni.configurations]);
  writeFileSync(config, configuration(machine, cni));
  await writeToolImage(tools.tool, `${folder}/image.tar`);
  machine.start('containerd', [tools.containerd, '--config', config], {
    PATH: `${dirname(tools.runc)}:${process.env.PATH}`,
  });
  const ctr = [tools.ctr, '--address', containerdSocket, '--namespace', 'k8s.io'];
  await until(
    `containerd of ${machine.name} serves`,
    async () => (await machine.run([...ctr, 'version'])).status === 0,
  );
  const load = async (archive: string) => {
    await machine.must([...ctr, 'images', 'import', '--local', '--snapshotter', 'native', archive]);
  };
  await load(`${folder}/image.tar`);

  const call = async (method: string, request: object = {}) =>
    JSON.parse(await machine.must([tools.cri, containerdSocket, method], { input: JSON.stringify(request) }));
  return {
    call,
    load,
    exec: async (containerId, cmd) => {
      const { stdout, stderr, exitCode } = await call('RuntimeService/ExecSync', {
        containerId,
        cmd,
        timeout: 30,
      });
      const text = (base64 = '') => Buffer.from(base64, 'base64').toString();
      if (exitCode) throw new Error(`${cmd.join(' ')}: exit status ${exitCode}\n${text(stderr)}`);
      return text(stdout);
    },
  };
}

/**
 * Snapshots are copies, for an image of one small file needs no overlay, which a root directory may not allow. A test
 * that runs without CAP_SYS_RESOURCE cannot make its containers dearer than itself.
 */
const configuration = (machine: Machine, cni: CniFolders): string => `
version = 3
root = "${machine.folder}/containerd"
state = "/run/containerd"

[grpc]
address = "${containerdSocket}"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "native"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "${image}"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
use_internal_loopback = true
bin_dirs = ["${cni.plugins}"]
conf_dir = "${cni.configurations}"
`;
