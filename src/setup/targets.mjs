// The three things that are built, in order: tables and packet decisions (WASM), system calls (add-on), the rest (TypeScript).
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { env } from 'node:process';
import { locked } from './lock.mjs';
import { nodeGyp } from './nodegyp.mjs';
import { root, runtime } from './runtime.mjs';
import { contentHash, filesBelow, Stamp } from './stamp.mjs';
import { run, step } from './steps.mjs';
import { compilers, compileWasm } from './wasm.mjs';

/** @param {string[]} args */
const node = (...args) => run(runtime.node, args);

/** @type {Record<string, {title: string, sources: string[], present: () => boolean, build: () => Promise<unknown>, outputs: string[]}>} */
const targets = {
  wasm: {
    title: 'WASM data path',
    sources: ['asm', ...compilers],
    present: () => existsSync(`${root}asm/index.ts`),
    build: () => compileWasm('overweft'),
    outputs: ['build/overweft.wasm'],
  },
  native: {
    title: 'native add-on and CNI plugin',
    sources: [
      'native',
      'asm/layout',
      'src/setup/abi.mjs',
      `node_modules/node-linux-${process.arch}/package.json`,
    ],
    present: () => filesBelow('native', /\.cc$/).length > 0,
    build: buildNative,
    outputs: ['build/abi.h', 'build/overweft.node', 'build/overweft-cni'],
  },
  ts: {
    title: 'TypeScript',
    sources: [
      'src',
      'asm/layout',
      'asm/verdict.ts',
      'tsconfig.json',
      'tsconfig.build.json',
      'package-lock.json',
    ],
    present: () => filesBelow('src', /(?<!\.d)\.ts$/).length > 0,
    build: buildTypeScript,
    outputs: ['dist'],
  },
};

export const targetNames = Object.keys(targets);

/**
 * Builds the named targets where their sources have changed.
 * @param {string[]} names
 */
export async function build(names = targetNames) {
  await locked(async () => {
    for (const [name, target] of Object.entries(targets)) {
      if (!names.includes(name)) continue;
      const stamp = new Stamp(`${root}build/stamps/${name}`, contentHash(target.sources));
      const built = target.outputs.every((file) => existsSync(root + file));
      if ((stamp.fresh() && built) || !target.present()) continue;
      await step(target.title, target.build);
      stamp.write();
    }
  });
}

async function buildNative() {
  const header = await node(
    '--experimental-transform-types',
    '--disable-warning=ExperimentalWarning',
    'src/setup/abi.mjs',
  );
  const file = `${root}build/abi.h`;
  if (!existsSync(file) || readFileSync(file, 'utf8') !== header) writeFileSync(file, header);
  await nodeGyp(`${root}native`, ['configure', 'build']);
  // Replaced, never written over: a running daemon may have the old one mapped.
  copyFileSync(`${root}native/build/Release/overweft.node`, `${root}build/overweft.node.new`);
  renameSync(`${root}build/overweft.node.new`, `${root}build/overweft.node`);
  await buildPlugin();
}

/** Linked statically: the one file runs on any host, whatever C++ library that has. */
async function buildPlugin() {
  const sources = filesBelow('native/cni', /\.cc$/);
  const strict = env.CI ? ['-Werror'] : [];
  const flags = ['-std=c++20', '-O2', '-Wall', '-Wextra', ...strict, '-static', '-s'];
  await run(env.CXX ?? 'g++', [...flags, '-o', 'build/overweft-cni.new', ...sources]);
  renameSync(`${root}build/overweft-cni.new`, `${root}build/overweft-cni`);
}

async function buildTypeScript() {
  const fresh = `${root}build/dist`;
  rmSync(fresh, { recursive: true, force: true });
  try {
    await node('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json');
  } finally {
    // Emitted beside and swapped in, so that no file of a deleted source stays and no reader meets half a tree.
    if (existsSync(fresh)) {
      rmSync(`${root}dist`, { recursive: true, force: true });
      renameSync(fresh, `${root}dist`);
    }
  }
}
