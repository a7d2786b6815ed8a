/** Overweft: the lab's own nodes, with the API server in place of manifests. */
import { checkout } from '../../src/bench/checkout.ts';
import { labConfig } from '../../src/lab/config.ts';
import { attachPod, daemonReady, logTail, startDaemon, writeConfig } from '../../src/lab/daemon.ts';
import { LabError } from '../../src/lab/outcome.ts';
import type { LabPlan } from '../../src/lab/plan.ts';
import { resident, type Side } from './side.ts';

const patienceMs = 120_000;

/** @throws LabError with the daemons' last lines */
export async function startOverweft(lab: LabPlan, kubeconfig: string): Promise<Side> {
  const program = [process.execPath, `${checkout}dist/src/main.js`];
  const daemons = lab.nodes.map((node) => {
    const config = labConfig({ encapsulation: 'vxlan', underlay: 'ipv4' }, lab, node);
    writeConfig(node, { ...config, store: { type: 'kubernetes', kubeconfig } });
    return startDaemon(node, program);
  });
  try {
    for (const daemon of daemons) await daemonReady(daemon, patienceMs);
    for (const pod of lab.pods) {
      const node = lab.nodes.find(({ name }) => name === pod.node);
      if (node) await attachPod(node, pod);
    }
  } catch (error) {
    throw new LabError([(error as Error).message, ...daemons.map((daemon) => logTail(daemon))].join('\n'));
  }
  const [client, ...endpoints] = lab.pods.map(({ netns }) => netns);
  return {
    from: client ?? '',
    to: endpoints,
    // Tables and connections are memory of its own.
    memory: () => ({ process: resident(daemons[0]?.pid ?? 0), kernel: 0 }),
  };
}
