/**
 * Puts the plugin and its network configuration where container runtimes look for them, each as a whole or not at all.
 *
 * A runtime takes the node for ready as soon as it finds a configuration, so the daemon writes it when it is ready itself.
 * containerd's watcher is not told of files that are made in the directory, only of what is renamed there, and loses a
 * directory that is made anew: so a file is written beside its place, under a name that no runtime reads, and renamed.
 */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Before what other networks usually call theirs: runtimes take the first file by name. */
export const CONFIGURATION = '10-overweft.conflist';
export const PLUGIN = 'overweft-cni';

/** The network configuration list of CNI 1.1 for a daemon's socket. */
export const networkConfiguration = (socket: string): object => ({
  cniVersion: '1.1.0',
  name: 'overweft',
  plugins: [
    {
      type: PLUGIN,
      socket,
      // What cannot be done is refused with a clear error; without its capability nobody would hear of it.
      capabilities: { ips: true, mac: true, dns: true, portMappings: true, bandwidth: true },
    },
  ],
});

/** @returns whether it was not there yet in this form */
export function installConfiguration(directory: string, socket: string): boolean {
  const text = `${JSON.stringify(networkConfiguration(socket), null, 2)}\n`;
  const path = join(directory, CONFIGURATION);
  // Runtimes read everything anew when a file changes.
  if (contentOf(path) === text) return false;
  mkdirSync(directory, { recursive: true });
  replace(path, (temporary) => writeFileSync(temporary, text), 0o644);
  return true;
}

/** Takes the place of a plugin that may be running. @returns the path */
export function installPlugin(directory: string): string {
  const path = join(directory, PLUGIN);
  mkdirSync(directory, { recursive: true });
  replace(path, (temporary) => copyFileSync(builtPlugin(), temporary), 0o755);
  return path;
}

/** @returns the paths that are gone; pods that are there keep their network as long as a daemon runs */
export const uninstall = (directories: {
  readonly configuration: string;
  readonly plugin: string;
}): string[] =>
  [join(directories.configuration, CONFIGURATION), join(directories.plugin, PLUGIN)].filter((path) => {
    if (contentOf(path) === undefined) return false;
    rmSync(path);
    return true;
  });

/** The one of this version. */
export const builtPlugin = (): string => fileURLToPath(import.meta.resolve('#build/overweft-cni'));

function replace(path: string, write: (temporary: string) => void, mode: number): void {
  const temporary = join(path, '..', `.${basename(path)}.new`);
  write(temporary);
  // Whatever the umask is.
  chmodSync(temporary, mode);
  renameSync(temporary, path);
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
