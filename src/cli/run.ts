// `overweft run`: the node daemon.
import { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { runDaemon } from '../daemon/run.ts';

export function runCommand(): Command {
  return new Command('run')
    .description('run the node daemon')
    .requiredOption('--config <file>', 'configuration (YAML)')
    .action(async ({ config }: { config: string }) => {
      process.exitCode = await runDaemon(loadConfig(config));
    });
}
