// npm run setup: everything that the build, the lab, the tests and the checks need, and the build.
import { env } from 'node:process';
import { pathToFileURL } from 'node:url';
import { buildThirdPartyAddons } from './addons.mjs';
import { installDebianPackages } from './debian.mjs';
import { installNpmPackages } from './npm.mjs';
import { main, openLog } from './steps.mjs';
import { build } from './targets.mjs';

/** In CI nothing may be left out. */
export const strict = env.CI === 'true';

/**
 * @param {import('./debian.mjs').Purpose[]} required
 * @param {import('./debian.mjs').Purpose[]} optional
 */
export async function setUp(required, optional = []) {
  openLog();
  await installDebianPackages(strict ? [...required, ...optional] : required, strict ? [] : optional);
  await installNpmPackages();
  await buildThirdPartyAddons();
  await build();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main(() => setUp(['build', 'lab', 'test', 'check']));
}
