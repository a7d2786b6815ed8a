import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Machine } from '../cluster/support/machine.ts';

/**
 * Runs a program on a machine to its end and prints what it prints.
 * @param name of its log there
 * @returns its exit status, null after a signal
 */
export async function follow(
  machine: Machine,
  name: string,
  command: readonly string[],
  environment: object = {},
): Promise<number | null> {
  const program = machine.start(name, command, environment);
  const log = `${machine.folder}/${name}.log`;
  spawn('tail', ['--follow', '--lines=+1', `--pid=${program.pid}`, log], { stdio: 'inherit' });
  const [status] = await once(program, 'exit');
  return status;
}
