// `overweft run`: the node daemon.
import { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { limitPrivileges } from '../daemon/privileges.ts';
import { runDaemon } from '../daemon/run.ts';
import { loadAddon } from '../phy/addon.ts';

export function runCommand(): Command {
  return new Command('run')
    .description('run the node daemon')
    .requiredOption('--config <file>', 'configuration (YAML)')
    .action(async ({ config }: { config: string }) => {
      const settings = loadConfig(config);
      limitPrivileges(loadAddon());
      process.exitCode = await runDaemon(settings);
    });
}
