// AssemblyScript to WebAssembly: asc, and then binaryen's optimiser once more, told to inline further than asc lets it.
import { renameSync } from 'node:fs';
import { root, runtime } from './runtime.mjs';
import { run } from './steps.mjs';

/** What the output depends on beside the sources. */
export const compilers = [
  'asconfig.json',
  'src/setup/wasm.mjs',
  'node_modules/assemblyscript/package.json',
  'node_modules/binaryen/package.json',
];

/**
 * A call costs more than the code that it saves where packets take a few nanoseconds. Against asc's own bounds, 300 makes
 * small GENEVE frames 1.1 to 1.2 times as fast, 600 another 1.06 times, 1000 no more.
 */
const inlining = ['--flexible-inline-max-function-size=600', '--inline-functions-with-loops'];
const features = ['--enable-simd', '--enable-threads', '--enable-bulk-memory', '--enable-sign-ext'];

/**
 * @param {string} name of the output in build, without suffix: NAME.wasm, and NAME.wat to be read
 * @param {string[]} entries beside those of asconfig.json
 */
export async function compileWasm(name, entries = []) {
  const out = `${root}build/${name}`;
  await node(
    'assemblyscript/bin/asc.js',
    ...entries,
    '--config',
    'asconfig.json',
    '--outFile',
    `${out}.asc.wasm`,
  );
  const optimiser = 'binaryen/bin/wasm-opt';
  await node(optimiser, ...features, '-O3', '-g', ...inlining, `${out}.asc.wasm`, '-o', `${out}.new.wasm`);
  await node('binaryen/bin/wasm-dis', ...features, `${out}.new.wasm`, '-o', `${out}.wat`);
  renameSync(`${out}.new.wasm`, `${out}.wasm`);
}

/**
 * @param {string} program
 * @param {string[]} args
 */
const node = (program, ...args) => run(runtime.node, [`${root}node_modules/${program}`, ...args]);
