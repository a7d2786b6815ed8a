/** `overweft lab demo`: what Overweft does, shown on real traffic in under a minute. */
import { writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { daemonStatus } from '../daemon/client.ts';
import type { Status } from '../daemon/status.ts';
import { logTail } from './daemon.ts';
import { takeDown } from './down.ts';
import { LabError, orStopped } from './outcome.ts';
import type { LabOptions } from './plan.ts';
import type { LabDescription } from './state.ts';
import { ping, type Traffic, trafficIn } from './traffic.ts';
import { bringUp } from './up.ts';

const allowedPort = 8080;
const forbiddenPort = 9090;
const transferSeconds = 3;

/** Only pod-1 may talk to pod-2, and only to one TCP port. */
const demoPolicy = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'only-web', namespace: 'default' },
  spec: {
    podSelector: { matchLabels: { app: 'pod-2' } },
    policyTypes: ['Ingress'],
    ingress: [
      {
        from: [{ podSelector: { matchLabels: { app: 'pod-1' } } }],
        ports: [{ protocol: 'TCP', port: allowedPort }],
      },
    ],
  },
};

/**
 * @param print writes one line of the story
 * @throws LabError where something did not go as it should; the lab is down again in any case
 */
export async function demonstrate(
  options: LabOptions,
  program: readonly string[],
  print: (line: string) => void,
  stop: AbortSignal,
): Promise<void> {
  const begin = performance.now();
  const seconds = () => `${((performance.now() - begin) / 1000).toFixed(1)} s`;
  print(`Overweft: two nodes, ${options.encapsulation.toUpperCase()} over ${names[options.underlay]}`);
  print('');
  print('  pod-1 ── ow-node1 ══ 192.0.2.1 ═══ tunnel ═══ 192.0.2.2 ══ ow-node2 ── pod-2');
  print('');
  const lab = await bringUp(options, program, () => {}, stop);
  try {
    print(row('up', `2 daemons, 2 pods, every pod reaches every pod (after ${seconds()})`));
    await orStopped(showTraffic(lab, print), stop);
  } catch (error) {
    const logs = stop.aborted ? [] : lab.nodes.map((node) => logTail(node));
    throw new LabError([error instanceof Error ? error.message : error, ...logs].join('\n'));
  } finally {
    await takeDown();
  }
  print(row('down', `nothing left behind (after ${seconds()})`));
  print('');
  print('Keep one and look around: overweft lab up');
}

const names = { ipv4: 'IPv4', ipv6: 'IPv6' } as const;

async function showTraffic(lab: LabDescription, print: (line: string) => void): Promise<void> {
  const [first, second] = lab.pods;
  const receiver = lab.nodes[1];
  if (!first || !second || !receiver) throw new LabError('the demonstration needs two nodes with a pod each');
  for (const address of second.ips) {
    const ms = await ping(first.netns, address);
    if (ms === null) throw new LabError(`pod-1 gets no reply to ping from ${address}`);
    print(row('ping', `pod-1 → pod-2  ${address.padEnd(16)} ${ms.toFixed(2)} ms`));
  }

  await using client = trafficIn(first.netns);
  await using server = trafficIn(second.netns);
  const address = second.ips[0] ?? '';
  const sinkPort = 5001;
  await server.listen({ port: sinkPort, mode: 'sink' });
  await server.listen({ port: allowedPort, mode: 'echo' });
  await server.listen({ port: forbiddenPort, mode: 'echo' });
  const { bytes, seconds } = await client.send({ address, port: sinkPort, seconds: transferSeconds });
  const gbits = (bytes * 8) / seconds / 1e9;
  print(
    row(
      'TCP',
      `pod-1 → pod-2  ${(bytes / 2 ** 20).toFixed(0)} MiB in ${seconds.toFixed(1)} s = ${gbits.toFixed(2)} Gbit/s`,
    ),
  );

  await mustConnect(client, address, allowedPort);
  await mustConnect(client, address, forbiddenPort);
  const { connection } = await client.open({ address, port: allowedPort });
  await mustAnswer(client, connection);
  print(row('before', `no policy: pod-1 reaches pod-2 on TCP ${allowedPort} and ${forbiddenPort}`));

  writeFileSync(`${lab.manifests}/policy-only-web.yaml`, stringify(demoPolicy));
  const refused = await untilRefused(client, address, forbiddenPort);
  print(row('policy', `NetworkPolicy only-web: pod-2 takes TCP ${allowedPort} from pod-1, nothing else`));
  print(row('forbidden', `pod-1 → pod-2 TCP ${forbiddenPort}: ${refused}`));
  const ms = await mustAnswer(client, connection);
  await mustConnect(client, address, allowedPort);
  print(
    row(
      'allowed',
      `pod-1 → pod-2 TCP ${allowedPort}: the open connection goes on (${ms.toFixed(2)} ms), new ones too`,
    ),
  );

  for (const line of counters(await daemonStatus(receiver.socket))) print(row('counters', line));
}

const row = (what: string, text: string): string => `  ${what.padEnd(10)} ${text}`;

async function mustConnect(client: Traffic, address: string, port: number): Promise<void> {
  const { connected, error } = await client.connect({ address, port, timeoutMs: 3000 });
  if (!connected) throw new LabError(`pod-1 cannot connect to ${address} TCP ${port}: ${error}`);
}

async function mustAnswer(client: Traffic, connection: number): Promise<number> {
  const { answered, ms } = await client.beat({ connection, timeoutMs: 3000 });
  if (!answered) throw new LabError('the connection to the allowed port does not answer any more');
  return ms;
}

/** New policies take effect within moments of the file's appearance. */
async function untilRefused(client: Traffic, address: string, port: number): Promise<string> {
  const patienceMs = 5000;
  const deadline = performance.now() + patienceMs;
  while (performance.now() < deadline) {
    const { connected, error, ms } = await client.connect({ address, port, timeoutMs: 700 });
    if (!connected)
      return error === 'timeout' ? `no connection (${ms.toFixed(0)} ms without an answer)` : `${error}`;
  }
  throw new LabError(`pod-1 still connects to TCP ${port} 5 s after the policy was put in`);
}

/** What the receiving node's data path has counted, and which policy dropped how much. */
function counters({ counters: { received, forwarded, consumed, dropped }, decisions }: Status): string[] {
  const drops = Object.values(dropped).reduce((sum, count) => sum + count, 0);
  const names = Object.entries(dropped).map(([name, count]) => `${name} ${count}`);
  const decision = decisions.filter(({ dropped: count }) => count > 0);
  return [
    `node-2: received ${received} = forwarded ${forwarded} + consumed ${consumed} + dropped ${drops}`,
    `node-2: dropped by name: ${names.join(', ')}`,
    ...decision.map(
      ({ dropped: count, direction, policies }) =>
        `node-2: ${count} by ${direction} policy ${policies.join(', ')}`,
    ),
  ];
}
