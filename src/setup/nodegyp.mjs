import { root, runtime } from './runtime.mjs';
import { run } from './steps.mjs';

/**
 * Builds an add-on for Node 24, whatever Node runs this script and whatever headers the machine's npm configuration names.
 * @param {string} folder absolute, holds binding.gyp
 * @param {string[]} commands of node-gyp, in order
 */
export async function nodeGyp(folder, commands) {
  await run(
    runtime.node,
    [
      `${root}node_modules/node-gyp/bin/node-gyp.js`,
      ...commands,
      '--release',
      `--directory=${folder}`,
      `--nodedir=${runtime.folder}`,
      '--jobs=max',
      '--loglevel=warn',
    ],
    { env: { npm_config_nodedir: runtime.folder } },
  );
}
