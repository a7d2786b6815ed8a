// `overweft run`: the node daemon.
import { argv } from 'node:process';
import { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { limitPrivileges, requirePrivileges, startAnew } from '../daemon/privileges.ts';
import { runDaemon } from '../daemon/run.ts';
import { loadAddon } from '../phy/addon.ts';
import { isInside, leave, startInside, withoutHost } from '../rootless/node.ts';
import { inherit } from '../rootless/underlay.ts';
import { withUnderlay } from '../underlay/found.ts';
import { program } from './lab-options.ts';

export function runCommand(): Command {
  return new Command('run')
    .description('run the node daemon')
    .requiredOption('--config <file>', 'configuration (YAML)')
    .option('--rootless', 'as an ordinary user, in namespaces of its own')
    .action(async ({ config, rootless }: { config: string; rootless?: true }) => {
      const written = loadConfig(config);
      const addon = loadAddon();
      if (rootless && !isInside())
        return await startInside(addon, await withUnderlay(written), [...program, ...argv.slice(2)]);
      requirePrivileges(addon);
      limitPrivileges(addon, written.dns !== undefined);
      const inherited = inherit(addon);
      const settings = inherited ? withoutHost(inherited.on(written)) : await withUnderlay(written);
      const ending = await runDaemon(settings, inherited, inherited ? undefined : written);
      if (ending === 'anew') startAnew();
      if (inherited) leave(settings);
      // What a daemon that could not start has begun, but for its workers, is still open.
      process.exit(ending === 'anew' ? 1 : ending);
    });
}
