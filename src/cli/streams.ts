/** What becomes of a command whose output is not taken any more. */
import { stderr, stdout } from 'node:process';

/**
 * Lets commands go on to their end, where they clean up. A reader that has seen enough (`| head`) is no error; a full
 * disk is.
 */
export function bearClosedStreams(): void {
  stderr.on('error', () => {
    // There is nobody to tell.
  });
  stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') return;
    stderr.write(`overweft: the output cannot be written: ${message}\n`);
    process.exitCode = 1;
  });
}
