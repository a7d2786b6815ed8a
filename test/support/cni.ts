import { fileURLToPath } from 'node:url';
import { run } from './run.ts';

/** The plugin as a runtime finds it. */
export const plugin = fileURLToPath(new URL('../../build/overweft-cni', import.meta.url));

export interface Called {
  /** Exit status. */
  readonly status: number | null;
  readonly stdout: string;
  /** What stdout says; undefined where it is empty. */
  // biome-ignore lint/suspicious/noExplicitAny: results and errors of all versions are looked into
  readonly json: any;
}

/**
 * Runs the plugin as a runtime does.
 * @param config object, or a text that may be none
 * @param environment beside CNI_COMMAND
 */
export async function callPlugin(
  command: string,
  config: object | string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Called> {
  const { status, stdout, stderr } = await run(plugin, [], {
    env: { CNI_COMMAND: command, ...environment },
    input: typeof config === 'string' ? config : JSON.stringify(config),
  });
  if (stderr !== '') throw new Error(`the plugin writes to stderr: ${stderr}`);
  return { status, stdout, json: stdout === '' ? undefined : JSON.parse(stdout) };
}

/** What a runtime sets for a container whose namespace `ip netns` knows by the container's name. */
export const container = (id: string, args = '', interfaceName = 'eth0'): Record<string, string> => ({
  CNI_CONTAINERID: id,
  CNI_NETNS: `/run/netns/${id}`,
  CNI_IFNAME: interfaceName,
  CNI_PATH: '/opt/cni/bin',
  ...(args !== '' && { CNI_ARGS: args }),
});
