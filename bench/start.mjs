// npm run bench [-- options]: sets up what is missing, then measures each stage of the data path.
import { argv } from 'node:process';
import { foreground } from '../src/setup/foreground.mjs';
import { root, runtime } from '../src/setup/runtime.mjs';
import { setUp } from '../src/setup/setup.mjs';
import { main } from '../src/setup/steps.mjs';

await main(async () => {
  await setUp(['build']);
  return foreground(runtime.node, [
    '--experimental-transform-types',
    '--disable-warning=ExperimentalWarning',
    `${root}bench/main.ts`,
    ...argv.slice(2),
  ]);
});
