// What container runtimes find: the network configuration that they take, and the plugin that it names.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtPlugin, CONFIGURATION, PLUGIN } from '../cni/install.ts';
import { type Finding, finding, ok, type Subject } from './finding.ts';

const DIRECTORY = '/etc/cni/net.d';

export function cni({ config, daemon, binDirectory }: Subject): Finding[] {
  const { confDirectory } = config.cni;
  const directory = confDirectory ?? DIRECTORY;
  const files = existsSync(directory)
    ? readdirSync(directory)
        .filter((name) => /\.(conf|conflist|json)$/.test(name))
        .sort()
    : [];
  const [first] = files;
  const plugin = join(binDirectory, PLUGIN);
  if (!files.includes(CONFIGURATION)) {
    const isMissing = confDirectory !== undefined && daemon !== undefined;
    const others = first === undefined ? 'runtimes find no network' : `runtimes take ${first}`;
    return [
      finding(
        isMissing ? 'error' : 'note',
        'cni configuration',
        `${join(directory, CONFIGURATION)} is not there: ${others}`,
        isMissing
          ? 'the daemon writes it when it is ready: see overweft status, or restart it'
          : 'set cni.confDirectory: the daemon then writes it when it is ready',
      ),
    ];
  }
  return [
    first === CONFIGURATION
      ? readable(join(directory, CONFIGURATION))
      : finding(
          'error',
          'cni configuration',
          `${first} comes before ${CONFIGURATION} in ${directory}: runtimes take the first`,
          `remove ${join(directory, first ?? '')} if its network is gone`,
        ),
    pluginAt(plugin, binDirectory),
  ];
}

function readable(path: string): Finding {
  try {
    JSON.parse(readFileSync(path, 'utf8'));
    return ok('cni configuration', path);
  } catch (error) {
    const advice = 'delete it and restart the daemon, which writes it anew';
    return finding('error', 'cni configuration', `${path}: ${(error as Error).message}`, advice);
  }
}

function pluginAt(path: string, binDirectory: string): Finding {
  const advice = `overweft cni install --bin-directory ${binDirectory}`;
  if (!existsSync(path)) return finding('error', 'cni plugin', `${path} is not there`, advice);
  if (readFileSync(path).equals(readFileSync(builtPlugin()))) return ok('cni plugin', path);
  return finding('warning', 'cni plugin', `${path} is another version's`, advice);
}
