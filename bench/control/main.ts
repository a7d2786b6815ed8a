// Measures what a change of the cluster costs a node: from changed objects to tables that are live.
import { Command } from 'commander';
import { writeSection } from '../../src/bench/results-file.ts';
import { machine } from '../report.ts';
import { measure } from './measure.ts';
import { lines, markdown } from './report.ts';

interface Options {
  readonly json?: true;
  readonly write?: true;
  readonly pods: number;
  readonly nodes: number;
  readonly policies: number;
  readonly localPods: number;
  readonly rounds: number;
}

const { json, write, rounds, ...size } = new Command('npm run bench -- control')
  .description(
    'Measures what a change of the cluster costs a node: from changed objects to tables that are live.',
  )
  .option('--json', 'print results as JSON')
  .option('--write', 'put the results into bench/RESULTS.md')
  .option('--pods <n>', 'pods of the cluster', Number, 150_000)
  .option('--nodes <n>', 'nodes', Number, 5_000)
  .option('--policies <n>', 'NetworkPolicies', Number, 10_000)
  .option('--local-pods <n>', 'pods of the node', Number, 110)
  .option('--rounds <n>', 'times that each change is made', Number, 101)
  .parse()
  .opts<Options>();

const result = await measure({ ...size, namespaces: Math.ceil(size.policies / 20) }, rounds);
const on = machine();
console.log(json ? JSON.stringify({ machine: on, ...result }) : lines(result).join('\n'));
if (write) writeSection('control', markdown(result, on));
