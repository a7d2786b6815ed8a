// What a cell costs, read from the binary: no clock is needed, and no number of rules can change it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('a cell is found in straight-line code, whatever stands in the tables', () => {
  const text = readFileSync(fileURLToPath(import.meta.resolve('#build/overweft.wat')), 'utf8');
  const name = /\(export "policyCell" \(func (\S+)\)\)/.exec(text)?.[1];
  const begin = text.indexOf(`(func ${name} `);
  const body = text.slice(begin, text.indexOf('\n (func ', begin));
  expect(begin).toBeGreaterThan(0);
  expect(body).toMatch(/i32\.load/);
  expect(body).not.toMatch(/\(loop|\(call/);
});
