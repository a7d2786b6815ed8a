/** How work in the lab ends: with an error for the user, or because the user wants to stop. */

/** An error whose message says what was wrong, where, and what would be right. */
export class LabError extends Error {
  override readonly name = 'LabError';
}

/** What `work` comes to, or an error as soon as the user wants to stop; then nobody looks at `work` any more. */
export function orStopped<T>(work: Promise<T>, stop: AbortSignal): Promise<T> {
  const stopped = new Promise<never>((_, reject) => {
    const end = () => reject(new LabError('interrupted: the lab is down again'));
    if (stop.aborted) end();
    else stop.addEventListener('abort', end, { once: true });
  });
  return Promise.race([work, stopped]);
}
