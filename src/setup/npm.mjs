// npm packages, Node 24 among them. Installed without install scripts: npm asks for approval of each of them, and
// they would build for the host's Node. What needs building is built in addons.mjs.

import { hasRuntime, root, runtime } from './runtime.mjs';
import { contentHash, Stamp } from './stamp.mjs';
import { run, SetupError, step } from './steps.mjs';

// Not `npm ci`: it refuses a lock file from which a registry's gaps have left out other platforms' optional packages.
const install = ['install', '--no-save', '--ignore-scripts', '--loglevel=error'];

export async function installNpmPackages() {
  const stamp = new Stamp(`${root}node_modules/.overweft-stamp`, contentHash(['package-lock.json']));
  if (!stamp.fresh()) {
    await step('npm packages and Node 24', () => run('npm', install));
  }
  if (!hasRuntime()) {
    throw new SetupError(
      `no Node 24 at ${runtime.node}: Overweft runs on Linux on x64 and arm64; where this is one, npm could not fetch that package (it is optional): run npm install and read its output`,
    );
  }
  stamp.write();
}
