// npm run test:cluster [-- vitest's arguments]: sets up and builds what is missing, then runs the tests in real clusters.
import { argv } from 'node:process';
import { hasCommand, missingPackages } from '../../src/setup/debian.mjs';
import { foreground } from '../../src/setup/foreground.mjs';
import { root, runtime } from '../../src/setup/runtime.mjs';
import { setUp } from '../../src/setup/setup.mjs';
import { main } from '../../src/setup/steps.mjs';

await main(async () => {
  await setUp(['build'], ['lab', 'test']);
  // Without them the tests are skipped, and with CI=true they fail.
  if (hasCommand('go') && missingPackages(['test']).length === 0) {
    const status = await foreground(runtime.node, [`${root}test/cluster/build.ts`]);
    if (status !== 0) return status;
  }
  const vitest = `${root}node_modules/vitest/vitest.mjs`;
  return foreground(runtime.node, [vitest, 'run', '--project', 'cluster', ...argv.slice(2)]);
});
