// Measures what policy costs a packet, by the number of its rules.
import { Command } from 'commander';
import { writeSection } from '../../src/bench/results-file.ts';
import { machine } from '../report.ts';
import { buildTwin, loadTwin } from '../twin.ts';
import { measure } from './measure.ts';
import { lines, markdown } from './report.ts';
import { ruleSets } from './rules.ts';

interface Options {
  readonly json?: true;
  readonly write?: true;
  readonly only: RegExp;
  readonly rounds: number;
  readonly rules: readonly number[];
}

const options = new Command('npm run bench -- policy')
  .description('Measures what policy costs a packet, by the number of its rules.')
  .option('--json', 'print results as JSON')
  .option('--write', 'put the results into bench/RESULTS.md')
  .option(
    '--only <pattern>',
    'measure sets that match this regular expression',
    (text) => new RegExp(text, 'i'),
    /./,
  )
  .option('--rounds <n>', 'rounds over all sizes of a set', Number, 31)
  .option(
    '--rules <n,n,…>',
    'numbers of rules, the first for comparison',
    (text) => text.split(',').map(Number),
    [10, 1_000, 100_000],
  )
  .parse()
  .opts<Options>();

await buildTwin();
const twin = loadTwin();
const results = ruleSets
  .filter(({ title }) => options.only.test(title))
  .flatMap((set) => {
    const measured = measure(set, options, twin);
    if (!options.json) console.log(`${lines(measured).join('\n')}\n`);
    return measured;
  });
const on = machine();
if (options.json) console.log(JSON.stringify({ machine: on, results }));
if (options.write) writeSection('policy', markdown(results, on));
