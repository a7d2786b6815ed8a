// `overweft run`: the node daemon.
import { argv } from 'node:process';
import { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { limitPrivileges, requirePrivileges } from '../daemon/privileges.ts';
import { runDaemon } from '../daemon/run.ts';
import { loadAddon } from '../phy/addon.ts';
import { isInside, leave, startInside, withoutHost } from '../rootless/node.ts';
import { inherit } from '../rootless/underlay.ts';
import { program } from './lab-options.ts';

export function runCommand(): Command {
  return new Command('run')
    .description('run the node daemon')
    .requiredOption('--config <file>', 'configuration (YAML)')
    .option('--rootless', 'as an ordinary user, in namespaces of its own')
    .action(async ({ config, rootless }: { config: string; rootless?: true }) => {
      const settings = loadConfig(config);
      const addon = loadAddon();
      if (rootless && !isInside()) return await startInside(addon, settings, [...program, ...argv.slice(2)]);
      requirePrivileges(addon);
      limitPrivileges(addon, settings.dns !== undefined);
      const inherited = inherit(addon);
      process.exitCode = await runDaemon(inherited ? withoutHost(settings) : settings, inherited);
      if (inherited) leave(settings);
    });
}
