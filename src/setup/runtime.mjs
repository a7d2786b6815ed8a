// Plain JavaScript that runs on any Node since 18: the launcher and the set-up use it before Node 24 is there.
import { existsSync } from 'node:fs';
import { arch } from 'node:process';
import { fileURLToPath } from 'node:url';

/** The checkout's root, with a trailing slash. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/** The Node that Overweft runs on: an npm package, so that add-ons and daemon always meet the same ABI. */
export const runtime = {
  folder: `${root}node_modules/node-linux-${arch}`,
  node: `${root}node_modules/node-linux-${arch}/bin/node`,
};

export const hasRuntime = () => existsSync(runtime.node);
