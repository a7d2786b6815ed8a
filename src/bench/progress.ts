/** What a run is at: one line on a terminal, a line a case otherwise. */
import type { WriteStream } from 'node:tty';
import { figuresOf } from './results.ts';
import type { RunOptions, Watcher } from './session.ts';
import { figureLines, quantity } from './text.ts';

/**
 * @param print called with the lines of each case that is through
 */
export function progressOn(
  terminal: WriteStream,
  { cases, pairs }: Pick<RunOptions, 'cases' | 'pairs'>,
  print: (line: string) => void,
): Watcher {
  const begin = performance.now();
  let through = 0;
  const show = (text: string) => {
    if (terminal.isTTY) terminal.write(`\r\x1b[K${text.slice(0, terminal.columns - 1)}`);
  };
  return {
    step: (text) => show(`[${through}/${cases.length}] ${text}`),
    round: (taken, round) => {
      if (round < pairs) {
        const figures = figuresOf(taken).slice(0, 1);
        const now = figures.map(({ overweft, unit }) => quantity(overweft, unit)).join('');
        return show(
          `[${through}/${cases.length}] ${taken.case.name}, ${round} of ${pairs} pairs: Overweft ${now}`,
        );
      }
      through++;
      show('');
      if (!terminal.isTTY) {
        const seconds = ((performance.now() - begin) / 1000).toFixed(0);
        terminal.write(`[${through}/${cases.length}] ${taken.case.name}, ${seconds} s\n`);
      }
      for (const line of figuresOf(taken).flatMap(figureLines)) print(line);
    },
  };
}
