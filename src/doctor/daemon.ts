// The daemon that runs, or what daemons that ran have left.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiSocket } from '../config/api-socket.ts';
import type { Config } from '../config/schema.ts';
import { daemonStatus } from '../daemon/client.ts';
import { RULE_PROTOCOL } from '../daemon/outside/node-ports.ts';
import { run } from '../host/command.ts';
import { ipQuery } from '../host/iproute.ts';
import { faultText } from '../store/store.ts';
import { type Finding, finding, ok, type Subject } from './finding.ts';

/** Process id of the daemon of a run directory; undefined where none runs. */
export function runningDaemon({ runDirectory }: Pick<Config, 'runDirectory'>): number | undefined {
  try {
    const pid = Number(readFileSync(join(runDirectory, 'pid'), 'utf8'));
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('run') ? pid : undefined;
  } catch {
    return undefined;
  }
}

export async function daemon({ config, daemon: pid }: Subject): Promise<Finding[]> {
  if (pid === undefined)
    return [finding('note', 'daemon', `none runs on ${config.runDirectory}`), ...(await leftovers(config))];
  try {
    const status = await daemonStatus(apiSocket(config));
    const faults = [...(status.fault === null ? [] : [status.fault]), ...status.store.faults.map(faultText)];
    const dead = status.peers.filter(({ state }) => state === 'dead').map(({ name }) => name);
    return [
      ok('daemon', `${status.version}, process ${status.pid}, up ${status.uptimeSeconds} s`),
      ...faults.map((fault) =>
        finding('error', 'cluster state', fault, 'correct it: until then the last good state stays'),
      ),
      ...status.warnings.map((warning) => finding('warning', 'cluster state', warning)),
      ...(dead.length === 0
        ? []
        : [
            finding(
              'warning',
              'peers',
              `do not answer: ${dead.join(', ')}`,
              'overweft connectivity finds out why',
            ),
          ]),
    ];
  } catch (error) {
    const advice =
      'look at its log; kill it with SIGKILL if it hangs: the next one takes up pods and connections';
    return [
      finding('error', 'daemon', `process ${pid} does not answer: ${(error as Error).message}`, advice),
    ];
  }
}

/** Of daemons that have ended. The next one takes all of it up, so it is in nobody's way. */
async function leftovers({ runDirectory }: Config): Promise<Finding[]> {
  const found: [what: string, removal: string][] = [];
  for (const { ifname } of await ipQuery(['link show'])) {
    if (/^ow-(node|forward|inject)$|^owprobe\d+$/.test(String(ifname)))
      found.push([`interface ${ifname}`, `ip link delete ${ifname}`]);
  }
  for (const family of [4, 6] as const) {
    for (const { protocol, priority } of await ipQuery(['rule show'], { family })) {
      if (`${protocol}` === RULE_PROTOCOL)
        found.push([`IPv${family} rule ${priority}`, `ip -${family} rule delete preference ${priority}`]);
    }
  }
  for (const { family, name } of await tables())
    found.push([`nftables table ${name}`, `nft delete table ${family} ${name}`]);
  if (existsSync(join(runDirectory, 'pid')))
    found.push([`${runDirectory} of a daemon that was killed`, `rm -r ${runDirectory}`]);
  const labs = existsSync('/run/netns')
    ? readdirSync('/run/netns').filter((name) => /^ow-(node|pod)\d+$/.test(name))
    : [];
  const findings = found.map(([what, removal]) =>
    finding('note', 'leftovers', `${what}: the next daemon takes it up`, `to be rid of it: ${removal}`),
  );
  if (labs.length > 0 || existsSync('/run/overweft-lab'))
    findings.push(
      finding('note', 'leftovers', 'a lab is up, or was left behind', 'to be rid of it: overweft lab down'),
    );
  return findings.length === 0 ? [ok('leftovers', 'there are none')] : findings;
}

async function tables(): Promise<{ family: string; name: string }[]> {
  try {
    const { nftables } = JSON.parse(await run('nft', ['-j', 'list', 'tables'])) as {
      nftables: { table?: { family: string; name: string } }[];
    };
    return nftables.flatMap(({ table }) => (table && /^overweft/.test(table.name) ? [table] : []));
  } catch {
    return []; // Without nft there are none.
  }
}
