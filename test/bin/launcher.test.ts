import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../../src/setup/runtime.mjs';
import { run } from '../support/run.ts';

// A checkout of its own, with a program that shows what the launcher handed to it.
const checkout = mkdtempSync(`${tmpdir()}/overweft-launcher-`);
const launcher = `${checkout}/src/bin/overweft.mjs`;
const program = `
  const [what, ...rest] = process.argv.slice(2);
  if (what === 'print') console.log(JSON.stringify({ rest, node: process.versions.node.split('.')[0] }));
  if (what === 'exit') process.exitCode = Number(rest[0]);
  if (what === 'wait') {
    process.on('SIGTERM', () => { console.log('stopped'); process.exit(7); });
    setInterval(() => {}, 1000);
    console.log('ready');
  }
`;

/** A second copy of the Node binary under another path: to the launcher it is the host's Node. */
const hostNode = `${checkout}/host-node`;

beforeAll(() => {
  cpSync(`${root}src/bin`, `${checkout}/src/bin`, { recursive: true });
  cpSync(`${root}src/setup`, `${checkout}/src/setup`, { recursive: true });
  writeFileSync(`${checkout}/package.json`, '{"type":"module"}');
  cpSync(process.execPath, hostNode);
});
afterAll(() => rmSync(checkout, { recursive: true }));

describe('launcher in a checkout that is not built', () => {
  it('says in one line what to run', async () => {
    const { status, stdout, stderr } = await run(hostNode, [launcher, 'status']);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toBe(`overweft is not built yet: run npm start (or npm run setup) in ${checkout}/\n`);
  });
});

describe('launcher in a built checkout', () => {
  beforeAll(() => {
    symlinkSync(`${root}node_modules`, `${checkout}/node_modules`);
    mkdirSync(`${checkout}/dist/src`, { recursive: true });
    writeFileSync(`${checkout}/dist/src/main.js`, program);
  });

  it.each([
    ['the host', hostNode],
    ['the project', process.execPath],
  ])('runs the program with its arguments, started by the Node of %s', async (_, node) => {
    const { status, stdout } = await run(node, [launcher, 'print', '--json', 'a b', '']);
    expect(JSON.parse(stdout)).toEqual({ rest: ['--json', 'a b', ''], node: '24' });
    expect(status).toBe(0);
  });

  it.each([hostNode, process.execPath])('passes the exit status on', async (node) => {
    expect((await run(node, [launcher, 'exit', '3'])).status).toBe(3);
  });

  it('passes signals on and waits for the program to end', async () => {
    const child = spawn(hostNode, [launcher, 'wait'], { stdio: ['ignore', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => {
      if (stdout === '') child.kill('SIGTERM');
      stdout += chunk;
    });
    const status = await new Promise((resolve) => child.on('close', resolve));
    expect(stdout).toBe('ready\nstopped\n');
    expect(status).toBe(7);
  });
});
