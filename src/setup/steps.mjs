// Progress on stderr, one line a step, nothing for a step with nothing to do; output only of a step that fails.
import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter } from 'node:path';
import { env, stderr } from 'node:process';
import { root, runtime } from './runtime.mjs';

/** Everything that the set-up's commands print ends here. */
const logFile = `${root}build/setup.log`;
const tailLines = 40;

/** An error that the user can act on: its message is printed without a stack. */
export class SetupError extends Error {}

/**
 * Runs one step and prints its name and duration.
 * @param {string} name
 * @param {() => Promise<unknown>} work
 */
export async function step(name, work) {
  const begin = Date.now();
  stderr.write(`${name} … `);
  try {
    await work();
  } catch (error) {
    stderr.write('failed\n');
    throw error;
  }
  stderr.write(`${((Date.now() - begin) / 1000).toFixed(1)} s\n`);
}

/**
 * Runs a command from an argument array, quietly; its output goes to the log.
 * @param {string} command
 * @param {string[]} args
 * @param {{cwd?: string, env?: Record<string, string>}} [options]
 * @returns {Promise<string>} stdout
 * @throws {SetupError} with the end of the output where the command fails
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? root,
      env: { ...env, PATH: `${runtime.folder}/bin${delimiter}${env.PATH}`, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let all = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
      all += chunk;
    });
    child.stderr.on('data', (chunk) => {
      all += chunk;
    });
    child.on('error', (error) => reject(new SetupError(`cannot run ${command}: ${error.message}`)));
    child.on('close', (code, signal) => {
      mkdirSync(`${root}build`, { recursive: true });
      appendFileSync(logFile, `$ ${command} ${args.join(' ')}\n${all}\n`);
      if (code === 0) return resolve(stdout);
      const tail = all.trimEnd().split('\n').slice(-tailLines).join('\n');
      reject(
        new SetupError(
          `${command} ${args.join(' ')}: ${signal ?? `exit status ${code}`}\n${tail}\n(whole output: ${logFile})`,
        ),
      );
    });
  });
}

/** Starts the log anew. */
export function openLog() {
  mkdirSync(`${root}build`, { recursive: true });
  writeFileSync(logFile, '');
}

/**
 * Runs a script's body; an error ends it with status 1 and a message.
 * @param {() => Promise<unknown>} body returns the exit status, or anything that is no number for 0
 */
export async function main(body) {
  try {
    const status = await body();
    process.exitCode = typeof status === 'number' ? status : 0;
  } catch (error) {
    stderr.write(
      `${error instanceof SetupError ? error.message : error instanceof Error ? error.stack : error}\n`,
    );
    process.exitCode = 1;
  }
}
