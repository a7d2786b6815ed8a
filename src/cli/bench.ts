/** `overweft bench`: Overweft beside its peers, in one run. */
import { writeFileSync } from 'node:fs';
import { stderr, stdout } from 'node:process';
import { Command, InvalidArgumentError } from 'commander';
import { cases, quickCases } from '../bench/cases.ts';
import { chart } from '../bench/chart.ts';
import { markdown } from '../bench/markdown.ts';
import { progressOn } from '../bench/progress.ts';
import { type BenchResult, resultOf } from '../bench/results.ts';
import { resultsFolder, writeSection } from '../bench/results-file.ts';
import { type RunOptions, runBench } from '../bench/session.ts';
import { idleLine, missingLines } from '../bench/text.ts';
import { LabError } from '../lab/outcome.ts';
import { asRoot } from './as-root.ts';
import { interruptible } from './interruptible.ts';
import { program, upTo } from './lab-options.ts';

interface Flags {
  readonly pairs?: number;
  readonly only?: RegExp;
  readonly quick?: true;
  readonly json?: true;
  readonly write?: true;
  readonly list?: true;
}

const fullPairs = 15;
/** The fewest of which a median has a 95 % interval. */
const quickPairs = 6;

export function benchCommand(): Command {
  return new Command('bench')
    .description('Overweft beside the kernel and the userspace overlays that are installed, in one run')
    .option(
      '--pairs <n>',
      `measurements of each, in turn (default: ${fullPairs}, with --quick ${quickPairs})`,
      upTo(1000),
    )
    .option('--only <pattern>', 'measure what matches this regular expression', pattern)
    .option('--quick', 'the few cases that matter most, beside the kernel alone, within a minute')
    .option('--list', 'only name the cases')
    .option('--json', 'results as one object on stdout')
    .option('--write', 'put the results into bench/RESULTS.md and bench/lab.svg')
    .action(async (flags: Flags) => {
      const matches = (name: string) => flags.only?.test(name) ?? true;
      const chosen = (flags.quick ? quickCases : cases).filter(({ name }) => matches(name));
      const idle = matches('idle');
      if (chosen.length === 0 && !idle) throw new LabError(`no case matches ${flags.only}: see --list`);
      if (flags.list) {
        for (const { name } of [...chosen, ...(idle ? [{ name: 'idle' }] : [])]) stdout.write(`${name}\n`);
        return;
      }
      const pairs = flags.pairs ?? (flags.quick ? quickPairs : fullPairs);
      await asRoot((given: Flags) => measure(given, { cases: chosen, pairs, idle }))(flags);
    });
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text, 'i');
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

async function measure(flags: Flags, options: RunOptions): Promise<void> {
  const watcher = progressOn(stderr, options, flags.json ? () => {} : (line) => stdout.write(`${line}\n`));
  const result = resultOf(
    await interruptible((stop) => runBench(options, program, watcher, stop)),
    options.pairs,
  );
  if (flags.write) write(result);
  if (flags.json) {
    stdout.write(`${JSON.stringify(result)}\n`);
    return;
  }
  for (const line of [...result.idle.map(idleLine), ...missingLines(result)]) stdout.write(`${line}\n`);
}

const chartFile = 'lab.svg';

function write(result: BenchResult): void {
  writeFileSync(`${resultsFolder}/${chartFile}`, chart(result));
  writeSection('lab', markdown(result, chartFile));
}
