// npm run test:conformance [-- SUITE... options]: other projects' tests of what a cluster's network must do, in a cluster
// of this machine.
import { argv } from 'node:process';
import { foreground } from '../../src/setup/foreground.mjs';
import { root, runtime } from '../../src/setup/runtime.mjs';
import { setUp } from '../../src/setup/setup.mjs';
import { main } from '../../src/setup/steps.mjs';

const flags = ['--experimental-transform-types', '--disable-warning=ExperimentalWarning'];

await main(async () => {
  await setUp(['build', 'lab', 'test']);
  /** @param {string} file @param {string[]} args */
  const run = (file, ...args) => foreground(runtime.node, [...flags, `${root}test/${file}`, ...args]);
  return (await run('cluster/build.ts', 'conformance')) || run('conformance/run.ts', ...argv.slice(2));
});
