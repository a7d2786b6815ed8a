// npm start: sets up what is missing, then shows the lab's demonstration.
import { argv } from 'node:process';
import { foreground } from './foreground.mjs';
import { root, runtime } from './runtime.mjs';
import { setUp } from './setup.mjs';
import { main } from './steps.mjs';

await main(async () => {
  await setUp(['build', 'lab']);
  return foreground(runtime.node, [`${root}dist/src/main.js`, 'lab', 'demo', ...argv.slice(2)]);
});
