// build.ts FOLDER: builds the programs of other projects before a test waits for one of them; from nothing this takes many
// minutes.
import { argv } from 'node:process';
import { step } from '../../src/setup/steps.mjs';
import { goToolNames, goTools, isBuilt } from '../support/go-tools.ts';

for (const name of [
  ...goToolNames('cluster'),
  ...(argv[2] === 'conformance' ? goToolNames('conformance') : []),
])
  if (!isBuilt(name)) await step(name, () => goTools(name));
