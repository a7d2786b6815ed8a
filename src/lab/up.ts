/** `overweft lab up`: a complete cluster in network namespaces of this machine. */
import { accessSync, constants } from 'node:fs';
import { labConfig } from './config.ts';
import { attachPod, type Daemon, daemonReady, logTail, startDaemon, writeConfig } from './daemon.ts';
import { takeDown } from './down.ts';
import { createNetwork } from './network.ts';
import { LabError, orStopped } from './outcome.ts';
import { type LabOptions, type LabPlan, planLab } from './plan.ts';
import { unreachablePairs } from './reach.ts';
import { createState, describeLab, type LabDescription, labDirectory } from './state.ts';

/** Called after each step, with what is there now. */
export type Progress = (step: string) => void;

/**
 * Returns when every pod reaches every pod and every node its own pods; a lab that does not get there is taken down.
 * @param program argument array that runs the command line, for the daemons
 * @throws LabError which names what failed, with the daemons' last log lines
 */
export async function bringUp(
  options: LabOptions,
  program: readonly string[],
  progress: Progress,
  stop: AbortSignal,
): Promise<LabDescription> {
  requireTun();
  const plan = planLab(options, labDirectory);
  await createState(plan);
  const daemons: Daemon[] = [];
  try {
    await createNetwork(plan, options.underlayOffloads);
    progress(`${plan.nodes.length} nodes and ${plan.pods.length} pods in network namespaces`);
    for (const node of plan.nodes) {
      writeConfig(node, labConfig(options, plan, node));
      daemons.push(startDaemon(node, program));
    }
    const pids = daemons.map((daemon) => daemon.pid);
    const description = describeLab(plan, pids);
    await orStopped(bringToLife(plan, daemons, progress, stop), stop);
    return description;
  } catch (error) {
    const logs = stop.aborted ? [] : daemons.map((daemon) => logTail(daemon));
    await takeDown();
    const message = error instanceof Error ? error.message : error;
    throw new LabError([message, ...logs].join('\n'));
  }
}

async function bringToLife(
  plan: LabPlan,
  daemons: readonly Daemon[],
  progress: Progress,
  stop: AbortSignal,
): Promise<void> {
  await Promise.all(daemons.map((daemon) => daemonReady(daemon)));
  progress('one daemon a node');
  await Promise.all(
    plan.pods.map((pod) => {
      const node = plan.nodes.find(({ name }) => name === pod.node);
      return node && attachPod(node, pod);
    }),
  );
  progress('pods attached');
  const failed = await unreachablePairs(plan, stop);
  if (failed.length > 0) throw new LabError(`no reply to ping:\n  ${failed.join('\n  ')}`);
  progress('every pod reaches every pod, every node its own');
}

function requireTun(): void {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    throw new LabError('the lab needs /dev/net/tun: load the kernel module tun, or pass the device in');
  }
}
