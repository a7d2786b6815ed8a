// `overweft connectivity`: who reaches whom, from the nodes whose daemons are asked.
import { Command } from 'commander';
import type { Connectivity } from '../connectivity/connectivity.ts';
import { callDaemon, unreachable } from '../daemon/client.ts';
import { connectivityText } from './connectivity-text.ts';
import { askDaemonSet } from './daemon-set.ts';
import { DEFAULT_SOCKET } from './status.ts';

interface Flags {
  readonly socket: readonly string[];
  readonly kubernetes?: true;
  readonly from?: readonly string[];
  readonly to?: readonly string[];
  readonly all?: true;
  readonly json?: true;
  readonly raw?: true;
}

export function connectivityCommand(): Command {
  return new Command('connectivity')
    .description('probe every pair of nodes and pods from this node, with small packets and with the largest')
    .option('--socket <paths...>', 'API sockets of the daemons that probe', [DEFAULT_SOCKET])
    .option(
      '--kubernetes',
      'from every node of the cluster that kubectl reaches: the pods of the DaemonSet probe',
    )
    .option('--from <names...>', 'only from these: nodes by name, pods by NAMESPACE/POD')
    .option('--to <names...>', 'only to these')
    .option('--all', 'list the pairs that reach each other, too')
    .option('--json', 'one JSON object a pair, a line each')
    .option('--raw', "each daemon's answer as it is, one JSON object a line, to put several together")
    .action(async ({ socket, kubernetes, from, to, all, json, raw }: Flags) => {
      const { answers, silent } = kubernetes
        ? await askDaemonSet([...words('--from', from), ...words('--to', to)])
        : { answers: await Promise.all(socket.map((path) => ask(path, { from, to }))), silent: [] };
      if (raw) {
        process.stdout.write(answers.map((answer) => `${JSON.stringify(answer)}\n`).join(''));
        return;
      }
      const pairs = answers.flatMap((answer) => answer.pairs);
      const known = new Set(pairs.flatMap((pair) => [pair.from, pair.to]));
      const unknown = [...(from ?? []), ...(to ?? [])].filter((name) => !known.has(name));
      for (const { node, reason } of silent) process.stderr.write(`${node} cannot be asked: ${reason}\n`);
      if (silent.length > 0) process.exitCode = 1;
      if (unknown.length > 0)
        throw new Error(`in no pair that can be probed from here: ${unknown.join(', ')}`);
      if (pairs.length === 0) throw new Error('there is nobody to probe: no other node, and no pod');
      const text = json
        ? pairs.map((pair) => `${JSON.stringify(pair)}\n`)
        : connectivityText(answers, all === true);
      process.stdout.write(typeof text === 'string' ? text : text.join(''));
      if (pairs.some(({ state }) => state === 'failed' || state === 'mtu')) process.exitCode = 1;
    });
}

const words = (flag: string, names: readonly string[] | undefined): readonly string[] =>
  names ? [flag, ...names] : [];

async function ask(socket: string, selection: object): Promise<Connectivity> {
  const { status, body } = await callDaemon(socket, 'POST', '/v1/connectivity', selection).catch((error) => {
    throw unreachable(socket, error);
  });
  if (status === 200) return JSON.parse(body) as Connectivity;
  throw new Error(`${socket}: the daemon answers ${status}: ${body.trim()}`);
}
