// The results, for the terminal and for docs/conformance.md.
import { release } from 'node:os';
import { checkout } from '../../src/bench/checkout.ts';
import { writeSection } from '../../src/bench/results-file.ts';
import type { Case, Suite } from './suite.ts';

const count = (cases: readonly Case[], wanted: Case['outcome']) =>
  cases.filter(({ outcome }) => outcome === wanted).length;

const summary = (cases: readonly Case[]): string =>
  `${count(cases, 'passed')} passed, ${count(cases, 'failed')} failed, ${count(cases, 'skipped')} left out by themselves`;

export const lines = (suite: Suite, cases: readonly Case[]): string =>
  [
    `${suite.name}: ${summary(cases)}`,
    ...cases
      .filter(({ outcome }) => outcome !== 'passed')
      .map(({ name, outcome, message }) => `  ${outcome}: ${name}\n    ${message}`),
  ].join('\n');

export function markdown(suite: Suite, cases: readonly Case[]): string {
  const table = (outcome: Case['outcome'], heading: string) => {
    const rows = cases.filter((entry) => entry.outcome === outcome);
    if (rows.length === 0) return [];
    return [
      '',
      `| ${heading} | why |`,
      '|---|---|',
      ...rows.map(({ name, message }) => `| ${cell(name)} | ${cell(message)} |`),
    ];
  };
  return [
    `## ${suite.name}`,
    '',
    `${suite.title}: **${summary(cases)}**, ${new Date().toISOString().slice(0, 10)}, Linux ${release()}.`,
    ...table('failed', 'failed'),
    ...table('skipped', 'left out by itself'),
    '',
  ].join('\n');
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('[', '\\[');

/** Puts a suite's results in place of its earlier ones. */
export const writeResults = (suite: string, text: string): void =>
  writeSection(suite, text, `${checkout}docs/conformance.md`);
