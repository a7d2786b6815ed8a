// npm run bench [-- options]: sets up what is missing, then measures each stage of the data path.
// npm run bench -- policy [options]: the same for what policy costs by the number of its rules.
// npm run bench -- control [options]: what a change of the cluster costs a node.
import { argv } from 'node:process';
import { foreground } from '../src/setup/foreground.mjs';
import { root, runtime } from '../src/setup/runtime.mjs';
import { setUp } from '../src/setup/setup.mjs';
import { main } from '../src/setup/steps.mjs';

await main(async () => {
  await setUp(['build']);
  const [part] = argv.slice(2);
  const program = part === 'policy' || part === 'control' ? `${part}/main.ts` : 'main.ts';
  return foreground(runtime.node, [
    '--experimental-transform-types',
    '--disable-warning=ExperimentalWarning',
    `${root}bench/${program}`,
    ...argv.slice(program === 'main.ts' ? 2 : 3),
  ]);
});
