/** An error whose message says what was wrong, where, and what would be right. */
export class RootlessError extends Error {
  override readonly name = 'RootlessError';
}
