// A Kubernetes cluster of two nodes that Overweft joins; its control plane is on a third machine.
import { fileURLToPath } from 'node:url';
import type { RunOptions } from '../../support/run.ts';
import { type Containerd, startContainerd } from './containerd.ts';
import {
  type ControlPlane,
  clusterCIDRs,
  serviceCIDRs,
  startControlPlane,
  type User,
} from './control-plane.ts';
import { nodeUser, startKubelet } from './kubelet.ts';
import { bootMachines, type Machine } from './machine.ts';
import { type Overweft, startOverweft } from './overweft.ts';
import { until } from './until.ts';

interface Node {
  readonly machine: Machine;
  readonly containerd: Containerd;
  readonly overweft: Overweft;
}

/** What whoever may do everything does. */
export interface Administrator {
  /** kubectl, which must succeed; returns its stdout. */
  readonly kubectl: (...args: string[]) => Promise<string>;
  readonly apply: (...objects: object[]) => Promise<void>;
  /** What `kubectl get KIND` with further arguments finds. */
  readonly objects: (kind: string, ...more: string[]) => Promise<KubernetesObject[]>;
}

/** All gone at the end of an `await using` block. */
export interface Cluster extends Administrator, AsyncDisposable {
  readonly nodes: readonly [Node, Node];
  /** Machine of the control plane. */
  readonly control: Machine;
  readonly controlPlane: ControlPlane;
  /** The ends of all logs, and what the API server has, for a failure's message. */
  readonly report: () => Promise<string>;
}

// biome-ignore lint/suspicious/noExplicitAny: objects of all kinds are looked into
export type KubernetesObject = any;

const rbac = fileURLToPath(new URL('../../../deploy/rbac.yaml', import.meta.url));
/** Whom that file makes. */
const account: User = { name: 'overweft', groups: [] };

/** Returns when both nodes are ready. */
export async function startCluster(): Promise<Cluster> {
  const all = await bootMachines(3);
  try {
    return await start(all);
  } catch (error) {
    const message = `${error instanceof Error ? error.stack : error}\n${all.logs()}`;
    await all[Symbol.asyncDispose]();
    throw new Error(message);
  }
}

async function start(all: Awaited<ReturnType<typeof bootMachines>>): Promise<Cluster> {
  const [one, two, control] = all.machines;
  if (!one || !two || !control) throw new Error('three machines are not there');
  const controlPlane = await startControlPlane(control, [one, two].map(nodeUser));

  const { kubectl, apply, objects } = administrator(controlPlane);
  await kubectl('apply', '-f', rbac);
  /** Such as the pod of a DaemonSet has: it says on which node, which is the only one that its owner may write to. */
  const tokenOn = async (node: string): Promise<string> => {
    const bound = ['--bound-object-kind=Node', `--bound-object-name=${node}`];
    return (await kubectl('create', 'token', account.name, '--namespace=kube-system', ...bound)).trim();
  };

  const startNode = async (machine: Machine): Promise<Node> => {
    const containerd = await startContainerd(machine);
    await startKubelet(machine, controlPlane);
    const ranges = async () =>
      JSON.parse(await kubectl('get', 'node', machine.name, '-o', 'json')).spec.podCIDRs?.length;
    await until(`${machine.name} has ranges of addresses`, async () => (await ranges()) === 2);
    const kubeconfig = controlPlane.kubeconfig(account, machine.folder, await tokenOn(machine.name));
    const overweft = await startOverweft(machine, {
      store: { type: 'kubernetes', kubeconfig },
      podNetwork: { clusterCIDRs, serviceCIDRs },
      dns: {},
    });
    return { machine, containerd, overweft };
  };
  const nodes = await Promise.all([startNode(one), startNode(two)]);
  await until('both nodes are ready', async () => {
    const known = await objects('nodes');
    return known.length === 2 && known.every((node: KubernetesObject) => condition(node, 'Ready'));
  });
  return {
    nodes,
    control,
    controlPlane,
    kubectl,
    apply,
    objects,
    report: async () => [all.logs(), await overview(kubectl)].join('\n'),
    [Symbol.asyncDispose]: () => all[Symbol.asyncDispose](),
  };
}

export function administrator(controlPlane: ControlPlane): Administrator {
  const kubectlWith = async (options: RunOptions, ...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await controlPlane.kubectl(args, { timeoutMs: 240_000, ...options });
    if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  };
  const kubectl = (...args: string[]) => kubectlWith({}, ...args);
  return {
    kubectl,
    apply: async (...items) => {
      const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
      await kubectlWith({ input: list }, 'apply', '-f', '-');
    },
    objects: async (kind, ...more) => JSON.parse(await kubectl('get', kind, '-o', 'json', ...more)).items,
  };
}

/** What the API server has, for a failure's message. */
export const overview = async (kubectl: Administrator['kubectl']): Promise<string> =>
  [
    await kubectl('get', 'nodes,pods,deployments', '--all-namespaces', '-o', 'wide'),
    await kubectl('get', 'events', '--all-namespaces', '--sort-by=.lastTimestamp'),
  ].join('\n');

/** Whether an object's status has a condition that is true. */
export const condition = (object: KubernetesObject, wanted: string): boolean =>
  object.status?.conditions?.find(({ type }: { type: string }) => type === wanted)?.status === 'True';
