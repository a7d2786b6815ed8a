/**
 * The daemons of a cluster, each asked where it runs: its API listens on its node alone.
 *
 *     kubectl get pods ─► kubectl exec POD -- overweft connectivity --raw ─► an answer for each node
 */
import type { Connectivity } from '../connectivity/connectivity.ts';
import { run } from '../host/command.ts';

/** Label of the pods of deploy/daemonset.yaml. */
const SELECTOR = 'app.kubernetes.io/name=overweft';

/** Milliseconds that a daemon may take for as many pairs as it takes in one call. */
const PATIENCE_MS = 3_600_000;

/** A node whose daemon could not be asked, and why. */
export interface Silent {
  readonly node: string;
  readonly reason: string;
}

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly namespace: string };
    readonly spec: { readonly nodeName?: string };
  }[];
}

/**
 * Asks the daemon of every Linux node, as kubectl reaches the cluster.
 * @param args of `overweft connectivity`
 * @throws CommandError where the cluster is not reached
 */
export async function askDaemonSet(
  args: readonly string[],
): Promise<{ answers: readonly Connectivity[]; silent: readonly Silent[] }> {
  const [nodes, { items }] = await Promise.all([
    run('kubectl', ['get', 'nodes', '--selector=kubernetes.io/os=linux', '--output=name']),
    run('kubectl', [
      ...['get', 'pods', '--all-namespaces', `--selector=${SELECTOR}`],
      ...['--field-selector=status.phase=Running', '--output=json'],
    ]).then((text): PodList => JSON.parse(text)),
  ]);
  const names = nodes.split('\n').flatMap((line) => /^node\/(.+)$/.exec(line)?.[1] ?? []);
  const asked = await Promise.all(
    names.map(async (node): Promise<Connectivity | Silent> => {
      const pod = items.find(({ spec }) => spec.nodeName === node);
      if (!pod) return { node, reason: `no pod with ${SELECTOR} runs there` };
      const { name, namespace } = pod.metadata;
      const command = ['overweft', 'connectivity', '--raw', ...args];
      try {
        const answer = await run('kubectl', ['exec', `--namespace=${namespace}`, name, '--', ...command], {
          patienceMs: PATIENCE_MS,
        });
        return JSON.parse(answer) as Connectivity;
      } catch (error) {
        return { node, reason: (error as Error).message };
      }
    }),
  );
  return {
    answers: asked.filter((one) => 'pairs' in one),
    silent: asked.filter((one) => 'reason' in one),
  };
}
