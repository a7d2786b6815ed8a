// npm run build [-- wasm native ts]
import { argv } from 'node:process';
import { buildThirdPartyAddons } from './addons.mjs';
import { installNpmPackages } from './npm.mjs';
import { main, openLog, SetupError } from './steps.mjs';
import { build, targetNames } from './targets.mjs';

await main(async () => {
  const names = argv.slice(2);
  const unknown = names.find((name) => !targetNames.includes(name));
  if (unknown) throw new SetupError(`no build target ${unknown}: ${targetNames.join(', ')}`);
  openLog();
  await installNpmPackages();
  await buildThirdPartyAddons();
  await build(names.length > 0 ? names : targetNames);
});
