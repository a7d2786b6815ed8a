/** Files such as bench/RESULTS.md: sections between comments of their names, each written by what measures it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { checkout } from './checkout.ts';

export const resultsFolder = `${checkout}bench`;

/**
 * Puts a section's text in place of what it held.
 * @throws where the file has no lines `<!-- name -->` and `<!-- /name -->`
 */
export function writeSection(name: string, text: string, file = `${resultsFolder}/RESULTS.md`): void {
  const [begin, end] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`];
  const before = readFileSync(file, 'utf8');
  const from = before.indexOf(begin);
  const to = before.indexOf(end);
  if (from < 0 || to < from) {
    throw new Error(`${file} has no lines ${begin.trim()} and ${end} between which the results go`);
  }
  writeFileSync(file, `${before.slice(0, from)}${begin}${text}${before.slice(to)}`);
}
