import { rmSync, writeFileSync } from 'node:fs';
import { callDaemon } from '../../src/daemon/client.ts';
import { attachPod } from '../../src/lab/daemon.ts';
import { pod } from './cluster.ts';
import type { Lab } from './lab.ts';
import { netns } from './netns.ts';

/** Where a pod is. */
export interface PlacedPod {
  readonly netns: string;
  readonly node: string;
  /** IPv4 first. */
  readonly ips: readonly [string, string];
}

/** Pod k on node i beyond those of the lab: with the next of its numbers, `lab down` knows the namespace as its own. */
export const placeOf = (k: number, i: number): PlacedPod => ({
  netns: `ow-pod${k}`,
  node: `node-${i}`,
  ips: [`10.244.${i}.${k + 1}`, `fd00:244:${i}::${k + 1}`],
});

/** A pod of namespace default that comes and goes while the lab is up. */
export interface ComingPod extends PlacedPod, AsyncDisposable {
  /** Writes its manifest. */
  readonly declare: (labels: Readonly<Record<string, string>>) => void;
  readonly undeclare: () => void;
  /** Gives it its interface; returns when the daemon says that the pod is live. */
  readonly attach: () => Promise<void>;
  readonly detach: () => Promise<void>;
}

/** A namespace for a pod that has neither a manifest nor an interface yet. Disposal takes all of it away. */
export async function comingPod(lab: Lab, name: string, place: PlacedPod): Promise<ComingPod> {
  const daemon = lab.nodes.find((node) => node.name === place.node);
  if (!daemon) throw new Error(`the lab has no ${place.node}`);
  const file = `${lab.manifests}/${name}.yaml`;
  const space = await netns(place.netns);
  const undeclare = () => rmSync(file, { force: true });
  const detach = async () => void (await callDaemon(daemon.socket, 'DELETE', `/v1/ports/default/${name}`));
  return {
    ...place,
    declare: (labels) => writeFileSync(file, JSON.stringify(pod({ ...place, name, labels }))),
    undeclare,
    attach: () => attachPod(daemon, { namespace: 'default', name, netns: place.netns }),
    detach,
    [Symbol.asyncDispose]: async () => {
      await detach();
      undeclare();
      await space[Symbol.asyncDispose]();
    },
  };
}
