// Runs suites one after the other, each in a cluster of its own, and says how they ended.
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { stdout } from 'node:process';
import { Command } from 'commander';
import { checkout } from '../../src/bench/checkout.ts';
import { startCluster } from '../cluster/support/cluster.ts';
import { writeAgnhost } from './agnhost.ts';
import { lines, markdown, writeResults } from './report.ts';
import type { Case, Suite } from './suite.ts';
import { cyclonus } from './suites/cyclonus.ts';
import { networkPolicy } from './suites/kubernetes.ts';

const suites: readonly Suite[] = [networkPolicy, cyclonus];

const command = new Command('npm run test:conformance --')
  .description("Runs other projects' tests of a cluster's network.")
  .argument('[suite...]', suites.map(({ name }) => name).join(', '))
  .option('--only <pattern>', 'tests whose names match this regular expression')
  .option('--write', 'put the results into docs/conformance.md')
  .parse();
const { only, write } = command.opts<{ only?: string; write?: true }>();
const unknown = command.args.find((name) => !suites.some((suite) => suite.name === name));
if (unknown) command.error(`there is no suite ${unknown}`);
const chosen = suites.filter(({ name }) => command.args.length === 0 || command.args.includes(name));

let failed = false;
for (const suite of chosen) {
  const cases = await run(suite);
  stdout.write(`${lines(suite, cases)}\n`);
  if (write) writeResults(suite.name, markdown(suite, cases));
  failed ||= cases.some(({ outcome }) => outcome === 'failed');
}
process.exitCode = failed ? 1 : 0;

/** What all programs of its cluster wrote is kept in `build/conformance/SUITE`. */
async function run(suite: Suite): Promise<Case[]> {
  await using cluster = await startCluster();
  const { folder } = cluster.control;
  await writeAgnhost(`${folder}/agnhost.tar`);
  for (const { containerd } of cluster.nodes) await containerd.load(`${folder}/agnhost.tar`);
  try {
    return await suite.run(cluster, folder, only);
  } finally {
    const kept = `${checkout}build/conformance/${suite.name}`;
    rmSync(kept, { recursive: true, force: true });
    for (const { folder: from, name } of [...cluster.nodes.map(({ machine }) => machine), cluster.control]) {
      mkdirSync(`${kept}/${name}`, { recursive: true });
      cpSync(from, `${kept}/${name}`, {
        recursive: true,
        filter: (file) => file === from || /^[^/]*\.(log|json)$/.test(file.slice(from.length + 1)),
      });
    }
  }
}
