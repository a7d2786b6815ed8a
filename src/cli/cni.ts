// `overweft cni`: the plugin and its configuration on this host.
import { isAbsolute } from 'node:path';
import { Command } from 'commander';
import { installPlugin, networkConfiguration, uninstall } from '../cni/install.ts';
import { DEFAULT_SOCKET } from './status.ts';

const binDirectory = ['--bin-directory <path>', 'where runtimes look for plugins', '/opt/cni/bin'] as const;
const confDirectory = [
  '--conf-directory <path>',
  'where runtimes look for network configurations',
  '/etc/cni/net.d',
] as const;

export function cniCommand(): Command {
  const cni = new Command('cni').description('the CNI plugin and its configuration on this host');
  cni
    .command('install')
    .description('install the plugin; the daemon writes its configuration when it is ready')
    .option(...binDirectory)
    .action(({ binDirectory }: { binDirectory: string }) => {
      process.stdout.write(`${installPlugin(binDirectory)}\n`);
    });
  cni
    .command('uninstall')
    .description('remove plugin and configuration')
    .option(...binDirectory)
    .option(...confDirectory)
    .action(({ binDirectory, confDirectory }: { binDirectory: string; confDirectory: string }) => {
      const gone = uninstall({ configuration: confDirectory, plugin: binDirectory });
      process.stdout.write(gone.map((path) => `${path}\n`).join(''));
    });
  cni
    .command('config')
    .description('print the network configuration')
    .option('--socket <path>', "the daemon's API socket", DEFAULT_SOCKET)
    .action(({ socket }: { socket: string }) => {
      // Runtimes run the plugin wherever they like.
      if (!isAbsolute(socket)) throw new Error(`--socket ${socket}: must be an absolute path`);
      process.stdout.write(`${JSON.stringify(networkConfiguration(socket), null, 2)}\n`);
    });
  return cni;
}
