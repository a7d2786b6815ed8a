// Copies what an API server has to the files that daemons read.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { ControlPlane } from './control-plane.ts';

export interface ManifestCopy extends AsyncDisposable {
  readonly directory: string;
}

export async function copyManifests({ kubectl }: ControlPlane, folder: string): Promise<ManifestCopy> {
  const directory = `${folder}/manifests`;
  mkdirSync(directory);
  const copy = async () => {
    const kinds = 'nodes,namespaces,pods,networkpolicies';
    const { status, stdout } = await kubectl(['get', kinds, '--all-namespaces', '-o', 'json']);
    if (status !== 0) return;
    writeFileSync(`${folder}/cluster.json`, stdout);
    renameSync(`${folder}/cluster.json`, `${directory}/cluster.json`);
  };
  await copy();
  let ended = false;
  const all = (async () => {
    while (!ended) {
      await copy();
      await setTimeout(500);
    }
  })();
  return {
    directory,
    [Symbol.asyncDispose]: async () => {
      ended = true;
      await all;
    },
  };
}
