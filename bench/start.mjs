// npm run bench [-- PART] [-- options]: sets up what is missing, then measures one part of the data path, or all in turn.
import { argv } from 'node:process';
import { foreground } from '../src/setup/foreground.mjs';
import { root, runtime } from '../src/setup/runtime.mjs';
import { setUp } from '../src/setup/setup.mjs';
import { main } from '../src/setup/steps.mjs';

const programs = new Map([
  ['stages', 'main.ts'],
  ['policy', 'policy/main.ts'],
  ['services', 'services/main.ts'],
  ['kube-proxy', 'kube-proxy/main.ts'],
  ['control', 'control/main.ts'],
  ['growth', 'growth/main.ts'],
  ['dns', 'dns/main.ts'],
]);

await main(async () => {
  await setUp(['build']);
  const [part = '', ...options] = argv.slice(2);
  const chosen = programs.get(part);
  for (const program of chosen ? [chosen] : programs.values()) {
    const status = await foreground(runtime.node, [
      '--experimental-transform-types',
      '--disable-warning=ExperimentalWarning',
      `${root}bench/${program}`,
      ...(chosen ? options : argv.slice(2)),
    ]);
    if (status !== 0) return status;
  }
  return 0;
});
