import { setTimeout } from 'node:timers/promises';

/**
 * Waits for what must come true, also outside of tests, however slow the machine is.
 * @param what for the message, when it does not
 * @param probe what it throws counts as not yet
 */
export async function until(
  what: string,
  probe: () => Promise<boolean> | boolean,
  seconds = 120,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  let reason = '';
  do {
    try {
      if (await probe()) return;
      reason = '';
    } catch (error) {
      reason = `: ${error instanceof Error ? error.message : error}`;
    }
    await setTimeout(100);
  } while (performance.now() < end);
  throw new Error(`${what}: not within ${seconds} s${reason}`);
}
