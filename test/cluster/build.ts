// Builds all programs of other projects before a test waits for one of them: from nothing this takes minutes.
import { step } from '../../src/setup/steps.mjs';
import { goToolNames, goTools, isBuilt } from '../support/go-tools.ts';

for (const name of goToolNames) if (!isBuilt(name)) await step(name, () => goTools(name));
