// A kubelet on a machine that has containerd.
import { writeFileSync } from 'node:fs';
import { goTools } from '../../support/go-tools.ts';
import { containerdSocket } from './containerd.ts';
import type { ControlPlane, User } from './control-plane.ts';
import type { Machine } from './machine.ts';

/** Whom the API server takes a kubelet for: node authorization grants it what is its node's. */
export const nodeUser = ({ name }: Machine): User => ({
  name: `system:node:${name}`,
  groups: ['system:nodes'],
});

/** Starts it; the node registers itself. */
export async function startKubelet(machine: Machine, controlPlane: ControlPlane): Promise<void> {
  const tools = await goTools('kubelet');
  const { folder, name, ips } = machine;
  const config = `${folder}/kubelet.json`;
  writeFileSync(config, JSON.stringify(configuration(machine)));
  machine.start('kubelet', [
    tools.kubelet,
    `--config=${config}`,
    `--kubeconfig=${controlPlane.kubeconfig(nodeUser(machine), folder)}`,
    `--hostname-override=${name}`,
    `--node-ip=${ips.join(',')}`,
    `--root-dir=${folder}/kubelet`,
    `--cert-dir=${folder}`,
  ]);
}

const configuration = ({ folder }: Machine): object => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  containerRuntimeEndpoint: `unix://${containerdSocket}`,
  // A host with control groups of version 1, or with swap, will do.
  failCgroupV1: false,
  failSwapOn: false,
  cgroupDriver: 'cgroupfs',
  // Whoever runs the tests may lack CAP_SYS_RESOURCE: no limit is raised, no OOM score lowered.
  oomScoreAdj: 0,
  maxOpenFiles: 4096,
  // The API server is the only one that can reach it.
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: 'AlwaysAllow' },
  // What the machine shares with the host is left alone, and how full the host is counts for nothing.
  resolvConf: '',
  // The resolver of the node's own daemon.
  clusterDNS: ['169.254.20.10'],
  clusterDomain: 'cluster.local',
  makeIPTablesUtilChains: false,
  localStorageCapacityIsolation: false,
  imageGCHighThresholdPercent: 100,
  evictionHard: { 'memory.available': '10Mi' },
  podLogsDir: `${folder}/pod-logs`,
  volumePluginDir: `${folder}/volume-plugins`,
  // Pods end and nodes report faster than a real cluster would let them.
  nodeStatusUpdateFrequency: '2s',
  syncFrequency: '10s',
  shutdownGracePeriod: '0s',
});
