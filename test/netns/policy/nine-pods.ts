/**
 * The cluster of the Kubernetes policy suite: pods a, b, c in namespaces x, y, z, spread over three nodes so that every
 * namespace and every letter has pods of one node and of different ones.
 *
 *     node-1   x/a  y/c  z/b
 *     node-2   x/b  y/a  z/c
 *     node-3   x/c  y/b  z/a
 */
import { renameSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { daemonStatus } from '../../../src/daemon/client.ts';
import { attachPod } from '../../../src/lab/daemon.ts';
import { namespace, type PodFields, pod } from '../../support/cluster.ts';
import { type Lab, labUp } from '../../support/lab.ts';
import { type PlacedPod, placeOf } from '../../support/lab-pod.ts';
import { must } from '../../support/run.ts';
import { type PodName, podNames, probedPorts } from './truth.ts';

type Labels = Readonly<Record<string, string>>;

/** What of the cluster is not as it always is. */
export interface Situation {
  /** Objects of policy in force. */
  readonly policies?: readonly object[];
  /** Labels instead of `pod: a`. */
  readonly podLabels?: Partial<Record<PodName, Labels>>;
  /** Ports instead of serve-80-tcp … serve-81-sctp. */
  readonly podPorts?: Partial<Record<PodName, PodFields['ports']>>;
  /** Labels besides kubernetes.io/metadata.name. */
  readonly namespaceLabels?: Readonly<Record<string, Labels>>;
}

export interface NinePods extends AsyncDisposable {
  readonly lab: Lab;
  /** Makes it so, and returns when every daemon has noticed. */
  readonly become: (situation: Situation) => Promise<void>;
}

/** Longest wait for the daemons to notice: those that a change does not concern may have nothing to do. */
const noticeMs = 300;

const file = 'nine-pods.json';

export async function ninePods(...labOptions: string[]): Promise<NinePods> {
  const lab = await labUp('--nodes', '3', '--pods-per-node', '1', ...labOptions);
  try {
    let present: Situation | undefined;
    const become = async (situation: Situation) => {
      if (isDeepStrictEqual(situation, present)) return;
      const before = await epochs(lab);
      replaceFile(`${lab.manifests}/${file}`, JSON.stringify(objectsOf(situation)));
      present = situation;
      const deadline = Date.now() + noticeMs;
      while (Date.now() < deadline && (await epochs(lab)).some((epoch, i) => epoch === before[i]))
        await new Promise((resolve) => setTimeout(resolve, 20));
    };
    await must('ip', ['-batch', '-'], {
      input: Object.values(placedPods)
        .map(({ netns }) => `netns add ${netns}\n`)
        .join(''),
    });
    await become({});
    await Promise.all(
      podNames.map(async (key) => {
        const { netns, node } = placedPods[key];
        const [namespace = '', name = ''] = key.split('/');
        await must('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
        const daemon = lab.nodes.find((one) => one.name === node);
        if (daemon) await attachPod(daemon, { namespace, name, netns });
      }),
    );
    return { lab, become, [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose]() };
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

/** Where the pods are, whatever the situation. */
export const placedPods = Object.fromEntries(
  podNames.map((name, i) => [name, placeOf(i + 4, ((i + Math.floor(i / 3)) % 3) + 1)]),
) as Readonly<Record<PodName, PlacedPod>>;

const epochs = (lab: Lab): Promise<number[]> =>
  Promise.all(lab.nodes.map(async ({ socket }) => (await daemonStatus(socket)).epoch));

/** A reader sees the old text or the new one. */
function replaceFile(path: string, text: string): void {
  const fresh = path.replace(/[^/]*$/, '.$&');
  writeFileSync(fresh, text);
  renameSync(fresh, path);
}

function objectsOf(situation: Situation): object {
  const { policies = [], podLabels = {}, podPorts = {}, namespaceLabels = {} } = situation;
  const items = [
    ...['x', 'y', 'z'].map((name) =>
      namespace(name, { 'kubernetes.io/metadata.name': name, ...namespaceLabels[name] }),
    ),
    ...podNames.map((key) => {
      const [namespace = '', name = ''] = key.split('/');
      const labels = podLabels[key] ?? { pod: name };
      return pod({ ...placedPods[key], namespace, name, labels, ports: podPorts[key] ?? servedPorts });
    }),
    ...policies,
  ];
  return { apiVersion: 'v1', kind: 'List', items };
}

const servedPorts = probedPorts.flatMap((containerPort) =>
  ['TCP', 'UDP', 'SCTP'].map((protocol) => ({
    name: `serve-${containerPort}-${protocol.toLowerCase()}`,
    containerPort,
    protocol,
  })),
);
