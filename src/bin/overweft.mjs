#!/usr/bin/env node
// Runs on any Node since 18 and hands over to the Node that the set-up installed.
import { existsSync, realpathSync } from 'node:fs';
import { foreground } from '../setup/foreground.mjs';
import { hasRuntime, root, runtime } from '../setup/runtime.mjs';

const program = `${root}dist/src/main.js`;

if (!hasRuntime() || !existsSync(program)) {
  process.stderr.write(`overweft is not built yet: run npm start (or npm run setup) in ${root}\n`);
  process.exitCode = 1;
} else if (realpathSync(process.execPath) === realpathSync(runtime.node)) {
  await import(program);
} else {
  process.exitCode = await foreground(runtime.node, [program, ...process.argv.slice(2)]);
}
