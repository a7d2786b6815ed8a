/**
 * kube-proxy in its nftables mode on both nodes, each as its defaults have it, over kernel VXLAN.
 *
 *     eth0 (client) ── pod0 ─ nftables, conntrack ─ vxlan0 ─ under0 ═ under0 ─ vxlan0 ─ pod0 ── eth0 (all endpoints)
 *
 * The endpoints' addresses share one namespace: that costs the kernel nothing.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { type BenchNode, benchNodes } from '../../src/bench/nodes.ts';
import { builtProgram, builtVersion } from '../../src/bench/peers/built.ts';
import { kernelVxlan, type TunnelEnd } from '../../src/bench/peers/kernel-vxlan.ts';
import { ipBatch } from '../../src/host/iproute.ts';
import { inside, netnsFile } from '../../src/host/netns.ts';
import { clusterCIDRs, type LabPlan } from '../../src/lab/plan.ts';
import { KernelMemory } from './kernel-memory.ts';
import { endpointsOf } from './objects.ts';
import { resident, type Side } from './side.ts';

export const kubeProxyVersion = (): Promise<string | null> => builtVersion('kube-proxy');

/** flannel's port; 1500 less VXLAN over IPv4. */
const vxlan = { vni: 1, port: 8472, family: 4, mtu: 1450 } as const;

export interface KubeProxy extends Side, AsyncDisposable {
  /** The last lines that it wrote at node-1. */
  readonly log: () => string;
}

export async function startKubeProxy(
  lab: LabPlan,
  kubeconfig: string,
  directory: string,
): Promise<KubeProxy> {
  const nodes = await kernelNodes(lab);
  const stack = new AsyncDisposableStack();
  const running = nodes.map(({ netns }, i) => {
    const name = lab.nodes[i]?.name ?? '';
    const config = `${directory}/kube-proxy-${name}.yaml`;
    writeFileSync(config, stringify(configuration(name, kubeconfig)));
    const log = `${directory}/kube-proxy-${name}.log`;
    const file = openSync(log, 'a');
    const memory = KernelMemory.make(name);
    if (memory) stack.use(memory);
    const command = inside(netnsFile(netns), builtProgram('kube-proxy', 'kube-proxy'), ['--config', config]);
    const child = spawn(...command, { stdio: ['ignore', file, file] });
    closeSync(file);
    if (child.pid !== undefined) memory?.join(child.pid);
    stack.defer(() => ended(child));
    return { pid: child.pid ?? 0, memory, log };
  });
  const [first] = running;
  return {
    from: nodes[0]?.podNetns ?? '',
    to: endpointsOf(lab).map(() => nodes[1]?.podNetns ?? ''),
    memory: () => ({ process: resident(first?.pid ?? 0), kernel: first?.memory?.bytes }),
    log: () => (first ? readFileSync(first.log, 'utf8').trimEnd().split('\n').slice(-10).join('\n') : ''),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Two nodes and their pods with the addresses of the lab's. */
async function kernelNodes(lab: LabPlan): Promise<readonly BenchNode[]> {
  const made = await benchNodes('kubeproxy', 1, 'none');
  const endpoints = endpointsOf(lab);
  const pods = [lab.pods[0], lab.pods.find(({ ips }) => ips[0] === endpoints[0])];
  const ends = made.map((node, i): BenchNode & TunnelEnd => ({
    ...node,
    pod: pods[i]?.ips ?? node.pod,
    podCIDRs: lab.nodes[i]?.podCIDRs ?? node.podCIDRs,
    routerMAC: `02:00:00:00:0${i + 1}:02`,
  }));
  const [first, second] = ends;
  if (!first || !second) return [];
  await kernelVxlan(first.netns, first.podNetns, first, second, vxlan);
  await kernelVxlan(second.netns, second.podNetns, second, first, vxlan);
  const others = endpoints.slice(1);
  await ipBatch(
    others.map((address) => `route add ${address}/32 dev pod0`),
    { netns: netnsFile(second.netns) },
  );
  await ipBatch(
    others.map((address) => `address add ${address}/32 dev eth0`),
    { netns: netnsFile(second.podNetns) },
  );
  return ends;
}

/** https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/ */
const configuration = (hostnameOverride: string, kubeconfig: string): object => ({
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  mode: 'nftables',
  hostnameOverride,
  clientConnection: { kubeconfig, contentType: 'application/json' },
  clusterCIDR: clusterCIDRs[0],
  detectLocalMode: 'ClusterCIDR',
  // Limits of the host's, which a namespace cannot set.
  conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
});

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'))
    await once(child, 'exit');
}
