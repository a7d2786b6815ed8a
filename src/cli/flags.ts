// Options of the command line as the functions behind it take them.

/** The number, or the text for the validation to refuse. */
export const numeric = (text: string): number | string => (/^\d+$/.test(text) ? Number(text) : text);

/**
 * What `ask` says.
 * @throws Error of `ask` with each line, which begins with a field, turned into the option of that name
 */
export function flagged<T>(ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    throw new Error((error as Error).message.replace(/^/gm, '--'));
  }
}
