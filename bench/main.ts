// Measures the stages of the data path in WebAssembly and in C, which must do the very same.
import { Command, InvalidArgumentError } from 'commander';
import { groups } from './cases.ts';
import { measure, verify } from './measure.ts';
import { type GroupResult, groupLines, json, machine, writeResults } from './report.ts';
import { buildTwin, loadTwin } from './twin.ts';

interface Options {
  readonly json?: true;
  readonly write?: true;
  readonly check?: true;
  readonly only: RegExp;
  readonly rounds: number;
  readonly time: number;
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('must be a whole number above 0.');
}

const options = new Command('npm run bench -- stages')
  .description('Measures the stages of the data path in WebAssembly, beside the same algorithm in C.')
  .option('--json', 'print results as JSON')
  .option('--write', 'put the results into bench/RESULTS.md')
  .option('--check', 'only check that both do the same')
  .option(
    '--only <pattern>',
    'measure what matches this regular expression',
    (text) => new RegExp(text, 'i'),
    /./,
  )
  .option('--rounds <n>', 'rounds of each case', positive, 9)
  .option('--time <ms>', 'milliseconds of each program in a round', positive, 40)
  .parse()
  .opts<Options>();

await buildTwin();
const twin = loadTwin();
const results: GroupResult[] = [];
for (const { title, cases } of groups) {
  const chosen = cases(twin).filter(({ name }) => options.only.test(`${title}: ${name}`));
  if (chosen.length === 0) continue;
  const measured = [];
  for (const one of chosen) {
    one.world.attach();
    one.begin();
    verify(one);
    if (!options.check) measured.push(await measure(one, options));
  }
  results.push({ title, results: measured });
  if (!options.json) {
    const lines = options.check
      ? chosen.map(({ name }) => `same bytes: ${name}`)
      : groupLines({ title, results: measured });
    console.log(`${lines.join('\n')}\n`);
  }
}
if (options.json) console.log(json(results, machine()));
if (options.write) writeResults(results, machine());
