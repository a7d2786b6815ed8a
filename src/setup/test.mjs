// npm test [-- vitest's arguments]: sets up what is missing, then runs every test that this machine can run.
import { argv } from 'node:process';
import { foreground } from './foreground.mjs';
import { root, runtime } from './runtime.mjs';
import { setUp } from './setup.mjs';
import { main } from './steps.mjs';

await main(async () => {
  await setUp(['build'], ['lab', 'test']);
  return foreground(runtime.node, [`${root}node_modules/vitest/vitest.mjs`, 'run', ...argv.slice(2)]);
});
