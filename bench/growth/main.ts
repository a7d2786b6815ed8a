// Measures what a packet costs as connections, endpoints, tunnels and cores grow.
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { resultsFolder, writeSection } from '../../src/bench/results-file.ts';
import { machine } from '../report.ts';
import { buildTwin, loadTwin } from '../twin.ts';
import { chart } from './chart.ts';
import { measureCores } from './cores.ts';
import { measure } from './measure.ts';
import { coresLines, curveLines, markdown } from './report.ts';
import { curves } from './subjects.ts';

interface Options {
  readonly json?: true;
  readonly write?: true;
  readonly rounds: number;
}

const chartFile = 'growth.svg';

const options = new Command('npm run bench -- growth')
  .description('Measures what a packet costs as connections, endpoints, tunnels and cores grow.')
  .option('--json', 'print results as JSON')
  .option('--write', `put the results into bench/RESULTS.md and bench/${chartFile}`)
  .option('--rounds <n>', 'rounds over all sizes of a curve', Number, 31)
  .parse()
  .opts<Options>();

await buildTwin();
const twin = loadTwin();
const show = (lines: readonly string[]) => {
  if (!options.json) console.log(`${lines.join('\n')}\n`);
};
const measured = curves.map((curve) => {
  const result = measure(curve, options.rounds, twin);
  show(curveLines(result));
  return result;
});
const cores = await measureCores(options.rounds, twin);
show(coresLines(cores));
const on = machine();
const result = { curves: measured, cores, machine: on };
if (options.json) console.log(JSON.stringify(result));
if (options.write) {
  writeFileSync(`${resultsFolder}/${chartFile}`, chart(result));
  writeSection('growth', markdown(result, chartFile));
}
