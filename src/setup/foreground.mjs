import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, dirname } from 'node:path';
import { env } from 'node:process';

/** @type {NodeJS.Signals[]} */
const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];

/**
 * Runs a command in this process's place: same streams, its signals are passed on.
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} environment this one's by default, with the command's own folder first in PATH
 * @returns {Promise<number>} its exit status, 128 + n after signal n, as shells count
 */
export function foreground(command, args, environment = withFolderOf(command)) {
  const child = spawn(command, args, { stdio: 'inherit', env: environment });
  for (const signal of forwarded) {
    process.on(signal, () => {
      // A terminal sends its interrupts to the child as well.
      const fromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT');
      if (!fromTerminal) child.kill(signal);
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
}

/** @param {string} command */
const withFolderOf = (command) => ({ ...env, PATH: `${dirname(command)}${delimiter}${env.PATH}` });
