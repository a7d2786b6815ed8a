/**
 * Measures the resolver beside CoreDNS over the same objects, after both have given the same answers.
 *
 *     objects ─┬─ manifests ─────────────► Overweft ─┐
 *              └─ lists of an API server ─► CoreDNS ─┴─► dnsperf, one after the other
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { env, execArgv, execPath, exit, stderr } from 'node:process';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { writeSection } from '../../src/bench/results-file.ts';
import { median } from '../../src/bench/statistics.ts';
import { hasCommand } from '../../src/setup/debian.mjs';
import { serveObjects } from '../api-server.ts';
import { machine } from '../report.ts';
import { ask } from './ask.ts';
import { clusterObjects, everyKind, questions } from './cluster.ts';
import { lines, markdown, type Result } from './report.ts';

interface Options {
  readonly json?: true;
  readonly write?: true;
  readonly check?: true;
  readonly services: number;
  readonly rounds: number;
  readonly seconds: number;
}

const options = new Command('npm run bench -- dns')
  .description('Measures the resolver beside CoreDNS over the same objects.')
  .option('--json', 'print results as JSON')
  .option('--write', 'put the results into bench/RESULTS.md')
  .option('--check', 'only compare answers')
  .option('--services <n>', 'Services', Number, 10_000)
  .option('--rounds <n>', 'rounds of each', Number, 5)
  .option('--seconds <n>', 'of each in a round', Number, 2)
  .parse()
  .opts<Options>();

interface Server {
  readonly name: string;
  readonly port: number;
  readonly process: ChildProcess;
}

type Round = Omit<Result, 'name'>;

const coredns = join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'overweft/peers/coredns/coredns');
const hasPeer = existsSync(coredns);
if (!hasPeer) stderr.write('without CoreDNS: bench/peers/build builds it\n');
if (!options.check && !hasCommand('dnsperf')) {
  stderr.write("the resolver is not measured: that needs Debian's package dnsperf\n");
  exit();
}

const folder = mkdtempSync(join(tmpdir(), 'overweft-dns-'));
const objects = clusterObjects(options.services);
const api = await serveObjects({
  '/api/v1/namespaces': { apiVersion: 'v1', kind: 'Namespace', items: objects.namespaces },
  '/api/v1/services': { apiVersion: 'v1', kind: 'Service', items: objects.services },
  '/api/v1/pods': { apiVersion: 'v1', kind: 'Pod', items: [] },
  '/apis/discovery.k8s.io/v1/endpointslices': {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    items: objects.slices,
  },
});
const servers: Server[] = [];
try {
  servers.push(startOverweft(5391), ...(hasPeer ? [startCoreDns(5392)] : []));
  await Promise.all(servers.map(ready));
  const same = hasPeer ? await compare() : 0;
  if (!options.check) measure(same);
} finally {
  for (const { process } of servers) process.kill('SIGKILL');
  api.close();
  rmSync(folder, { recursive: true });
}

function startOverweft(port: number): Server {
  const file = join(folder, 'objects.json');
  const items = Object.values(objects).flat();
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  const program = fileURLToPath(new URL('./overweft.ts', import.meta.url));
  const args = [...execArgv, program, file, `${port}`];
  return { name: 'Overweft', port, process: spawn(execPath, args, { stdio: 'inherit' }) };
}

/** As kubeadm configures it, without what is not asked here. */
function startCoreDns(port: number): Server {
  const file = join(folder, 'Corefile');
  writeFileSync(
    file,
    `.:${port} {
  bind 127.0.0.1
  errors
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    endpoint http://127.0.0.1:${api.port}
    pods insecure
    ttl 5
  }
  loadbalance
}
`,
  );
  return { name: 'CoreDNS', port, process: spawn(coredns, ['-conf', file], { stdio: 'ignore' }) };
}

async function ready({ name, port, process }: Server): Promise<void> {
  for (const deadline = performance.now() + 60_000; ; ) {
    const said = await ask(port, 'svc1.ns1.svc.cluster.local A').catch(() => '');
    if (said.startsWith('rcode 0')) return;
    if (process.exitCode !== null || performance.now() > deadline) throw new Error(`${name} does not answer`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** @returns how many questions both answer alike */
async function compare(): Promise<number> {
  let same = 0;
  for (const question of everyKind(options.services)) {
    const [own = '', other = ''] = await Promise.all(servers.map(({ port }) => ask(port, question)));
    if (own === other) same++;
    else if (!options.json) console.log(`${question}\n  Overweft ${own}\n  CoreDNS  ${other}`);
  }
  return same;
}

function measure(same: number): void {
  const file = join(folder, 'questions');
  writeFileSync(file, questions(20_000, options.services).join('\n'));
  const rounds = servers.map((): Round[] => []);
  for (let i = 0; i < options.rounds; i++)
    for (const [j, server] of servers.entries()) rounds[j]?.push(round(server, file));
  const results = servers.map(({ name }, j): Result => {
    const of = (pick: (one: Round) => number) => median((rounds[j] ?? []).map(pick));
    return {
      name,
      perSecond: of((one) => one.perSecond),
      cpu: of((one) => one.cpu),
      latency: of((one) => one.latency),
    };
  });
  const compared = { same, of: everyKind(options.services).length };
  const on = machine();
  if (options.json) console.log(JSON.stringify({ machine: on, compared, results }));
  else console.log(lines(results).join('\n'));
  if (options.write) writeSection('dns', markdown(results, on, { ...options, compared }));
}

function round({ port, process: { pid } }: Server, file: string): Round {
  const before = cpuMicroseconds(pid);
  const args = [
    '-s',
    '127.0.0.1',
    '-p',
    `${port}`,
    '-d',
    file,
    '-l',
    `${options.seconds}`,
    '-c',
    '20',
    '-q',
    '100',
  ];
  const output = execFileSync('dnsperf', args, { encoding: 'utf8' });
  const cpu = cpuMicroseconds(pid) - before;
  const number = (label: string) => Number(new RegExp(`${label}:?\\s+([\\d.]+)`).exec(output)?.[1]);
  return {
    perSecond: number('Queries per second'),
    cpu: cpu / number('Queries completed'),
    latency: number('Average Latency \\(s\\)') * 1000,
  };
}

/** User and system time of all threads; the kernel counts it in hundredths of a second (proc_pid_stat(5)). */
function cpuMicroseconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}
