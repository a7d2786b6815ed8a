// Measures Services beside kube-proxy's nftables mode: new and known connections, changes, memory.
import { geteuid, stderr } from 'node:process';
import { Command } from 'commander';
import { writeSection } from '../../src/bench/results-file.ts';
import { interruptible } from '../../src/cli/interruptible.ts';
import { upTo } from '../../src/cli/lab-options.ts';
import { machine } from '../report.ts';
import { kubeProxyVersion } from './kube-proxy.ts';
import { measureSize, mostPairs, type SizeResult } from './measure.ts';
import { lines, markdown } from './report.ts';

interface Options {
  readonly json?: true;
  readonly write?: true;
  readonly pairs: number;
  readonly services: readonly number[];
}

const numbers = (text: string): number[] => text.split(',').map(upTo(60_000));

const { json, write, pairs, services } = new Command('npm run bench -- kube-proxy')
  .description("Measures Services beside kube-proxy's nftables mode.")
  .option('--json', 'print results as JSON')
  .option('--write', 'put the results into bench/RESULTS.md')
  .option('--pairs <n>', 'measurements of each, in turn', upTo(mostPairs), mostPairs)
  .option('--services <n,…>', 'numbers of Services, each with ten endpoints', numbers, [1, 1000, 10_000])
  .parse()
  .opts<Options>();

if (geteuid?.() === 0) await measure();
else stderr.write('Services are not measured beside kube-proxy: that needs root\n');

async function measure(): Promise<void> {
  const say = (step: string) => stderr.write(stderr.isTTY ? `\r\x1b[K${step}` : `${step}\n`);
  const sizes = await interruptible(async (stop) => {
    const all: SizeResult[] = [];
    for (const size of services) all.push(await measureSize(size, pairs, say, stop));
    return all;
  });
  if (stderr.isTTY) say('');
  const result = { pairs, kubeProxy: await kubeProxyVersion(), sizes };
  const on = machine();
  console.log(json ? JSON.stringify({ machine: on, ...result }) : lines(result).join('\n'));
  if (write) writeSection('kube-proxy', markdown(result, on));
}
