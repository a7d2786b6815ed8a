// Measures what Services cost a packet, and what a change of them costs a node.
import { Command } from 'commander';
import { writeSection } from '../../src/bench/results-file.ts';
import { machine } from '../report.ts';
import { buildTwin, loadTwin } from '../twin.ts';
import { measureChanges } from './changes.ts';
import { measurePackets } from './packets.ts';
import { lines, markdown } from './report.ts';

interface Options {
  readonly json?: true;
  readonly write?: true;
  readonly rounds: number;
  readonly services: number;
}

const { json, write, rounds, services } = new Command('npm run bench -- services')
  .description('Measures what Services cost a packet, and what a change of them costs a node.')
  .option('--json', 'print results as JSON')
  .option('--write', 'put the results into bench/RESULTS.md')
  .option('--rounds <n>', 'rounds over all subjects, and times that each change is made', Number, 31)
  .option('--services <n>', 'Services, each with ten endpoints in each family', Number, 10_000)
  .parse()
  .opts<Options>();

await buildTwin();
const packets = measurePackets(services, rounds, loadTwin());
const changes = await measureChanges(services, 3 * rounds);
const result = { services, packets, changes };
const on = machine();
console.log(json ? JSON.stringify({ machine: on, ...result }) : lines(result).join('\n'));
if (write) writeSection('services', markdown(result, on));
