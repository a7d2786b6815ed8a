// npm run fuzz [-- SECONDS]: sets up what is missing, then mutates packets for as long, a minute unless told otherwise.
import { argv } from 'node:process';
import { foreground } from '../../src/setup/foreground.mjs';
import { root, runtime } from '../../src/setup/runtime.mjs';
import { setUp } from '../../src/setup/setup.mjs';
import { main } from '../../src/setup/steps.mjs';

await main(async () => {
  await setUp(['build']);
  return foreground(runtime.node, [
    '--experimental-transform-types',
    '--disable-warning=ExperimentalWarning',
    `${root}test/fuzz/run.ts`,
    ...argv.slice(2),
  ]);
});
